//! How often each field may stand in a message, and how large it may be.

use crate::ids::Incarnation;
use crate::limits::{
    FEED_ID_LEN, HEADER_LEN, MAX_FORK_HEADERS, MAX_HAVE_ROWS, MAX_POSITION, MAX_REFUSALS, MAX_SEQ,
    MAX_STATEMENT_BODY, SIGNATURE_LEN,
};
use crate::wire::{Rule, Shape, many, one};

/// For errors.
pub(super) const NAME: &str = "sync message";
/// A header and its signature.
pub(super) const PROOF_LEN: usize = HEADER_LEN + SIGNATURE_LEN;

const FEED: Rule = Rule::Bytes(FEED_ID_LEN);
const HASH: Rule = Rule::Bytes(32);
const POSITION: Rule = Rule::Number(MAX_POSITION);
const WORD: Rule = Rule::Number(u8::MAX as u64);
const SIGNATURE: Rule = Rule::Bytes(SIGNATURE_LEN);

pub(super) const HAVE_HASH: Shape = Shape {
    name: "have hash",
    fields: &[
        one(1, "space", HASH),
        one(2, "hash", HASH),
        one(3, "rows", Rule::Number(u32::MAX as u64)),
    ],
};
pub(super) const HAVE: Shape = Shape {
    name: "have",
    fields: &[
        one(1, "space", HASH),
        many(2, "rows", MAX_HAVE_ROWS, Rule::Message(&HAVE_ROW)),
        one(3, "more", Rule::Number(1)),
    ],
};
pub(super) const HAVE_ROW: Shape = Shape {
    name: "have row",
    fields: &[
        one(1, "author", HASH),
        one(2, "stream", Rule::Number(u8::MAX as u64)),
        one(3, "incarnation", Rule::Bytes(Incarnation::LEN)),
        one(4, "head", POSITION),
        one(5, "hash", HASH),
        one(6, "proof", Rule::Bytes(PROOF_LEN)),
    ],
};
pub(super) const WANT: Shape = Shape {
    name: "want",
    fields: &[
        one(1, "feed", FEED),
        one(2, "from", POSITION),
        one(3, "limit", POSITION),
    ],
};
pub(super) const NOT_HELD: Shape = Shape {
    name: "not held",
    fields: &[one(1, "feed", FEED)],
};
pub(super) const OWED: Shape = Shape {
    name: "owed",
    fields: &[one(1, "feed", FEED), one(2, "acked", POSITION)],
};
pub(super) const ACK: Shape = Shape {
    name: "ack",
    fields: &[
        one(1, "feed", FEED),
        one(2, "from", POSITION),
        one(3, "head", POSITION),
        one(4, "hash", HASH),
        one(5, "kept", WORD),
        many(6, "refused", MAX_REFUSALS, Rule::Message(&REFUSED)),
        one(7, "read_up_to", POSITION),
    ],
};
pub(super) const REFUSED: Shape = Shape {
    name: "ack",
    fields: &[
        one(1, "refused.seq", Rule::Number(MAX_SEQ)),
        one(2, "refused.cause", WORD),
    ],
};
pub(super) const HOLD: Shape = Shape {
    name: "hold",
    fields: &[
        one(1, "space", HASH),
        one(2, "feed", FEED),
        one(3, "cause", WORD),
        one(4, "retry_after_ms", Rule::Number(u32::MAX as u64)),
    ],
};
pub(super) const FORK_PROOF: Shape = Shape {
    name: "fork proof",
    fields: &[
        one(1, "feed", FEED),
        many(2, "branches", 2, Rule::Message(&BRANCH)),
    ],
};
pub(super) const BRANCH: Shape = Shape {
    name: "fork proof",
    fields: &[
        one(1, "headers", Rule::Bytes(MAX_FORK_HEADERS * HEADER_LEN)),
        one(2, "signature", SIGNATURE),
    ],
};
pub(super) const STATEMENT: Shape = Shape {
    name: "statement",
    fields: &[
        one(1, "author", HASH),
        one(2, "kind", Rule::Number(u16::MAX as u64)),
        one(3, "number", Rule::Number(u64::MAX)),
        one(4, "expiry", Rule::Number(u64::MAX)),
        one(5, "body", Rule::Bytes(MAX_STATEMENT_BODY)),
        one(6, "signature", SIGNATURE),
    ],
};

pub(super) const SHAPES: [(u32, &Shape); 9] = [
    (1, &HAVE_HASH),
    (2, &HAVE),
    (3, &WANT),
    (4, &NOT_HELD),
    (5, &OWED),
    (6, &ACK),
    (7, &HOLD),
    (8, &FORK_PROOF),
    (9, &STATEMENT),
];
