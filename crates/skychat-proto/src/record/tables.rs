//! The tables of machine state in the journal.

use crate::ids::TableId;

/// Lives of this store, with their parents.
pub const OWN_LIFE: TableId = TableId::new(1);
/// Feeds and how far they are held.
pub const FEED: TableId = TableId::new(2);
/// What members acknowledged of our feeds.
pub const ACKED: TableId = TableId::new(3);
/// Entries that were refused.
pub const REFUSED: TableId = TableId::new(4);
/// States of our messages.
pub const MESSAGE: TableId = TableId::new(5);
/// Peers: consent and counts.
pub const PEER: TableId = TableId::new(6);
/// Lives of peers, with their parents.
pub const PEER_LIFE: TableId = TableId::new(7);
/// Durable events that are no message.
pub const EVENT: TableId = TableId::new(8);
/// Spaces.
pub const SPACE: TableId = TableId::new(9);
/// Cursors of named consumers.
pub const CURSOR: TableId = TableId::new(10);
