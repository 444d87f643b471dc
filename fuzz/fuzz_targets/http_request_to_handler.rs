#![no_main]

#[allow(dead_code, reason = "the seeds are made from the rest")]
#[path = "../../crates/skychat-http/tests/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::http_request_to_handler(data));
