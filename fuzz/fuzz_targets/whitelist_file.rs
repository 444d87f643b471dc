#![no_main]

#[allow(dead_code, reason = "a part of the daemon")]
#[path = "../../bins/skychatd/src/failure.rs"]
mod failure;
#[allow(dead_code, reason = "a part of the daemon")]
#[path = "../../bins/skychatd/src/listen.rs"]
mod listen;
#[allow(dead_code, reason = "a part of the daemon")]
#[path = "../../bins/skychatd/src/persist.rs"]
mod persist;
#[allow(dead_code, reason = "a part of the daemon")]
#[path = "../../bins/skychatd/src/secret.rs"]
mod secret;
#[allow(dead_code, reason = "a part of the daemon")]
#[path = "../../bins/skychatd/src/settings.rs"]
mod settings;
#[allow(dead_code, reason = "each target is one of them")]
#[path = "../../bins/skychatd/tests/fuzz/targets.rs"]
mod targets;
#[allow(dead_code, reason = "a part of the daemon")]
#[path = "../../bins/skychatd/src/whitelist.rs"]
mod whitelist;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::whitelist_file(data));
