//! Somebody who writes into a journal.

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;
use skychat_identity::SecretKey;
use skychat_proto::entry::{Flags, Kind, Suite};
use skychat_proto::ids::{
    BatchId, EntryId, FeedId, Incarnation, MessageId, Position, Seq, SpaceId, Stream, Timestamp,
};
use skychat_proto::range::{RangeBuilder, Row, RowLabel};
use skychat_proto::record::{Batch, ContentOf, Record};
use skychat_seal::StoreKey;
use skychat_store::{Disk, OpenOptions, Store, StoreReader, StoreWriter};
use zeroize::Zeroizing;

pub(crate) type Failure = Box<dyn std::error::Error>;

pub(crate) const BODY: usize = 400;
pub(crate) const TEXT: usize = 256;

pub(crate) fn options(tail: Option<usize>) -> OpenOptions {
    let key = StoreKey::generate(&mut ChaCha20Rng::from_seed([3; 32]));
    let owner = SecretKey::from_seed([1; 32]).public();
    let life = Incarnation::from_bytes([7; 8]);
    OpenOptions {
        tail,
        ..OpenOptions::new(owner, key, life, [5; 32])
    }
}

pub(crate) fn open(disk: impl Disk + 'static) -> Result<(StoreWriter, StoreReader), Failure> {
    let (writer, reader, _) = Store::open(disk, options(None))?;
    Ok((writer, reader))
}

/// Writes messages.
pub(crate) struct Author {
    pub(crate) secret: SecretKey,
    pub(crate) feed: FeedId,
    pub(crate) head: Position,
    pub(crate) tip: EntryId,
}

impl Author {
    pub(crate) fn new() -> Result<Self, Failure> {
        let secret = SecretKey::from_seed([1; 32]);
        let peer = SecretKey::from_seed([2; 32]).public();
        let feed = FeedId {
            author: secret.public(),
            space: SpaceId::direct(&secret.public(), &peer)?,
            stream: Stream::MESSAGES,
            incarnation: Incarnation::from_bytes([7; 8]),
        };
        Ok(Author {
            secret,
            feed,
            head: Position::START,
            tip: EntryId::ZERO,
        })
    }

    /// A range of messages with their contents, each an event.
    pub(crate) fn batch(&mut self, count: u64) -> Result<Batch, Failure> {
        let mut builder = RangeBuilder::new(self.feed, self.head.next(), self.tip)?;
        let body = [9; BODY];
        for n in 0..count {
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
            builder.push(&Row::of_body(label, &body)?, Some(&body))?;
        }
        let (range, tip) = builder.sign(&self.secret)?;
        let ids: Vec<EntryId> = range.headers().map(|(_, id)| id).collect();
        (self.head, self.tip) = (range.end(), tip);
        let mut records = vec![Record::Range { range }];
        for (row, id) in (0_u16..).zip(ids) {
            records.push(Record::Content {
                of: ContentOf::Entry {
                    back: row + 1,
                    row,
                    id,
                },
                event: true,
                plaintext: Zeroizing::new(vec![4; TEXT]),
            });
        }
        let id = BatchId::new(self.head.get());
        Ok(Batch { id, records })
    }
}
