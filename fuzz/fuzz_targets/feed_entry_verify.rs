#![no_main]

#[allow(dead_code, reason = "the seeds are made from the rest")]
#[path = "../../crates/skychat-feed/tests/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::feed_entry_verify(data));
