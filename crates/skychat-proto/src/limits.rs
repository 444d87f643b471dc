//! Every number of the protocol, in one table.
//!
//! Lengths are in bytes. A decoder checks these before it allocates, so what a peer can make us
//! hold is what stands here.
//!
//! Spec: `docs/protocol/feed.md`, section 8.

use std::time::Duration;

// ----- layouts ------------------------------------------------------------------------------

/// Length of an encoded [`FeedId`](crate::ids::FeedId).
pub const FEED_ID_LEN: usize = 73;
/// Length of an encoded [`Header`](crate::entry::Header): its signed bytes.
pub const HEADER_LEN: usize = 206;
/// Length of what a range states once: version, feed, first seq, first prev, count.
pub const RANGE_PREFIX_LEN: usize = 116;
/// Length of what a range states of each entry.
pub const ROW_LEN: usize = 72;
/// Length of a signature.
pub const SIGNATURE_LEN: usize = 64;

/// The last index an entry can have: 2^63 − 2, so that every position fits a signed 64-bit number.
pub const MAX_SEQ: u64 = MAX_POSITION - 1;
/// The largest position: 2^63 − 1 entries.
pub const MAX_POSITION: u64 = i64::MAX as u64;

// ----- content and entries ------------------------------------------------------------------

/// A content: text and its metadata, encoded, before it is sealed. 64 KiB.
pub const MAX_CONTENT: usize = 64 * 1024;
/// The body of a message that a node accepts: a content and what sealing adds. 64 KiB + 4 KiB.
pub const MAX_MESSAGE_BODY: usize = MAX_CONTENT + 4 * 1024;
/// The body of any entry. 1 MiB − 4 KiB: control needs it, and it fits one reassembled message.
pub const MAX_BODY: usize = 1024 * 1024 - 4 * 1024;
/// Control heads that a context states (FEED-4).
pub const MAX_HEADS: usize = 8;
/// Predecessors that one `open` entry names (INC-2).
pub const MAX_CONTINUES: usize = 8;

// ----- ranges -------------------------------------------------------------------------------

/// Entries of a range (RANGE-1).
pub const MAX_RANGE_ENTRIES: usize = 256;
/// Rows and present bodies of a range with more than one entry, together. 256 KiB (RANGE-1).
pub const MAX_RANGE_BYTES: usize = 256 * 1024;
/// The longest encoded range: one entry with the largest body.
pub const MAX_RANGE_LEN: usize = RANGE_PREFIX_LEN + ROW_LEN + SIGNATURE_LEN + MAX_BODY;

// ----- links --------------------------------------------------------------------------------

/// A record of the link, on the wire.
pub const MAX_RECORD: usize = 65_535;
/// A frame: what a record carries of one service at once. 16 KiB (LINK-2).
pub const MAX_FRAME: usize = 16 * 1024;
/// A message put together from frames. 1 MiB + 4 KiB (LINK-2).
pub const MAX_MESSAGE: usize = 1024 * 1024 + 4 * 1024;
/// Ancestors in a hello (INC-6).
pub const MAX_HELLO_LINE: usize = 64;
/// Ancestors in an answer to a request for the line (INC-6).
pub const MAX_LINE: usize = 4096;
/// Services that a hello lists.
pub const MAX_SERVICES: usize = 64;
/// Bytes of the agent string of a hello, UTF-8.
pub const MAX_AGENT: usize = 64;
/// Statements that a hello carries.
pub const MAX_HELLO_STATEMENTS: usize = 8;
/// A message of service 0: the largest is a line.
pub const MAX_LINK_MESSAGE: usize = 48 * 1024;
/// Handshake, from the connection to the first hello.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections whose key is not proven yet.
pub const MAX_UNAUTHENTICATED: usize = 256;
/// The same, of one /32 (IPv4) or /64 (IPv6).
pub const MAX_UNAUTHENTICATED_PER_NET: usize = 8;
/// Incarnations of one key that hold links at once (LINK-3).
pub const MAX_INCARNATIONS_PER_KEY: usize = 4;
/// Two links of one key and incarnation that complete within it: the lower initiator key wins.
pub const TIE_BREAK: Duration = Duration::from_secs(5);
/// Idle time after which a ping is sent.
pub const PING_AFTER: Duration = Duration::from_secs(30);
/// Time without a byte after which a link is dead.
pub const DEAD_AFTER: Duration = Duration::from_secs(90);
/// Time without a byte taken by the socket after which a link with something to send is closed.
pub const STALL_AFTER: Duration = Duration::from_secs(30);
/// Rekey after so many records of one direction (C6).
pub const REKEY_RECORDS: u64 = 65_536;
/// Rekey after so many bytes of plaintext of one direction (C6).
pub const REKEY_BYTES: u64 = 1 << 30;
/// Age of a link at which a new one is made before it is broken.
pub const RENEW_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// Shortest pause before a peer is dialled again.
pub const REDIAL_MIN: Duration = Duration::from_secs(1);
/// Longest pause before a peer is dialled again.
pub const REDIAL_MAX: Duration = Duration::from_secs(30);

