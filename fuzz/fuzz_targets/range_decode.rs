#![no_main]

#[path = "../../crates/skychat-proto/tests/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::range_decode(data));
