#![no_main]

#[allow(dead_code, reason = "each target is one of them")]
#[path = "../../crates/skychat-api/tests/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::api_cursor(data));
