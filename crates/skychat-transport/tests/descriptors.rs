//! A node that runs out of file descriptors keeps its links, does not spin, and takes new links
//! again when there are some (C46).
#![cfg(all(feature = "tcp", target_os = "linux"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics is a test that fails"
)]

mod common;

use std::process::Command;

use common::*;
use skychat_proto::link::Goodbye;
use skychat_transport::{ListenerLimits, LobbyLimits};

/// Runs the test below in a process of its own, with a lower limit.
#[test]
fn without_descriptors_links_stay_and_new_ones_wait() {
    let test = std::env::current_exe().unwrap();
    let output = Command::new("sh")
        .args([
            "-c",
            "ulimit -n 64 && exec \"$0\" --ignored --exact few_descriptors",
        ])
        .arg(test)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

#[tokio::test]
#[ignore = "needs a low limit of descriptors; run by the test above"]
async fn few_descriptors() {
    let mut ann = node(1);
    let mut bob = node(2);
    let listener = bob.listen_with(ListenerLimits {
        lobby: LobbyLimits {
            total: 256,
            per_network: 256,
        },
        descriptor_pause: ms(20),
        ..ListenerLimits::default()
    });
    let addr = listener.local_addr();
    let link = ann.dial(addr, bob.key).await.unwrap();
    ann.up().await;
    bob.up().await;

    // Connected by the system, which needs none of our descriptors for those not accepted yet.
    let mut held = Vec::new();
    let exhausted = loop {
        match std::net::TcpStream::connect(addr) {
            Ok(stream) => held.push(stream),
            Err(error) => break error,
        }
    };
    assert!(held.len() > 20, "{} connections, {exhausted}", held.len());
    for n in 0..10_u8 {
        link.try_send(ECHO, &[&[n]]).unwrap();
        assert_eq!(ann.message().await.1, [n]);
        tokio::time::sleep(ms(20)).await;
    }
    let errors = listener.stats().accept_errors;
    assert!(
        (2..=30).contains(&errors),
        "{errors} failures to accept in 200 ms"
    );

    drop(held);
    let other = node(3);
    let again = other.dial(addr, bob.key).await.unwrap();
    assert_eq!(again.peer(), bob.key);
    again.close(Goodbye::Done);
    link.close(Goodbye::Done);
    drop(listener);
    bob.reports.close();
    bob.all_done().await;
}
