//! What a journal says, record by record, so that it can be written again: all of it, or what is
//! left of it after damage.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use skychat_identity::KeyCache;
use skychat_proto::entry::Kind;
use skychat_proto::ids::{EntryId, EventSeq, Incarnation, TableId};
use skychat_proto::range::RawRange;
use skychat_proto::record::{ContentOf, Record};
use skychat_seal::StoreKey;
use zeroize::Zeroizing;

use crate::doubts::Doubts;
use crate::error::Damage;
use crate::index::{Index, Tail, is_dropped};
use crate::layout::RecordKind;
use crate::loss::{Loss, Losses};
use crate::record::{ContentMeta, ContentSeal, LIVES, Span, is_own, open_row, row_meta};
use crate::replay::ReadRecord;
use crate::survey::Surveyed;

/// A group of a journal, opened. What was dropped is not in it any more: bodies are absent, and a
/// content is empty, which a later drop makes good.
#[derive(Debug, Default)]
pub struct KeptGroup {
    /// The life whose events begin with this group.
    pub life: Option<Incarnation>,
    /// What it says, in order.
    pub records: Vec<KeptRecord>,
}

/// A record of a journal, opened.
#[derive(Debug)]
pub struct KeptRecord {
    /// The number it has as an event; 0: it is none.
    pub event: EventSeq,
    /// What it says.
    pub record: Record,
}

/// Where the ranges of one group went.
type Ranges = BTreeMap<u16, (usize, RawRange)>;

/// What was said so far, and what of it is still in doubt.
pub(crate) struct Gatherer<'a> {
    /// Without it nothing is opened, and nothing given.
    key: Option<&'a StoreKey>,
    keys: KeyCache,
    index: Index,
    /// What will have been dropped at the end, if that was looked for.
    ahead: Option<&'a Ahead>,
    /// Bodies and contents that a drop has to cover.
    doubts: Doubts<Loss>,
    /// Rows that a later one has to cover.
    bad_rows: BTreeMap<(TableId, Vec<u8>), Loss>,
    messages: u64,
    events: u64,
}

/// What a way through the journal says of what comes later.
#[derive(Debug)]
pub(crate) struct Ahead {
    index: Index,
    /// Rows of which the newest value is not what was written.
    lost_rows: BTreeSet<(TableId, Vec<u8>)>,
}

impl<'a> Gatherer<'a> {
    pub(crate) fn new(key: Option<&'a StoreKey>, ahead: Option<&'a Ahead>) -> Self {
        Gatherer {
            key,
            ahead,
            keys: KeyCache::new(),
            // How far feeds go and what was dropped of them; nothing that grows with messages.
            index: Index::new(Tail::bounded(0)),
            doubts: Doubts::default(),
            bad_rows: BTreeMap::new(),
            messages: 0,
            events: 0,
        }
    }

    /// Takes in a group; gives what it says.
    pub(crate) fn group(&mut self, group: Surveyed, losses: &mut Losses) -> KeptGroup {
        let mut kept = KeptGroup::default();
        let mut ranges = Ranges::new();
        for record in group.records {
            let event = EventSeq::new(record.place.event);
            match self.record(&record, &mut kept, &mut ranges) {
                Ok(Some(found)) => kept.records.push(KeptRecord {
                    event,
                    record: found,
                }),
                Ok(None) => {}
                Err(what) => {
                    losses.add(loss(&record, what));
                    continue;
                }
            }
            self.events = self.events.saturating_add((event != EventSeq::ZERO).into());
        }
        kept
    }

    fn record(
        &mut self,
        record: &ReadRecord,
        kept: &mut KeptGroup,
        ranges: &mut Ranges,
    ) -> Result<Option<Record>, Damage> {
        let event = record.place.event != 0;
        match record.kind {
            RecordKind::Gone => Ok(None),
            RecordKind::Entry => {
                let range = self.range(record)?;
                let went = (kept.records.len(), range.clone());
                ranges.insert(record.place.record.index, went);
                Ok(Some(Record::Range { range }))
            }
            RecordKind::Content => self.content(record, kept.records.len(), ranges),
            RecordKind::Drop => {
                let span = Span::decode(&record.meta, &mut self.keys).ok_or(Damage::Record)?;
                self.index.add_drop(&span, record.place.record.group);
                Ok(Some(span.into()))
            }
            RecordKind::Put => {
                let (table, key) = row_meta(&record.meta).ok_or(Damage::Record)?;
                let key = key.to_vec();
                let Some(value) = self.row(record, table, &key)? else {
                    // A later one took its place, and its value was overwritten: the number of
                    // an event stays.
                    let row = (table, key);
                    let is_replaced = |ahead: &Ahead| !ahead.lost_rows.contains(&row);
                    let stays = event && self.ahead.is_some_and(is_replaced);
                    let (table, key) = row;
                    let value = Vec::new();
                    return Ok(stays.then_some(Record::Put {
                        table,
                        key,
                        value,
                        event,
                    }));
                };
                if table == LIVES {
                    kept.life = Incarnation::from_slice(&key);
                }
                if is_own(table) {
                    return Ok(None);
                }
                Ok(Some(Record::Put {
                    table,
                    key,
                    value: value.to_vec(),
                    event,
                }))
            }
            RecordKind::Delete => {
                let (table, key) = row_meta(&record.meta).ok_or(Damage::Record)?;
                let key = key.to_vec();
                self.bad_rows.remove(&(table, key.clone()));
                let given = !is_own(table);
                Ok(given.then_some(Record::Delete { table, key, event }))
            }
        }
    }

