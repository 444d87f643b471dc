//! Fuzz target of the verifier as a plain function: it takes arbitrary bytes, and panics if a rule is broken. `fuzz/`
//! runs it with a fuzzer, `tests/fuzz_corpus.rs` with the corpus.

use std::sync::OnceLock;

use bytes::Bytes;
use skychat_feed::{Checked, VerifiedRange, Verifier};
use skychat_identity::SecretKey;
use skychat_proto::entry::{Flags, Kind, Suite};
use skychat_proto::ids::{
    EntryId, FeedId, Incarnation, MessageId, Position, Seq, SpaceId, Stream, Timestamp,
};
use skychat_proto::open::{Open, WriterKind};
use skychat_proto::range::{RangeBuilder, Row, RowLabel};

/// Ranges of the feed that is asked for.
const RANGES: usize = 6;

/// The feed of Ann towards Bob, in ranges, and what must never pass.
pub(crate) struct Scene {
    /// Ranges that join one another.
    pub(crate) ranges: Vec<Bytes>,
    ends: Vec<(Position, EntryId)>,
    /// The first range, signed by another key.
    pub(crate) forged: Bytes,
    /// The first range of a feed that nobody asked for.
    pub(crate) unasked: Bytes,
    feed: FeedId,
}

pub(crate) fn scene() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(|| {
        let (ann, bob) = (SecretKey::from_seed([1; 32]), SecretKey::from_seed([2; 32]));
        let feed = |life| FeedId {
            author: ann.public(),
            space: SpaceId::direct(&ann.public(), &bob.public()).unwrap(),
            stream: Stream::MESSAGES,
            incarnation: Incarnation::from_bytes([life; 8]),
        };
        let mut ranges = Vec::new();
        let mut ends = vec![(Position::START, EntryId::ZERO)];
        for n in 0..RANGES {
            let (end, tip) = ends[n];
            let range = range(feed(7), end, tip, n % 3 + 1, &ann);
            ends.push((range.end(), range.tip()));
            ranges.push(range.raw().to_bytes());
        }
        let first = |life, by: &SecretKey| {
            let range = range(feed(life), Position::START, EntryId::ZERO, 2, by);
            range.raw().to_bytes()
        };
        Scene {
            ranges,
            ends,
            forged: first(7, &bob),
            unasked: first(8, &ann),
            feed: feed(7),
        }
    })
}

fn range(
    feed: FeedId,
    from: Position,
    tip: EntryId,
    entries: usize,
    by: &SecretKey,
) -> VerifiedRange {
    let open = Open {
        writer: WriterKind::Node,
        parent: None,
        epoch: 0,
        heads: vec![],
        continues: vec![],
    };
    let open = open.encode().unwrap();
    let mut builder = RangeBuilder::new(feed, from.next(), tip).unwrap();
    for n in 0..entries as u64 {
        let first = from.get() + n == 0;
        let body = if first {
            open.clone()
        } else {
            vec![n as u8; 9]
        };
        let label = RowLabel {
            time: Timestamp::from_millis(n),
            kind: if first { Kind::Open } else { Kind::Content },
            suite: if first {
                Suite::CLEAR
            } else {
                Suite::HPKE_X25519
            },
            flags: Flags::NONE,
            context: Seq::FIRST,
            message: if first {
                MessageId::ZERO
            } else {
                MessageId::from_bytes([9; 16])
            },
        };
        let row = Row::of_body(label, &body).unwrap();
        builder.push(&row, Some(&body)).unwrap();
    }
    VerifiedRange::sign(builder, by).unwrap()
}

/// What the verifier may say of some bytes.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Taken,
    Misfit,
    Refused(&'static str),
}

/// A link on which anything comes: ranges in order and out of it, again, changed, forged, of another feed, and bytes
/// that are none. Exactly what Ann signed is let through, each range once and in order, and what is refused changes
/// nothing.
///
/// The bytes are steps: a number, and what it needs.
pub(crate) fn feed_entry_verify(mut data: &[u8]) {
    let scene = scene();
    let mut verifier = Verifier::new();
    verifier.expect(scene.feed, Position::START, EntryId::ZERO);
    let mut taken = 0;
    for _ in 0..32 {
        let Some((step, rest)) = data.split_first() else {
            return;
        };
        data = rest;
        let pick = usize::from(step / 8) % RANGES;
        let (bytes, expected) = match step % 8 {
            // One of the ranges, whichever it is.
            0..=2 if pick == taken => (scene.ranges[pick].clone(), Some(Verdict::Taken)),
            0..=2 => (scene.ranges[pick].clone(), Some(Verdict::Misfit)),
            3 => {
                // One that would join, changed in one place.
                let Some((change, rest)) = data.split_first_chunk::<3>() else {
                    return;
                };
                data = rest;
                let mut bytes = scene.ranges[taken.min(RANGES - 1)].to_vec();
                let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % bytes.len();
                if change[2] == 0 {
                    bytes.truncate(at);
                } else {
                    bytes[at] ^= change[2];
                }
                let verdict = check(&mut verifier, bytes.into());
                assert_ne!(verdict, Verdict::Taken, "byte {at}");
                continue;
            }
            4 if taken == 0 => (scene.forged.clone(), Some(Verdict::Refused("RANGE-3"))),
            4 => (scene.forged.clone(), Some(Verdict::Misfit)),
            5 => (scene.unasked.clone(), Some(Verdict::Refused("SYNC-2"))),
            6 => {
                // Asked for again from somewhere: what was before is not taken, what joins is.
                let (end, tip) = scene.ends[pick];
                verifier.expect(scene.feed, end, tip);
                taken = pick;
                continue;
            }
            _ => {
                // The rest as it is.
                let whole = Bytes::copy_from_slice(data);
                data = &[];
                let genuine = scene.ranges.get(taken) == Some(&whole);
                (whole, genuine.then_some(Verdict::Taken))
            }
        };
        let verdict = check(&mut verifier, bytes);
        match expected {
            Some(expected) => assert_eq!(verdict, expected),
            None => assert_ne!(verdict, Verdict::Taken),
        }
        taken += usize::from(verdict == Verdict::Taken);
    }
}

fn check(verifier: &mut Verifier, bytes: Bytes) -> Verdict {
    match verifier.check(bytes.clone()) {
        Ok(Checked::Range(range)) => {
            assert_eq!(range.raw().to_bytes(), bytes);
            Verdict::Taken
        }
        Ok(Checked::Misfit { .. }) => Verdict::Misfit,
        Err(violation) => Verdict::Refused(violation.rule()),
    }
}
