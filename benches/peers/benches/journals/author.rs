//! Somebody who writes into our journal: signed ranges of entries, as a node stores them that
//! catches up with a peer.

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;
use skychat_identity::SecretKey;
use skychat_proto::entry::{Flags, Kind, Suite};
use skychat_proto::ids::{
    BatchId, EntryId, FeedId, Incarnation, MessageId, Position, Seq, SpaceId, Stream, Timestamp,
};
use skychat_proto::range::{RangeBuilder, Row, RowLabel};
use skychat_proto::record::{Batch, Record};
use skychat_seal::StoreKey;
use skychat_store::OpenOptions;

/// Of the body of an entry.
pub(crate) const BODY: usize = 256;

pub(crate) struct Author {
    secret: SecretKey,
    feed: FeedId,
    head: Position,
    tip: EntryId,
}

impl Author {
    pub(crate) fn new() -> Self {
        let secret = SecretKey::from_seed([1; 32]);
        let peer = SecretKey::from_seed([2; 32]).public();
        let feed = FeedId {
            author: secret.public(),
            space: SpaceId::direct(&secret.public(), &peer).unwrap(),
            stream: Stream::MESSAGES,
            incarnation: Incarnation::from_bytes([7; 8]),
        };
        Author {
            secret,
            feed,
            head: Position::START,
            tip: EntryId::ZERO,
        }
    }

    /// The options of a store that is theirs.
    pub(crate) fn options(&self) -> OpenOptions {
        let key = StoreKey::generate(&mut ChaCha20Rng::from_seed([3; 32]));
        let life = Incarnation::from_bytes([7; 8]);
        OpenOptions::new(self.secret.public(), key, life, [5; 32])
    }

    /// The next so many entries.
    pub(crate) fn batch(&mut self, entries: u64) -> Batch {
        let (first, prev, count) = (self.head.next(), self.tip, entries as usize);
        let mut builder =
            RangeBuilder::with_capacity(self.feed, first, prev, count, count * BODY).unwrap();
        let body = [9; BODY];
        for n in 0..entries {
            // Spread as random ids are.
            let number = (self.head.get() + n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let message = (u128::from(number) << 64 | u128::from(!number)).to_be_bytes();
            let label = RowLabel {
                time: Timestamp::from_millis(1_800_000_000_000),
                kind: Kind::Content,
                suite: Suite::HPKE_X25519,
                flags: Flags::NONE,
                context: Seq::FIRST,
                message: MessageId::from_bytes(message),
            };
            let row = Row::of_body(label, &body).unwrap();
            builder.push(&row, Some(&body)).unwrap();
        }
        let (range, tip) = builder.sign(&self.secret).unwrap();
        (self.head, self.tip) = (range.end(), tip);
        Batch {
            id: BatchId::new(self.head.get()),
            records: vec![Record::Range { range }],
        }
    }
}
