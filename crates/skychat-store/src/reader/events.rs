//! Reading events.

use skychat_identity::KeyCache;
use skychat_proto::ids::{EntryId, EventSeq, Incarnation};

use super::messages::Heads;
use super::{StoreReader, damaged};
use crate::error::{Damage, ReadError};
use crate::event::{EventView, StoredEvent};
use crate::layout::RecordKind;
use crate::record::{ContentMeta, ContentSeal, open_row, row_meta};
use crate::walk::{Passed, Walk};

impl StoreReader {
    /// Events from number `from` on, in order, at most `limit`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn events(&self, from: EventSeq, limit: usize) -> Result<Vec<StoredEvent>, ReadError> {
        let first = from.get().max(1);
        let last = self.index().events;
        let left = last.saturating_add(1).saturating_sub(first);
        let count = usize::try_from(left).unwrap_or(limit).min(limit);
        let mut events = Vec::with_capacity(count);
        if count == 0 {
            return Ok(events);
        }
        let Some(mark) = self.shared.mark_before_event(first)? else {
            return Ok(events);
        };
        let mut walk = Walk::new(&self.shared, mark)?;
        let mut heads = Heads::new(self);
        let mut keys = KeyCache::new();
        while events.len() < count {
            let Some(passed) = walk.next()? else { break };
            if passed.place.event < first {
                continue;
            }
            events.push(StoredEvent {
                seq: EventSeq::new(passed.place.event),
                view: self.view(&passed, &mut heads, &mut keys)?,
            });
        }
        Ok(events)
    }

    fn view(
        &self,
        passed: &Passed,
        heads: &mut Heads,
        keys: &mut KeyCache,
    ) -> Result<EventView, ReadError> {
        let place = &passed.place;
        let bad = || damaged(place, Damage::Record);
        match passed.kind {
            RecordKind::Content => match ContentMeta::decode(&passed.meta, keys) {
                Some(ContentMeta::Entry { .. }) => {
                    let (header, id) = heads.entry_of(passed)?;
                    Ok(EventView::Message {
                        header,
                        record: place.record,
                        plaintext: self.text(&header, &id, place)?,
                    })
                }
                Some(ContentMeta::Draft {
                    author,
                    space,
                    message,
                }) => {
                    let (_, sealed) = self.whole(place)?;
                    let seal = ContentSeal {
                        author: &author,
                        space: &space,
                        message: &message,
                        entry: &EntryId::ZERO,
                    };
                    let text = seal.open(&self.shared.key, &sealed);
                    Ok(EventView::Draft {
                        author,
                        space,
                        message,
                        record: place.record,
                        plaintext: Some(text.ok_or_else(|| damaged(place, Damage::Body))?),
                    })
                }
                None => Err(bad()),
            },
            RecordKind::Put => {
                let (meta, sealed) = self.record(place, true)?;
                let (table, key) = row_meta(&meta).ok_or_else(bad)?;
                // One that was overwritten, because a later row took its place, is no damage.
                let is_whole = place.body_sum == crc32c::crc32c(&sealed);
                let value = is_whole
                    .then(|| open_row(&self.shared.key, table, key, &sealed).ok_or_else(bad))
                    .transpose()?;
                Ok(EventView::Row {
                    table,
                    key: key.to_vec(),
                    value: value.map(|value| value.to_vec()),
                })
            }
            RecordKind::Delete => {
                let (table, key) = row_meta(&passed.meta).ok_or_else(bad)?;
                let key = key.to_vec();
                Ok(EventView::Deleted { table, key })
            }
            RecordKind::Entry | RecordKind::Drop => Err(bad()),
        }
    }

    /// The number of the first event that is kept; one more than the last if there is none.
    pub fn first_event(&self) -> EventSeq {
        EventSeq::ZERO.next()
    }

    /// The number of the last event; 0 if there is none.
    pub fn last_event(&self) -> EventSeq {
        self.index().last_event()
    }

    /// Which life wrote an event; `None` if there is no such event.
    pub fn life_of(&self, event: EventSeq) -> Option<Incarnation> {
        self.index().life_of(event)
    }

    /// The number with which the events of a life begin, whether or not it wrote any.
    pub fn first_of(&self, life: Incarnation) -> Option<EventSeq> {
        let index = self.index();
        let found = index.lives.iter().find(|(_, of)| *of == life);
        found.map(|(first, _)| *first)
    }
}
