#![no_main]

#[allow(
    dead_code,
    unused,
    reason = "what the tests of archives have in common is more than this"
)]
#[path = "../../crates/skychat-core/tests/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::import_archive(data));
