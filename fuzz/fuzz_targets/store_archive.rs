#![no_main]

#[allow(
    dead_code,
    unused,
    reason = "what the tests of the store have in common is more than this"
)]
#[path = "../../crates/skychat-store/tests/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::store_archive(data));
