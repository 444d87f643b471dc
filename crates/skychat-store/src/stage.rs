//! A group as it is put together.

use std::collections::BTreeMap;

use chacha20::ChaCha20Rng;
use skychat_identity::PublicKey;
use skychat_proto::append;
use skychat_proto::entry::Header;
use skychat_proto::ids::{EntryId, EventSeq, FeedId, MessageId, Position, SpaceId, TableId};
use skychat_proto::range::RawRange;
use skychat_proto::record::{ContentOf, Record, tables};
use skychat_seal::StoreKey;
use zeroize::Zeroizing;

use crate::error::Refused;
use crate::event::{EventView, StoredEvent};
use crate::index::{Index, Place, RecordId, Row, Tip};
use crate::layout::{
    CRC_LEN, Counts, GROUP_LEN, GroupHeader, RECORD_LEN, RecordHead, RecordKind, StoreId, head_sum,
};
use crate::record::{
    CHECKPOINTS, ContentMeta, ContentSeal, LIVES, Span, checkpoint_key, checkpoint_row, is_own,
    put_row_meta, seal_row,
};

/// What a record means.
enum Fact {
    Range {
        feed: FeedId,
        end: Position,
        tip: EntryId,
    },
    Content {
        header: Header,
        id: EntryId,
        plaintext: Zeroizing<Vec<u8>>,
    },
    Draft {
        author: PublicKey,
        space: SpaceId,
        message: MessageId,
        plaintext: Zeroizing<Vec<u8>>,
    },
    Drop(Span),
    Put {
        table: TableId,
        key: Vec<u8>,
        value: Zeroizing<Vec<u8>>,
    },
    Delete {
        table: TableId,
        key: Vec<u8>,
    },
}

struct Staged {
    /// Of its head, in the group.
    at: usize,
    meta: u32,
    body: u32,
    body_sum: u32,
    event: u64,
    fact: Fact,
}

/// A group that is not written yet.
pub(crate) struct Stage {
    /// Room for the group header, then records without the checksums of their heads.
    bytes: Vec<u8>,
    counts: Counts,
    records: Vec<Staged>,
    /// The ranges of this group, by their records.
    ranges: BTreeMap<usize, RawRange>,
    tips: BTreeMap<FeedId, Tip>,
}

