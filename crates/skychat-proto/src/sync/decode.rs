//! From frames to the checked types.

use skychat_identity::{KeyCache, PublicKey, Signature};

use super::shape::{self, NAME, PROOF_LEN};
use super::{
    Ack, Branch, ForkProof, Have, HaveHash, HaveRow, Hold, HoldCause, Kept, Refusal, Scope,
    Statement, StatementKind, SyncMessage, Want,
};
use crate::entry::Header;
use crate::error::DecodeError;
use crate::ids::{EntryId, FeedId, Incarnation, Position, Seq, SpaceId, Stream, Timestamp};
use crate::limits::{HEADER_LEN, MAX_SYNC_MESSAGE};
use crate::wire::generated::sync as wire;
use crate::wire::{decode as read, fixed, single};

pub(super) fn decode(bytes: &[u8], keys: &mut KeyCache) -> Result<SyncMessage, DecodeError> {
    let (kind, bytes) = single(NAME, bytes, MAX_SYNC_MESSAGE)?;
    Ok(match kind {
        1 => {
            let have: wire::HaveHash = read(bytes, &shape::HAVE_HASH)?;
            SyncMessage::HaveHash(HaveHash {
                space: SpaceId::from_bytes(fixed(shape::HAVE_HASH.name, "space", &have.space)?),
                hash: fixed(shape::HAVE_HASH.name, "hash", &have.hash)?,
                rows: have.rows,
            })
        }
        2 => SyncMessage::Have(have(&read(bytes, &shape::HAVE)?, keys)?),
        3 => SyncMessage::Want(want(&read(bytes, &shape::WANT)?, keys)?),
        4 => {
            let not_held: wire::NotHeld = read(bytes, &shape::NOT_HELD)?;
            let feed = feed(shape::NOT_HELD.name, &not_held.feed, keys)?;
            SyncMessage::NotHeld { feed }
        }
        5 => {
            let owed: wire::Owed = read(bytes, &shape::OWED)?;
            SyncMessage::Owed {
                feed: feed(shape::OWED.name, &owed.feed, keys)?,
                acked: Position::new(owed.acked),
            }
        }
        6 => SyncMessage::Ack(ack(&read(bytes, &shape::ACK)?, keys)?),
        7 => SyncMessage::Hold(hold(&read(bytes, &shape::HOLD)?, keys)?),
        8 => {
            let proof = fork_proof(&read(bytes, &shape::FORK_PROOF)?, keys)?;
            SyncMessage::ForkProof(Box::new(proof))
        }
        9 => SyncMessage::Statement(statement(read(bytes, &shape::STATEMENT)?, keys)?),
        kind => SyncMessage::Unknown { kind },
    })
}

fn have(have: &wire::Have, keys: &mut KeyCache) -> Result<Have, DecodeError> {
    let space = SpaceId::from_bytes(fixed(shape::HAVE.name, "space", &have.space)?);
    let rows = have
        .rows
        .iter()
        .map(|row| have_row(space, row, keys))
        .collect::<Result<_, _>>()?;
    let more = have.more;
    Ok(Have { space, rows, more })
}

fn have_row(
    space: SpaceId,
    row: &wire::HaveRow,
    keys: &mut KeyCache,
) -> Result<HaveRow, DecodeError> {
    let name = shape::HAVE_ROW.name;
    let value = |field, problem| DecodeError::Value {
        name,
        field,
        problem,
    };
    let head = Position::new(row.head);
    let hash = head_hash(name, head, &row.hash)?;
    let stream = u8::try_from(row.stream).map_err(|_| value("stream", "above 255"))?;
    let mut checked = HaveRow {
        author: key(name, "author", &row.author, keys)?,
        stream: Stream::new(stream),
        incarnation: Incarnation::from_bytes(fixed(name, "incarnation", &row.incarnation)?),
        head,
        hash,
        proof: None,
    };
    if !row.proof.is_empty() {
        let proof: [u8; PROOF_LEN] = fixed(name, "proof", &row.proof)?;
        let (header, signature) = proof.split_at(HEADER_LEN);
        let header = decode_header(name, "proof", header, keys)?;
        if header.feed != checked.feed(space) || header.seq.after() != head || header.id() != hash {
            return Err(value("proof", "that is not of this row"));
        }
        let signature = Signature::from_bytes(fixed(name, "proof", signature)?);
        checked.proof = Some(Box::new((header, signature)));
    }
    Ok(checked)
}

fn want(want: &wire::Want, keys: &mut KeyCache) -> Result<Want, DecodeError> {
    let name = shape::WANT.name;
    let from = Position::new(want.from);
    let limit = want.limit.map(Position::new);
    if limit.is_some_and(|limit| limit <= from) {
        return Err(DecodeError::Value {
            name,
            field: "limit",
            problem: "at or before `from`",
        });
    }
    let feed = feed(name, &want.feed, keys)?;
    Ok(Want { feed, from, limit })
}

