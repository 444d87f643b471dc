#![no_main]

#[path = "../../crates/skychat-proto/tests/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::header_decode(data));