/// Without what people say.
impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage")
            .field("records", &self.records.len())
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl Stage {
    /// Empty, to stand behind what `counts` says, with room for so many records and bytes. It is
    /// put together in `buffer`, whatever is in it.
    pub(crate) fn new(counts: Counts, records: usize, bytes: usize, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.reserve(bytes.saturating_add(GROUP_LEN));
        buffer.resize(GROUP_LEN, 0);
        Stage {
            bytes: buffer,
            counts,
            records: Vec::with_capacity(records),
            ranges: BTreeMap::new(),
            tips: BTreeMap::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Length in bytes, with its header.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The number of the last event so far.
    pub(crate) fn last_event(&self) -> EventSeq {
        EventSeq::new(self.counts.events)
    }

    /// How far the journal goes with this group.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            groups: self.counts.groups.saturating_add(1),
            ..self.counts
        }
    }

    /// The number of the next event, if the record is one.
    fn number(&mut self, event: bool) -> u64 {
        if !event {
            return 0;
        }
        self.counts.events = self.counts.events.saturating_add(1);
        self.counts.events
    }

    /// Adds a record; `meta` and `body` append to what they are given.
    fn add(
        &mut self,
        kind: RecordKind,
        event: u64,
        fact: Fact,
        meta: impl FnOnce(&Fact, &mut Vec<u8>),
        body: impl FnOnce(&Fact, &mut Vec<u8>) -> Option<()>,
    ) -> Result<(), Refused> {
        let at = self.bytes.len();
        let meta_at = at.saturating_add(RECORD_LEN);
        self.bytes.resize(meta_at, 0);
        meta(&fact, &mut self.bytes);
        let meta_end = self.bytes.len();
        let body_at = meta_end.saturating_add(CRC_LEN);
        self.bytes.resize(body_at, 0);
        body(&fact, &mut self.bytes).ok_or(Refused::Length)?;
        let meta_len = u32::try_from(meta_end.saturating_sub(meta_at));
        let body_len = u32::try_from(self.bytes.len().saturating_sub(body_at));
        let (Ok(meta_len), Ok(body_len)) = (meta_len, body_len) else {
            return Err(Refused::Length);
        };
        let written = self.bytes.get(body_at..).unwrap_or_default();
        let head = RecordHead::of(kind, meta_len, body_len, event, written);
        let body_sum = head.body_sum;
        let head = head.encode();
        if let Some(place) = self.bytes.get_mut(at..meta_at) {
            place.copy_from_slice(&head);
        }
        let meta = self.bytes.get(meta_at..meta_end).unwrap_or_default();
        self.counts.chain = self.counts.chain.step(&head, meta);
        self.counts.records = self.counts.records.saturating_add(1);
        self.records.push(Staged {
            at,
            meta: meta_len,
            body: body_len,
            body_sum,
            event,
            fact,
        });
        Ok(())
    }

    /// Adds the row that says with which event this life begins.
    pub(crate) fn push_life(
        &mut self,
        key: &StoreKey,
        rng: &mut ChaCha20Rng,
        life: &[u8],
        first: EventSeq,
    ) -> Result<(), Refused> {
        let value = Zeroizing::new(first.get().to_be_bytes().to_vec());
        self.put(key, rng, LIVES, life.to_vec(), value, 0)
    }

    /// Adds the row that says what checkpoint there is of a segment.
    pub(crate) fn push_checkpoint(
        &mut self,
        key: &StoreKey,
        rng: &mut ChaCha20Rng,
        segment: u32,
        hash: &[u8; 32],
    ) -> Result<(), Refused> {
        let row = checkpoint_key(segment).to_vec();
        self.put(key, rng, CHECKPOINTS, row, Zeroizing::new(hash.to_vec()), 0)
    }

    /// Takes that row away.
    pub(crate) fn drop_checkpoint(&mut self, segment: u32) -> Result<(), Refused> {
        self.delete(CHECKPOINTS, checkpoint_key(segment).to_vec(), 0)
    }

    fn delete(&mut self, table: TableId, key: Vec<u8>, event: u64) -> Result<(), Refused> {
        self.add(
            RecordKind::Delete,
            event,
            Fact::Delete { table, key },
            |fact, out| {
                if let Fact::Delete { table, key } = fact {
                    put_row_meta(*table, key, out);
                }
            },
            |_, _| Some(()),
        )
    }

    /// How many records there are so far.
    pub(crate) fn records(&self) -> usize {
        self.records.len()
    }

    /// Has the group stand behind others that were written since; they have no events.
    pub(crate) fn rebase(&mut self, before: Counts) {
        self.counts.chain = before.chain;
        for record in &self.records {
            let end = record.at.saturating_add(RECORD_LEN);
            let meta_end = end.saturating_add(record.meta as usize);
            let head = self.bytes.get(record.at..end).unwrap_or_default();
            let meta = self.bytes.get(end..meta_end).unwrap_or_default();
            self.counts.chain = self.counts.chain.step(head, meta);
        }
        self.counts.groups = before.groups;
        self.counts.records = before.records.saturating_add(self.records.len() as u64);
    }

    pub(crate) fn put(
        &mut self,
        sealer: &StoreKey,
        rng: &mut ChaCha20Rng,
        table: TableId,
        key: Vec<u8>,
        value: Zeroizing<Vec<u8>>,
        event: u64,
    ) -> Result<(), Refused> {
        self.add(
            RecordKind::Put,
            event,
            Fact::Put { table, key, value },
            |fact, out| {
                if let Fact::Put { table, key, .. } = fact {
                    put_row_meta(*table, key, out);
                }
            },
            |fact, out| match fact {
                Fact::Put { table, key, value } => seal_row(sealer, rng, *table, key, value, out),
                _ => Some(()),
            },
        )
    }

    /// Adds a record. After an error the stage is of no more use.
    pub(crate) fn push(
        &mut self,
        index: &Index,
        sealer: &StoreKey,
        rng: &mut ChaCha20Rng,
        record: Record,
    ) -> Result<(), Refused> {
        match record {
            Record::Range { range } => {
                let feed = range.feed();
                let tip = self.tips.get(&feed).copied();
                let tip = tip.unwrap_or_else(|| index.tip(&feed));
                if range.start() != tip.head || range.first_prev() != tip.hash {
                    return Err(Refused::Range);
                }
                let (end, hash) = (range.end(), range.tip());
                self.tips.insert(feed, Tip { head: end, hash });
                self.ranges.insert(self.records.len(), range.clone());
                let fact = Fact::Range {
                    feed,
                    end,
                    tip: hash,
                };
                self.add(
                    RecordKind::Entry,
                    0,
                    fact,
                    |_, out| out.extend_from_slice(range.head_block()),
                    |_, out| {
                        append(out, range.bodies());
                        Some(())
                    },
                )
            }
            Record::Content {
                of: ContentOf::Entry { back, row, id },
                event,
                plaintext,
            } => {
                let range = self.records.len().checked_sub(back.into());
                let range = range.and_then(|range| self.ranges.get_mut(&range));
                let (header, _) = range
                    .and_then(|range| {
                        if range.hashed_headers().is_none() {
                            *range = range.clone().hashed();
                        }
                        range.hashed_headers()?.get(usize::from(row))
                    })
                    .filter(|(_, found)| *found == id)
                    .copied()
                    .ok_or(Refused::Content)?;
                let number = self.number(event);
                self.add(
                    RecordKind::Content,
                    number,
                    Fact::Content {
                        header,
                        id,
                        plaintext,
                    },
                    |_, out| ContentMeta::Entry { back, row }.encode(out),
                    |fact, out| match fact {
                        Fact::Content {
                            header,
                            id,
                            plaintext,
                        } => ContentSeal {
                            author: &header.feed.author,
                            space: &header.feed.space,
                            message: &header.message,
                            entry: id,
                        }
                        .seal(sealer, rng, plaintext, out),
                        _ => Some(()),
                    },
                )
            }
            Record::Content {
                of:
                    ContentOf::Draft {
                        author,
                        space,
                        message,
                    },
                event,
                plaintext,
            } => {
                let number = self.number(event);
                let meta = ContentMeta::Draft {
                    author,
                    space,
                    message,
                };
                self.add(
                    RecordKind::Content,
                    number,
                    Fact::Draft {
                        author,
                        space,
                        message,
                        plaintext,
                    },
                    |_, out| meta.encode(out),
                    |fact, out| match fact {
                        Fact::Draft { plaintext, .. } => ContentSeal {
                            author: &author,
                            space: &space,
                            message: &message,
                            entry: &EntryId::ZERO,
                        }
                        .seal(sealer, rng, plaintext, out),
                        _ => Some(()),
                    },
                )
            }
            Record::Drop {
                feed,
                from,
                to,
                parts,
            } => {
                if from > to {
                    return Err(Refused::Span);
                }
                let span = Span {
                    feed,
                    from,
                    to,
                    parts,
                };
                self.add(
                    RecordKind::Drop,
                    0,
                    Fact::Drop(span),
                    |_, out| span.encode(out),
                    |_, _| Some(()),
                )
            }
            Record::Put { table, .. } | Record::Delete { table, .. } if is_own(table) => {
                Err(Refused::Table)
            }
            Record::Put {
                table,
                key,
                value,
                event,
            } => {
                let number = self.number(event);
                self.put(sealer, rng, table, key, Zeroizing::new(value), number)
            }
            Record::Delete { table, key, event } => {
                let number = self.number(event);
                self.delete(table, key, number)
            }
        }
    }

    /// The group as it stands at `offset` of a segment.
    pub(crate) fn seal(&mut self, store: StoreId, segment: u32, generation: u32, offset: u64) {
        for record in &self.records {
            let end = record.at.saturating_add(RECORD_LEN);
            let meta_end = end.saturating_add(record.meta as usize);
            let place = offset.saturating_add(record.at as u64);
            let head = self.bytes.get(record.at..end).unwrap_or_default();
            let meta = self.bytes.get(end..meta_end).unwrap_or_default();
            let sum = head_sum(segment, generation, place, head, meta);
            let sum_end = meta_end.saturating_add(CRC_LEN);
            if let Some(place) = self.bytes.get_mut(meta_end..sum_end) {
                place.copy_from_slice(&sum);
            }
        }
        let header = GroupHeader {
            store,
            segment,
            generation,
            number: self.counts().groups,
            // At most `MAX_GROUP_RECORDS`.
            records: u32::try_from(self.records.len()).unwrap_or(u32::MAX),
            length: self.bytes.len().saturating_sub(GROUP_LEN) as u64,
            chain: self.counts.chain,
        };
        let mut encoded = Vec::with_capacity(GROUP_LEN);
        header.encode(offset, &mut encoded);
        if let Some(place) = self.bytes.get_mut(..GROUP_LEN) {
            place.copy_from_slice(&encoded);
        }
    }

    /// Adds zeros behind the group; they are no part of it.
    pub(crate) fn pad(&mut self, to: usize) {
        if self.bytes.len() < to {
            self.bytes.resize(to, 0);
        }
    }

    /// Takes the zeros away again.
    pub(crate) fn cut(&mut self, length: usize) {
        self.bytes.truncate(length);
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Enters what is on disk now; gives its events, and the buffer for another one.
    pub(crate) fn enter(
        self,
        index: &mut Index,
        segment: u32,
        generation: u32,
        offset: u64,
    ) -> (Vec<StoredEvent>, Vec<u8>) {
        let counts = self.counts();
        let group_end = offset.saturating_add(self.bytes.len() as u64);
        let told = self.records.iter().filter(|staged| staged.event != 0);
        let mut events = Vec::with_capacity(told.count());
        for (number, staged) in self.records.into_iter().enumerate() {
            let record = RecordId {
                group: counts.groups,
                index: u16::try_from(number).unwrap_or(u16::MAX),
            };
            let place = Place {
                segment,
                generation,
                offset: offset.saturating_add(staged.at as u64),
                group_end,
                meta: staged.meta,
                body: staged.body,
                body_sum: staged.body_sum,
                record,
                event: staged.event,
            };
            if let Some(view) = enter(index, staged.fact, place) {
                let seq = EventSeq::new(staged.event);
                events.push(StoredEvent { seq, view });
            }
        }
        index.groups = counts.groups;
        index.records = counts.records;
        (events, self.bytes)
    }
}

/// Enters one record; gives how it is seen if it is an event.
fn enter(index: &mut Index, fact: Fact, place: Place) -> Option<EventView> {
    let is_event = place.event != 0;
    let record = place.record;
    index.add_record(&place);
    match fact {
        Fact::Range { feed, end, tip } => {
            index.add_range(feed, end, tip, place);
            None
        }
        Fact::Content {
            header, plaintext, ..
        } => {
            index.add_content(header.feed, header.seq, header.message, record);
            is_event.then_some(EventView::Message {
                header,
                record,
                plaintext: Some(plaintext),
            })
        }
        Fact::Draft {
            author,
            space,
            message,
            plaintext,
        } => is_event.then_some(EventView::Draft {
            author,
            space,
            message,
            record,
            plaintext: Some(plaintext),
        }),
        Fact::Drop(span) => {
            index.add_drop(&span, record.group);
            None
        }
        Fact::Put { table, key, value } => {
            let view = is_event.then(|| EventView::Row {
                table,
                key: key.clone(),
                value: Some(value.to_vec()),
            });
            if table == CHECKPOINTS {
                index.checkpoints.extend(checkpoint_row(&key, &value));
            } else if !is_own(table) && table != tables::EVENT {
                index.put(table, key, Row { value, record });
            }
            view
        }
        Fact::Delete { table, key } => {
            if table == CHECKPOINTS {
                index.forget_checkpoint(&key);
            }
            index.delete(table, &key, record.group);
            is_event.then_some(EventView::Deleted { table, key })
        }
    }
}

/// How many bytes a record takes, about.
pub(crate) fn record_size(record: &Record) -> usize {
    let fixed = RECORD_LEN + CRC_LEN;
    let rest = match record {
        Record::Range { range } => range.encoded_len(),
        Record::Content { plaintext, .. } => crate::record::sealed_len(plaintext.len()) + 81,
        Record::Drop { .. } => Span::LEN,
        Record::Put { key, value, .. } => crate::record::sealed_len(value.len())
            .saturating_add(key.len())
            .saturating_add(1),
        Record::Delete { key, .. } => key.len().saturating_add(1),
    };
    rest.saturating_add(fixed)
}