// ----- synchronisation ----------------------------------------------------------------------

/// A message of service 1: the largest is a fork proof.
pub const MAX_SYNC_MESSAGE: usize = 160 * 1024;
/// Rows of one page of a have-list.
pub const MAX_HAVE_ROWS: usize = 256;
/// Refusals in one acknowledgement (ACK-1).
pub const MAX_REFUSALS: usize = 64;
/// Headers in one branch of a fork proof (RANGE-5).
pub const MAX_FORK_HEADERS: usize = 256;
/// The body of a statement (SYNC-7). 4 KiB.
pub const MAX_STATEMENT_BODY: usize = 4 * 1024;
/// A statement, encoded: the body, the fixed fields, and what protobuf adds.
pub const MAX_STATEMENT: usize = MAX_STATEMENT_BODY + 256;
/// Entries in flight of one feed, counted from the last acknowledgement (SYNC-3).
pub const WINDOW_FEED_ENTRIES: usize = 512;
/// Bytes in flight of one feed (SYNC-3). 1 MiB.
pub const WINDOW_FEED_BYTES: usize = 1024 * 1024;
/// Bytes in flight of one link (SYNC-3). 8 MiB.
pub const WINDOW_LINK_BYTES: usize = 8 * 1024 * 1024;
/// A range holds at most what its link carried in so much time (RANGE-6).
pub const RANGE_SPAN: Duration = Duration::from_secs(5);
/// How long one holder is waited for before the next is asked (SYNC-6).
pub const ASK_NEXT_AFTER: Duration = Duration::from_secs(2);
/// How long a missing predecessor holds up its successor (INC-4).
pub const GAP_AFTER: Duration = Duration::from_secs(60);
/// How often a message is sealed or issued again for one cause (ACK-2).
pub const MAX_REISSUES: u32 = 3;

// ----- strangers ----------------------------------------------------------------------------

/// Entries stored of a key without consent (D12).
pub const STRANGER_ENTRIES: u64 = 64;
/// Bytes stored of a key without consent. 256 KiB.
pub const STRANGER_BYTES: u64 = 256 * 1024;
/// Keys without consent of which anything is stored.
pub const MAX_STRANGERS: usize = 256;

// ----- queues -------------------------------------------------------------------------------

/// Inbound messages queued, of all links.
pub const INBOUND_MESSAGES: usize = 1024;
/// Inbound bytes queued, of all links. 64 MiB.
pub const INBOUND_BYTES: usize = 64 * 1024 * 1024;
/// Inbound messages queued, of one link.
pub const INBOUND_LINK_MESSAGES: usize = 64;
/// Inbound bytes queued, of one link. 1 MiB.
pub const INBOUND_LINK_BYTES: usize = 1024 * 1024;
/// Outbound frames queued, of one link.
pub const OUTBOUND_LINK_FRAMES: usize = 256;
/// Outbound bytes queued, of one link. 4 MiB.
pub const OUTBOUND_LINK_BYTES: usize = 4 * 1024 * 1024;
/// Outbound bytes queued, of all links. 64 MiB.
pub const OUTBOUND_BYTES: usize = 64 * 1024 * 1024;
/// Batches queued for the store.
pub const STORE_BATCHES: usize = 64;
/// Bytes queued for the store. 64 MiB.
pub const STORE_BYTES: usize = 64 * 1024 * 1024;
/// Receipts queued for the engine.
pub const STORE_RECEIPTS: usize = 64;
/// Reads queued for the reader threads.
pub const LOADS: usize = 32;
/// Commands queued for the engine.
pub const COMMANDS: usize = 64;
/// Rendered events that all readers share.
pub const EVENT_RING: usize = 4096;
/// Passing notices kept for a late reader.
pub const NOTICES: usize = 1024;

// ----- control surface ----------------------------------------------------------------------

/// A JSON request. 256 KiB.
pub const MAX_JSON_REQUEST: usize = 256 * 1024;
