//! What is kept and taken, with daemons as a person runs them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)]

mod common;

use common::*;

#[test]
fn a_rate_makes_the_peer_wait_and_a_size_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let dir = |name: &str| home.path().join(name);
    let limits = ["--persist-per-peer-rate", "3", "--persist-max-size", "200"];
    let bob = Daemon::start(&dir("bob"), &limits);
    let bob_key = bob.key();
    let ann = Daemon::start(&dir("ann"), &["--tcp-peer", &bob.address()]);
    let ann_key = ann.key();
    for n in 0..5 {
        let sent = ann.cli(&["send", &bob_key, &format!("{n}")]);
        assert!(sent.status.success(), "{sent:?}");
    }
    eventually("ann knows why it waits", || {
        let status = ann.json(&["status"]);
        let waits = &status["peers"][0]["waits"];
        (waits["why"] == "limited" && waits["cause"] == "rate").then_some(())
    });
    let all = ["0", "1", "2", "3", "4"];
    eventually("as many as the rate allows at once", || {
        let texts = bob.texts(&ann_key);
        (texts.len() >= 3 && all.starts_with(&texts.iter().map(String::as_str).collect::<Vec<_>>()))
            .then_some(())
    });

    // A rate is of one life: the next one takes the rest, and nothing was lost in between.
    let address = bob.address();
    let (status, log, _) = bob.stop();
    assert!(status.success(), "{log}");
    let listen = address.rsplit('@').next().unwrap().to_owned();
    let again = [&limits[..], &["--tcp-listen", &listen]].concat();
    let bob = Daemon::start(&dir("bob"), &again);
    eventually("all came", || (bob.texts(&ann_key) == all).then_some(()));
    let long = "x".repeat(300);
    let refused = ann.cli(&["send", &bob_key, &long, "--wait=stored"]);
    assert_eq!(refused.status.code(), Some(6), "{refused:?}");
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("too_large")
            || String::from_utf8_lossy(&refused.stdout).contains("too_large"),
        "{refused:?}"
    );
    let here = bob.cli(&["send", &ann_key, &long]);
    assert!(
        !here.status.success(),
        "what it does not keep it does not send"
    );
}