fn ack(ack: &wire::Ack, keys: &mut KeyCache) -> Result<Ack, DecodeError> {
    let name = shape::ACK.name;
    let value = |field, problem| DecodeError::Value {
        name,
        field,
        problem,
    };
    let from = Position::new(ack.from);
    let head = Position::new(ack.head);
    if head < from {
        return Err(value("head", "before `from`"));
    }
    let mut refused = Vec::with_capacity(ack.refused.len());
    let mut earliest = from;
    for refusal in &ack.refused {
        let seq = Seq::new(refusal.seq);
        if seq.position() < earliest || !head.covers(seq) {
            return Err(value("refused", "out of order, or outside of the span"));
        }
        earliest = seq.after();
        let cause = word(refusal.cause)
            .and_then(Refusal::from_number)
            .ok_or(value("refused", "for no known cause"))?;
        refused.push((seq, cause));
    }
    Ok(Ack {
        feed: feed(name, &ack.feed, keys)?,
        from,
        head,
        hash: head_hash(name, head, &ack.hash)?,
        kept: word(ack.kept)
            .and_then(Kept::from_number)
            .ok_or(value("kept", "that is neither disk nor memory"))?,
        refused,
        read_up_to: ack.read_up_to.map(Position::new),
    })
}

fn hold(hold: &wire::Hold, keys: &mut KeyCache) -> Result<Hold, DecodeError> {
    let name = shape::HOLD.name;
    let value = |field, problem| DecodeError::Value {
        name,
        field,
        problem,
    };
    Ok(Hold {
        scope: match (hold.space.is_empty(), hold.feed.is_empty()) {
            (false, true) => Scope::Space(SpaceId::from_bytes(fixed(name, "space", &hold.space)?)),
            (true, false) => Scope::Feed(feed(name, &hold.feed, keys)?),
            _ => return Err(value("space", "and `feed` both, or neither")),
        },
        cause: word(hold.cause)
            .and_then(HoldCause::from_number)
            .ok_or(value("cause", "that is not known"))?,
        retry_after_ms: hold.retry_after_ms,
    })
}

fn fork_proof(proof: &wire::ForkProof, keys: &mut KeyCache) -> Result<ForkProof, DecodeError> {
    let name = shape::FORK_PROOF.name;
    let feed = feed(name, &proof.feed, keys)?;
    let [one, other] = proof.branches.as_slice() else {
        return Err(DecodeError::Value {
            name,
            field: "branches",
            problem: "other than two",
        });
    };
    let branches = [branch(&feed, one, keys)?, branch(&feed, other, keys)?];
    Ok(ForkProof { feed, branches })
}

fn branch(
    feed: &FeedId,
    branch: &wire::Branch,
    keys: &mut KeyCache,
) -> Result<Branch, DecodeError> {
    let name = shape::BRANCH.name;
    let (encoded, rest) = branch.headers.as_chunks::<HEADER_LEN>();
    if encoded.is_empty() || !rest.is_empty() {
        return Err(DecodeError::Length {
            name,
            field: "headers",
            found: branch.headers.len(),
            expected: HEADER_LEN,
        });
    }
    let mut headers: Vec<Header> = Vec::with_capacity(encoded.len());
    for bytes in encoded {
        let header = decode_header(name, "headers", bytes, keys)?;
        let follows = headers
            .last()
            .is_none_or(|last| last.seq.next() == Some(header.seq));
        if header.feed != *feed || !follows {
            return Err(DecodeError::Value {
                name,
                field: "headers",
                problem: "of another feed, or not consecutive",
            });
        }
        headers.push(header);
    }
    let signature = Signature::from_bytes(fixed(name, "signature", &branch.signature)?);
    Ok(Branch { headers, signature })
}

fn statement(statement: wire::Statement, keys: &mut KeyCache) -> Result<Statement, DecodeError> {
    let name = shape::STATEMENT.name;
    let kind = u16::try_from(statement.kind).map_err(|_| DecodeError::Value {
        name,
        field: "kind",
        problem: "above 65,535",
    })?;
    Ok(Statement {
        author: key(name, "author", &statement.author, keys)?,
        kind: StatementKind::new(kind),
        number: statement.number,
        expiry: Timestamp::from_millis(statement.expiry),
        body: statement.body.into(),
        signature: Signature::from_bytes(fixed(name, "signature", &statement.signature)?),
    })
}

/// A word's number; none has more than eight bits.
fn word(number: i32) -> Option<u8> {
    u8::try_from(number).ok()
}

/// The id of the last entry before `head`: zeros exactly where there is none.
fn head_hash(name: &'static str, head: Position, bytes: &[u8]) -> Result<EntryId, DecodeError> {
    let hash = EntryId::from_bytes(fixed(name, "hash", bytes)?);
    if head.is_start() != hash.is_zero() {
        return Err(DecodeError::Value {
            name,
            field: "hash",
            problem: "that is not of this position",
        });
    }
    Ok(hash)
}

fn key(
    name: &'static str,
    field: &'static str,
    bytes: &[u8],
    keys: &mut KeyCache,
) -> Result<PublicKey, DecodeError> {
    keys.get(&fixed(name, field, bytes)?)
        .map_err(|source| DecodeError::Key {
            name,
            field,
            source,
        })
}

fn feed(name: &'static str, bytes: &[u8], keys: &mut KeyCache) -> Result<FeedId, DecodeError> {
    let field = "feed";
    FeedId::from_bytes(&fixed(name, field, bytes)?, keys).map_err(|source| DecodeError::Key {
        name,
        field,
        source,
    })
}

fn decode_header(
    name: &'static str,
    field: &'static str,
    bytes: &[u8],
    keys: &mut KeyCache,
) -> Result<Header, DecodeError> {
    Header::decode(bytes, keys).map_err(|source| DecodeError::Header {
        name,
        field,
        source,
    })
}
