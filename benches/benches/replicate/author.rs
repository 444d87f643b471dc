//! Somebody who wrote a long feed in clear.

use skychat_identity::SecretKey;
use skychat_proto::entry::{Flags, Kind, Suite};
use skychat_proto::ids::{
    BatchId, EntryId, FeedId, Incarnation, MessageId, Position, Seq, SpaceId, Stream, Timestamp,
};
use skychat_proto::open::{Open, WriterKind};
use skychat_proto::range::{RangeBuilder, Row, RowLabel};
use skychat_proto::record::{Batch, Record};

/// Bytes of each body.
pub(crate) const BODY: usize = 256;

pub(crate) struct Author {
    secret: SecretKey,
    pub(crate) feed: FeedId,
    pub(crate) head: Position,
    pub(crate) tip: EntryId,
}

impl Author {
    pub(crate) fn new(secret: SecretKey, space: SpaceId) -> Self {
        let feed = FeedId {
            author: secret.public(),
            space,
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

    /// A range of `entries` entries under one signature; the first of the feed is its `open`.
    pub(crate) fn batch(&mut self, entries: u64) -> Batch {
        let (first, prev, count) = (self.head.next(), self.tip, entries as usize);
        let mut builder =
            RangeBuilder::with_capacity(self.feed, first, prev, count, count * BODY).unwrap();
        let open = Open {
            writer: WriterKind::Node,
            parent: None,
            epoch: 0,
            heads: Vec::new(),
            continues: Vec::new(),
        };
        for n in 0..entries {
            let number = self.head.get() + n;
            let (kind, body) = match number {
                0 => (Kind::Open, open.encode().unwrap()),
                number => (Kind::Content, [number.to_le_bytes(); BODY / 8].concat()),
            };
            let message = match kind {
                Kind::Content => MessageId::from_bytes(u128::from(number).to_be_bytes()),
                _ => MessageId::from_bytes([0; 16]),
            };
            let label = RowLabel {
                time: Timestamp::from_millis(1_800_000_000_000),
                kind,
                suite: Suite::CLEAR,
                flags: Flags::NONE,
                context: Seq::FIRST,
                message,
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