    /// A range that goes on where its feed ends, without the bodies that are not what they were.
    fn range(&mut self, record: &ReadRecord) -> Result<RawRange, Damage> {
        // A copy: the segment is not kept for the sake of a range.
        let body = Bytes::copy_from_slice(&record.body);
        let range = RawRange::from_parts(record.meta.clone(), body, &mut self.keys)
            .map_err(|_| Damage::Record)?;
        let feed = range.feed();
        let tip = self.index.tip(&feed);
        if range.start() != tip.head || range.first_prev() != tip.hash {
            return Err(Damage::Range);
        }
        let range = if record.body_is_good {
            range
        } else {
            let (feed, bad) = record.bad_entries(&mut self.keys).ok_or(Damage::Body)?;
            let whole = range.without_bodies(|seq, _| bad.contains(&seq));
            let loss = || loss(record, Damage::Body);
            self.doubts.bodies(feed, &bad, loss);
            whole
        };
        let dropped = self.ahead.and_then(|ahead| ahead.index.feeds.get(&feed));
        let range = match dropped {
            Some(dropped) if !dropped.bodies.is_empty() => range.without_bodies(|seq, row| {
                row.kind == Kind::Content && is_dropped(&dropped.bodies, seq)
            }),
            _ => range,
        };
        // Its contents ask for its headers, and whoever writes it anew does.
        let range = range.hashed();
        self.index
            .add_range(feed, range.end(), range.tip(), record.place);
        Ok(range)
    }

    fn content(
        &mut self,
        record: &ReadRecord,
        at: usize,
        ranges: &Ranges,
    ) -> Result<Option<Record>, Damage> {
        let event = record.place.event != 0;
        let meta = ContentMeta::decode(&record.meta, &mut self.keys).ok_or(Damage::Record)?;
        // Of entries: what was dropped.
        let mut untold = false;
        let (author, space, message, entry, of) = match meta {
            ContentMeta::Entry { back, row } => {
                let range = record.place.record.index.checked_sub(back);
                let (went, range) = range
                    .and_then(|range| ranges.get(&range))
                    .ok_or(Damage::Orphan)?;
                let headers = range.hashed_headers().unwrap_or_default();
                let (header, id) = headers.get(usize::from(row)).ok_or(Damage::Record)?;
                let (feed, seq) = (header.feed, header.seq);
                untold = match self.ahead {
                    Some(ahead) => ahead.index.is_untold(&feed, seq),
                    None => record.is_bare(),
                };
                if record.is_bare() {
                    let loss = || loss(record, Damage::Body);
                    self.doubts.content(feed, seq, event, loss);
                }
                let back = u16::try_from(at.saturating_sub(*went)).map_err(|_| Damage::Record)?;
                let of = ContentOf::Entry { back, row, id: *id };
                (
                    header.feed.author,
                    header.feed.space,
                    header.message,
                    *id,
                    of,
                )
            }
            ContentMeta::Draft {
                author,
                space,
                message,
            } => {
                let of = ContentOf::Draft {
                    author,
                    space,
                    message,
                };
                (author, space, message, EntryId::ZERO, of)
            }
        };
        let is_message = matches!(of, ContentOf::Entry { .. });
        let messages = self.messages.saturating_add(is_message.into());
        if untold {
            self.messages = messages;
            let plaintext = Zeroizing::new(Vec::new());
            return Ok(Some(Record::Content {
                of,
                event,
                plaintext,
            }));
        }
        if record.is_bare() {
            // Of an entry it is counted, and told at the end.
            self.messages = messages;
            return if is_message {
                Ok(None)
            } else {
                Err(Damage::Body)
            };
        }
        let Some(key) = self.key else {
            self.messages = messages;
            return Ok(None);
        };
        let seal = ContentSeal {
            author: &author,
            space: &space,
            message: &message,
            entry: &entry,
        };
        let plaintext = seal.open(key, &record.body).ok_or(Damage::Body)?;
        self.messages = messages;
        Ok(Some(Record::Content {
            of,
            event,
            plaintext,
        }))
    }

    /// The value of a row; `None`: it is not what was written, and a later one may cover that.
    fn row(
        &mut self,
        record: &ReadRecord,
        table: TableId,
        key: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Damage> {
        let row = (table, key.to_vec());
        if record.is_bare() {
            self.bad_rows.insert(row, loss(record, Damage::Body));
            return Ok(None);
        }
        self.bad_rows.remove(&row);
        let Some(store_key) = self.key else {
            return Ok(None);
        };
        open_row(store_key, table, key, &record.body)
            .map(Some)
            .ok_or(Damage::Row)
    }

    /// All of it was read: what it says of what was dropped.
    pub(crate) fn ahead(self) -> Ahead {
        Ahead {
            index: self.index,
            lost_rows: self.bad_rows.into_keys().collect(),
        }
    }

    /// All of it was read: what nothing covered is lost. How many messages and events are left.
    pub(crate) fn finish(self, losses: &mut Losses) -> (u64, u64) {
        let left = self.doubts.settle(&self.index);
        let (mut messages, mut events) = (self.messages, self.events);
        for doubt in &left.contents {
            messages = messages.saturating_sub(doubt.records);
            if doubt.event {
                events = events.saturating_sub(doubt.records);
            }
        }
        for doubt in left.bodies.into_iter().chain(left.contents) {
            let records = Some(doubt.records);
            losses.add(Loss {
                records,
                ..doubt.at
            });
        }
        for loss in self.bad_rows.into_values() {
            losses.add(loss);
        }
        (messages, events)
    }
}

fn loss(record: &ReadRecord, what: Damage) -> Loss {
    Loss {
        segment: record.place.segment,
        offset: record.place.offset,
        what,
        groups: Some(0),
        records: Some(1),
    }
}
