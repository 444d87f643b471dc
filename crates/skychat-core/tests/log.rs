//! What is logged: never what people say, never a secret.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::io::Write;
use std::sync::{Arc, Mutex};

use common::*;
use data_encoding::HEXLOWER;
use skychat_api::WaitFor;
use skychat_core::Draft;
use tracing_subscriber::fmt::MakeWriter;

/// Everything that was logged.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn neither_texts_nor_secrets_are_logged_at_any_level() {
    const TEXT: &str = "a secret between Ann and Bob";
    let captured = Captured::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(captured.clone())
        .init();
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let store_keys = runtime.unwrap().block_on(async {
        let ann = on_disk(1, dirs[0].path())
            .listen(loopback())
            .spawn()
            .await
            .unwrap();
        let bob = on_disk(2, dirs[1].path())
            .peer(ann.address())
            .spawn()
            .await
            .unwrap();
        linked(&bob, key(1)).await;
        for (node, to) in [(&ann, 2), (&bob, 1)] {
            let draft = Draft::text(key(to), TEXT).unwrap();
            tracing::debug!(?draft, "what a program might log of its own draft");
            node.deliver(draft, WaitFor::Stored, LONG).await.unwrap();
        }
        for node in [ann, bob] {
            node.shutdown(LONG).await;
        }
        dirs.iter()
            .map(|dir| std::fs::read(data_dir(dir.path()).join("store.key")).unwrap())
            .collect::<Vec<_>>()
    });
    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("skychat_core"), "something was logged");
    assert!(!log.contains(TEXT));
    for n in [1, 2] {
        assert!(!log.contains(&HEXLOWER.encode(secret(n).expose_bytes())));
    }
    for key in store_keys {
        // Any eight bytes of the key, in the forms bytes are printed in.
        for part in key.windows(8) {
            assert!(!log.contains(&HEXLOWER.encode(part)));
            assert!(!log.contains(&format!("{part:?}")[1..20]));
        }
    }
}
