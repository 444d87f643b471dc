//! From the checked types to frames.

use bytes::Bytes;
use prost::Message;

use super::shape::{NAME, PROOF_LEN, SHAPES};
use super::{Branch, HaveRow, Scope, SyncMessage};
use crate::error::DecodeError;
use crate::ids::Position;
use crate::limits::{HEADER_LEN, MAX_SYNC_MESSAGE};
use crate::wire::generated::sync as wire;
use crate::wire::generated::sync::sync_message::Message as Kind;
use crate::wire::{check, single};

pub(super) fn encode(message: &SyncMessage) -> Vec<u8> {
    let message = match message {
        SyncMessage::HaveHash(have) => Some(Kind::HaveHash(wire::HaveHash {
            space: copy(have.space.as_bytes()),
            hash: copy(&have.hash),
            rows: have.rows,
        })),
        SyncMessage::Have(have) => Some(Kind::Have(wire::Have {
            space: copy(have.space.as_bytes()),
            rows: have.rows.iter().map(have_row_out).collect(),
            more: have.more,
        })),
        SyncMessage::Want(want) => Some(Kind::Want(wire::Want {
            feed: copy(&want.feed.to_bytes()),
            from: want.from.get(),
            limit: want.limit.map(Position::get),
        })),
        SyncMessage::NotHeld { feed } => Some(Kind::NotHeld(wire::NotHeld {
            feed: copy(&feed.to_bytes()),
        })),
        SyncMessage::Owed { feed, acked } => Some(Kind::Owed(wire::Owed {
            feed: copy(&feed.to_bytes()),
            acked: acked.get(),
        })),
        SyncMessage::Ack(ack) => Some(Kind::Ack(wire::Ack {
            feed: copy(&ack.feed.to_bytes()),
            from: ack.from.get(),
            head: ack.head.get(),
            hash: copy(ack.hash.as_bytes()),
            kept: ack.kept.number().into(),
            refused: ack
                .refused
                .iter()
                .map(|(seq, cause)| wire::Refused {
                    seq: seq.get(),
                    cause: cause.number().into(),
                })
                .collect(),
            read_up_to: ack.read_up_to.map(Position::get),
        })),
        SyncMessage::Hold(hold) => {
            let (space, feed) = match hold.scope {
                Scope::Space(space) => (copy(space.as_bytes()), Bytes::new()),
                Scope::Feed(feed) => (Bytes::new(), copy(&feed.to_bytes())),
            };
            Some(Kind::Hold(wire::Hold {
                space,
                feed,
                cause: hold.cause.number().into(),
                retry_after_ms: hold.retry_after_ms,
            }))
        }
        SyncMessage::ForkProof(proof) => Some(Kind::ForkProof(wire::ForkProof {
            feed: copy(&proof.feed.to_bytes()),
            branches: proof.branches.iter().map(branch_out).collect(),
        })),
        SyncMessage::Statement(statement) => Some(Kind::Statement(wire::Statement {
            author: copy(statement.author.as_bytes()),
            kind: statement.kind.get().into(),
            number: statement.number,
            expiry: statement.expiry.as_millis(),
            body: copy(&statement.body),
            signature: copy(statement.signature.as_bytes()),
        })),
        SyncMessage::Unknown { .. } => None,
    };
    let bytes = wire::SyncMessage { message }.encode_to_vec();
    debug_assert!(
        bytes.is_empty() || fits(&bytes).is_ok(),
        "beyond a limit: {:?}",
        fits(&bytes)
    );
    bytes
}

/// Whether the peer's decoder would find lengths and counts within their limits.
fn fits(bytes: &[u8]) -> Result<(), DecodeError> {
    let (kind, bytes) = single(NAME, bytes, MAX_SYNC_MESSAGE)?;
    SHAPES
        .iter()
        .find(|(number, _)| *number == kind)
        .map_or(Ok(()), |(_, shape)| check(bytes, shape))
}

fn have_row_out(row: &HaveRow) -> wire::HaveRow {
    let proof = row.proof.as_deref().map(|(header, signature)| {
        let mut bytes = Vec::with_capacity(PROOF_LEN);
        bytes.extend(header.encode());
        bytes.extend(signature.as_bytes());
        bytes
    });
    wire::HaveRow {
        author: copy(row.author.as_bytes()),
        stream: row.stream.get().into(),
        incarnation: copy(row.incarnation.as_bytes()),
        head: row.head.get(),
        hash: copy(row.hash.as_bytes()),
        proof: proof.unwrap_or_default().into(),
    }
}

fn branch_out(branch: &Branch) -> wire::Branch {
    let mut headers = Vec::with_capacity(branch.headers.len().saturating_mul(HEADER_LEN));
    for header in &branch.headers {
        headers.extend(header.encode());
    }
    wire::Branch {
        headers: headers.into(),
        signature: copy(branch.signature.as_bytes()),
    }
}

fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
