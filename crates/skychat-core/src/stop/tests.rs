use skychat_identity::SecretKey;
use skychat_store::{DiskFault, MemoryDisk};

use super::*;
use crate::builder::Place;
use crate::drive::Command;
use crate::{Draft, Node, SendError};

async fn node() -> Node {
    Node::builder(SecretKey::from_seed([1; 32]))
        .spawn()
        .await
        .unwrap()
}

fn draft() -> Draft {
    Draft::text(SecretKey::from_seed([2; 32]).public(), "hello").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_a_panic_in_the_engine_stops_the_node_with_an_error() {
    let node = node().await;
    node.send(draft()).await.unwrap();
    let mut events = node.events(None);
    assert!(node.shared().commands.send(Command::Panic).await.is_ok());
    let error = node.stopped().await.unwrap_err();
    assert!(
        matches!(error, StopError::Panicked { part: "engine" }),
        "{error}"
    );
    assert_eq!(error.code(), Code::Internal);
    // Nobody is left waiting.
    assert!(matches!(node.send(draft()).await, Err(SendError::Stopping)));
    assert!(events.next().await.unwrap().is_none());
    let report = node.shutdown(Duration::from_secs(1)).await;
    assert!(report.aborted.is_empty(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_deadline_stands_and_everybody_gets_the_report() {
    let node = node().await;
    let reports = tokio::join!(
        node.shutdown(Duration::from_secs(5)),
        node.shutdown(Duration::from_secs(9)),
    );
    assert_eq!(reports.0, reports.1);
    node.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn f4_a_store_that_fails_stops_the_node_and_nothing_more_is_accepted() {
    let disk = MemoryDisk::new();
    let mut builder = Node::builder(SecretKey::from_seed([1; 32]));
    builder.place = Place::Disk(disk.clone());
    let node = builder.spawn().await.unwrap();
    node.send(draft()).await.unwrap();
    disk.fail(Some(DiskFault::Broken), 0);
    // It was not written, so it is not accepted.
    assert!(matches!(node.send(draft()).await, Err(SendError::Stopping)));
    let error = node.stopped().await.unwrap_err();
    assert!(matches!(error, StopError::Store { .. }), "{error:?}");
    assert_eq!(error.code(), Code::StoreFailed);
    let history = node.history(draft().to, None, 10).await.unwrap();
    assert_eq!(history.messages.len(), 1);
}

/// Sends, waiting not too long; `None`: it is not known yet whether it is taken.
async fn soon(node: &Node) -> Option<Result<crate::Accepted, SendError>> {
    let patience = Duration::from_millis(300);
    tokio::time::timeout(patience, node.send(draft()))
        .await
        .ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_a_full_disk_refuses_what_is_new_and_loses_nothing() {
    let disk = MemoryDisk::new();
    let mut builder = Node::builder(SecretKey::from_seed([1; 32]));
    builder.place = Place::Disk(disk.clone());
    let node = builder.spawn().await.unwrap();
    let (mut accepted, mut unknown) = (0_usize, 0_usize);
    node.send(draft()).await.unwrap();
    accepted += 1;
    disk.fail(Some(DiskFault::Full), 0);
    let error = loop {
        match soon(&node).await {
            Some(Ok(_)) => accepted += 1,
            Some(Err(error)) => break error,
            None => unknown += 1,
        }
        assert!(unknown < 20, "nothing is refused");
    };
    assert!(matches!(error, SendError::StoreFull), "{error:?}");
    assert_eq!(error.code(), Code::StoreFull);
    // Reading goes on, and the status says what is wrong.
    let history = node.history(draft().to, None, 10).await.unwrap();
    assert_eq!(history.messages.len(), accepted);
    let told = |node: &Node| {
        node.status()
            .degraded
            .iter()
            .any(|what| what.contains("full"))
    };
    while !told(&node) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    disk.fail(None, 0);
    let began = tokio::time::Instant::now();
    while !matches!(soon(&node).await, Some(Ok(_))) {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "it does not go on"
        );
    }
    accepted += 1;
    while told(&node) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let history = node.history(draft().to, None, 100).await.unwrap();
    let kept = history.messages.len();
    assert!((accepted..=accepted + unknown).contains(&kept), "{kept}");
}
