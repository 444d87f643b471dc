//! How far the policy came, as rows of the journal.

use skychat_identity::KeyCache;
use skychat_proto::DecodeError;
use skychat_proto::ids::{EventSeq, FeedId, Incarnation, Position, SpaceId, Timestamp};
use skychat_proto::record::tables::{self, KeptRow, KeptSpaceRow, LeftRow};

use super::{Keeper, Left, Passed};

/// The key of the row about the log as a whole.
const LOG: &[u8] = b"log";

/// A row that is put, or taken away.
type RowChange = (Vec<u8>, Option<Vec<u8>>);

impl Keeper {
    pub(super) fn restore(
        &mut self,
        rows: &[(Vec<u8>, Vec<u8>)],
        life_of: impl Fn(EventSeq) -> Option<Incarnation>,
    ) -> Result<(), DecodeError> {
        let mut is_other = false;
        let mut keys = KeyCache::new();
        for (key, row) in rows {
            if key == LOG {
                let row: KeptRow = tables::decode_row(row)?;
                self.passed = EventSeq::new(row.passed);
                self.given.add(row.pending);
                let life = life_of(EventSeq::new(row.last));
                is_other = row.last > 0 && life != Incarnation::from_slice(&row.life);
                let times = row.times.iter().copied().map(Timestamp::from_millis);
                let events = row.events.iter().copied().map(EventSeq::new);
                self.marks = times.zip(events).collect();
            } else if let Some(space) = SpaceId::from_slice(key) {
                let row: KeptSpaceRow = tables::decode_row(row)?;
                let passed = Passed {
                    messages: row.passed,
                    event: EventSeq::new(row.event),
                    blocked: EventSeq::ZERO,
                };
                self.spaces.insert(space, passed);
            } else {
                let feed = tables::feed_id(key, &mut keys)?;
                let row: LeftRow = tables::decode_row(row)?;
                let left = Left {
                    from: Position::new(row.from),
                    to: Position::new(row.to),
                    bytes: row.bytes,
                };
                self.left.insert(feed, left);
            }
        }
        if is_other {
            // Places in feeds are what they were, numbers of events are not.
            self.passed = EventSeq::ZERO;
            self.marks.clear();
            self.spaces.clear();
        }
        Ok(())
    }

    pub(super) fn log_row(&self) -> RowChange {
        let row = KeptRow {
            passed: self.passed.get(),
            last: self.last.get(),
            pending: self.given.bytes(),
            life: self
                .life
                .map(|life| life.as_bytes().to_vec())
                .unwrap_or_default(),
            times: self.marks.iter().map(|(at, _)| at.as_millis()).collect(),
            events: self.marks.iter().map(|(_, event)| event.get()).collect(),
        };
        (LOG.to_vec(), Some(tables::encode_row(&row)))
    }

    pub(super) fn space_row(&self, space: &SpaceId) -> RowChange {
        let passed = self.spaces.get(space).copied().unwrap_or_default();
        let row = KeptSpaceRow {
            passed: passed.messages,
            event: passed.event.get(),
        };
        (space.as_bytes().to_vec(), Some(tables::encode_row(&row)))
    }

    pub(super) fn left_row(&self, feed: &FeedId) -> RowChange {
        let row = self.left.get(feed).map(|left| {
            tables::encode_row(&LeftRow {
                from: left.from.get(),
                to: left.to.get(),
                bytes: left.bytes,
            })
        });
        (feed.to_bytes().to_vec(), row)
    }
}
