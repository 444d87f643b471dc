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
    for (fault, expected) in [
        (DiskFault::Broken, Code::StoreFailed),
        (DiskFault::Full, Code::StoreFull),
    ] {
        let disk = MemoryDisk::new();
        let mut builder = Node::builder(SecretKey::from_seed([1; 32]));
        builder.place = Place::Disk(disk.clone());
        let node = builder.spawn().await.unwrap();
        node.send(draft()).await.unwrap();
        disk.fail(Some(fault), 0);
        // It was not written, so it is not accepted.
        assert!(matches!(node.send(draft()).await, Err(SendError::Stopping)));
        let error = node.stopped().await.unwrap_err();
        assert!(matches!(error, StopError::Store { .. }), "{error:?}");
        assert_eq!(error.code(), expected);
        let history = node.history(draft().to, None, 10).await.unwrap();
        assert_eq!(history.messages.len(), 1);
    }
}
