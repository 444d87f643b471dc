//! Reading what is committed.

use std::sync::{Arc, PoisonError, RwLockReadGuard};

use bytes::Bytes;
use skychat_identity::{KeyCache, PublicKey, Signature};
use skychat_proto::entry::{Header, Kind};
use skychat_proto::ids::{
    EntryId, EventSeq, FeedId, Incarnation, MessageId, Position, Seq, SpaceId, TableId,
};
use skychat_proto::limits::{MAX_RANGE_BYTES, MAX_RANGE_ENTRIES, ROW_LEN};
use skychat_proto::range::{RangeBuilder, RawRange};
use zeroize::Zeroizing;

use crate::error::{Damage, ReadError};
use crate::event::{EventView, StoredConversation, StoredEvent, StoredMessage};
use crate::index::{
    ContentPlace, EventOf, EventPlace, Index, MessageRef, Place, RecordId, Tip, is_dropped,
};
use crate::layout::{CRC_LEN, RECORD_LEN, RecordHead, head_sum, segment_path};
use crate::record::{ContentMeta, ContentSeal, open_row, row_meta, without_bodies};
use crate::writer::Shared;

/// Reads what is committed, from any thread; clones are cheap. Everything here may block on the
/// disk, but never on the writer's sync.
#[derive(Clone, Debug)]
pub struct StoreReader {
    shared: Arc<Shared>,
}

/// How large a store is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreSize {
    /// Groups so far: commits.
    pub groups: u64,
    /// Records so far.
    pub records: u64,
    /// Bytes of journal that are in use.
    pub bytes: u64,
}

fn damaged(place: &Place, what: Damage) -> ReadError {
    ReadError::Damaged {
        segment: place.segment,
        offset: place.offset,
        what,
    }
}

impl StoreReader {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        StoreReader { shared }
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.shared
            .index
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How far a feed goes.
    pub fn tip(&self, feed: FeedId) -> Option<Tip> {
        let index = self.index();
        index.feeds.get(&feed).map(|feed| feed.tip)
    }

    /// Entries of a feed from `from` on; `None` if there is none.
    ///
    /// It has at most `max_entries` entries and `max_bytes` bytes (rows and bodies; and never
    /// more than a range may have), but at least one entry. Unless `any_end`, it ends where a
    /// stored range ends, under that signature: then the first of them is given even if it is
    /// larger. With `any_end` it may be cut anywhere, and its signature is zeros if it is. Bodies
    /// that were dropped are absent.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn range(
        &self,
        feed: FeedId,
        from: Position,
        max_entries: u32,
        max_bytes: u32,
        any_end: bool,
    ) -> Result<Option<RawRange>, ReadError> {
        let max_entries = usize::try_from(max_entries)
            .unwrap_or(MAX_RANGE_ENTRIES)
            .clamp(1, MAX_RANGE_ENTRIES);
        let max_bytes = usize::try_from(max_bytes)
            .unwrap_or(MAX_RANGE_BYTES)
            .min(MAX_RANGE_BYTES);
        let (blocks, dropped) = {
            let index = self.index();
            let Some(feed) = index.feeds.get(&feed) else {
                return Ok(None);
            };
            let blocks = feed.blocks_from(from);
            let blocks = blocks.get(..max_entries).unwrap_or(blocks).to_vec();
            (blocks, feed.dropped.clone())
        };
        let mut keys = KeyCache::new();
        let mut parts: Vec<RawRange> = Vec::new();
        let (mut entries, mut bytes) = (0_usize, 0_usize);
        for block in &blocks {
            let whole = self.block(&block.place, &dropped, &mut keys)?;
            let part = if parts.is_empty() {
                whole.suffix(from.max(whole.start()))
            } else {
                Some(whole)
            };
            let part = part.ok_or_else(|| damaged(&block.place, Damage::Range))?;
            let fits = entries.saturating_add(part.len()) <= max_entries
                && bytes.saturating_add(part.size()) <= max_bytes;
            if fits {
                entries = entries.saturating_add(part.len());
                bytes = bytes.saturating_add(part.size());
                parts.push(part);
                continue;
            }
            if any_end {
                let room = (
                    max_entries.saturating_sub(entries),
                    max_bytes.saturating_sub(bytes),
                );
                parts.extend(cut(&part, room, parts.is_empty()));
            } else if parts.is_empty() {
                parts.push(part);
            }
            break;
        }
        join(parts).map_err(|()| {
            let place = blocks.first().map(|block| block.place);
            ReadError::Damaged {
                segment: place.map_or(0, |place| place.segment),
                offset: place.map_or(0, |place| place.offset),
                what: Damage::Range,
            }
        })
    }

    /// The header of the entry before `position`, its id, and its signature if one is stored.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn header_at(
        &self,
        feed: FeedId,
        position: Position,
    ) -> Result<Option<(Header, EntryId, Option<Signature>)>, ReadError> {
        let Some(seq) = position.last() else {
            return Ok(None);
        };
        let block = {
            let index = self.index();
            let blocks = index
                .feeds
                .get(&feed)
                .map(|feed| feed.blocks_from(seq.position()));
            blocks.and_then(|blocks| blocks.first()).copied()
        };
        let Some(block) = block else { return Ok(None) };
        let range = self.heads(&block.place, &mut KeyCache::new())?;
        let found = range.headers().find(|(header, _)| header.seq == seq);
        let signature = range.signature();
        let signed = position == range.end() && signature.as_bytes().iter().any(|byte| *byte != 0);
        Ok(found.map(|(header, id)| (header, id, signed.then_some(signature))))
    }

    /// The message id of an entry and its content, as it was handed in; `None`: none was.
    ///
    /// # Errors
    /// [`ReadError`].
    #[expect(clippy::type_complexity, reason = "an id and bytes, if there is one")]
    pub fn content(
        &self,
        feed: FeedId,
        seq: Seq,
    ) -> Result<Option<(MessageId, Zeroizing<Vec<u8>>)>, ReadError> {
        let content = {
            let index = self.index();
            let feed = index.feeds.get(&feed);
            feed.and_then(|feed| feed.contents.get(&seq)).copied()
        };
        let Some(content) = content else {
            return Ok(None);
        };
        let text = self.text(&feed, &content)?;
        Ok(Some((content.message, text)))
    }

    /// Where a message stands whose content was taken: the first one with this id.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn find(
        &self,
        author: PublicKey,
        space: SpaceId,
        message: MessageId,
    ) -> Result<Option<MessageRef>, ReadError> {
        let index = self.index();
        Ok(index.messages.get(&(author, space, message)).copied())
    }

    /// The newest messages of a space before a record, at most `limit`; the oldest of them first.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn history(
        &self,
        space: SpaceId,
        before: Option<RecordId>,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, ReadError> {
        let found: Vec<MessagePlaces> = {
            let index = self.index();
            let Some(messages) = index.spaces.get(&space) else {
                return Ok(Vec::new());
            };
            let end = match before {
                Some(before) => std::ops::Bound::Excluded(before),
                None => std::ops::Bound::Unbounded,
            };
            let page = messages.range((std::ops::Bound::Unbounded, end));
            let page = page.rev().take(limit);
            page.filter_map(|(_, (feed, seq))| message_places(&index, feed, *seq))
                .collect()
        };
        let mut heads = Heads::default();
        let mut page = Vec::with_capacity(found.len());
        for (feed, content, block) in found.into_iter().rev() {
            page.push(StoredMessage {
                record: content.place.record,
                header: heads.of(self, &block, &content.entry)?,
                content: Some(self.text(&feed, &content)?),
                event: (content.place.event != 0).then(|| EventSeq::new(content.place.event)),
            });
        }
        Ok(page)
    }

    /// All spaces with messages in them.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn conversations(&self) -> Result<Vec<StoredConversation>, ReadError> {
        let index = self.index();
        let spaces = index.spaces.iter().filter_map(|(space, messages)| {
            let (last, _) = messages.last_key_value()?;
            Some(StoredConversation {
                space: *space,
                messages: messages.len() as u64,
                last: *last,
            })
        });
        Ok(spaces.collect())
    }

    /// Events from number `from` on, in order, at most `limit`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn events(&self, from: EventSeq, limit: usize) -> Result<Vec<StoredEvent>, ReadError> {
        let skip = usize::try_from(from.get().saturating_sub(1)).unwrap_or(usize::MAX);
        let found: Vec<(EventPlace, Option<MessagePlaces>)> = {
            let index = self.index();
            let events = index.events.iter().skip(skip).take(limit);
            events
                .map(|event| match event.of {
                    EventOf::Message { feed, seq } => {
                        let places = message_places(&index, &feed, seq);
                        // The record of the event, should the entry have got another content.
                        let places = places.map(|(feed, content, block)| {
                            let place = event.place;
                            (feed, ContentPlace { place, ..content }, block)
                        });
                        (*event, places)
                    }
                    _ => (*event, None),
                })
                .collect()
        };
        let mut heads = Heads::default();
        let mut keys = KeyCache::new();
        let mut events = Vec::with_capacity(found.len());
        for (event, message) in found {
            let view = match message {
                Some((feed, content, block)) => EventView::Message {
                    header: heads.of(self, &block, &content.entry)?,
                    record: content.place.record,
                    plaintext: Some(self.text(&feed, &content)?),
                },
                None => self.view(&event, &mut keys)?,
            };
            let seq = EventSeq::new(event.place.event);
            events.push(StoredEvent { seq, view });
        }
        Ok(events)
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
        let found = index.lives.iter().find(|(.., of)| *of == life);
        found.map(|(_, first, _)| *first)
    }

    /// A row.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn row(&self, table: TableId, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        let index = self.index();
        let row = index.rows.get(&table).and_then(|rows| rows.get(key));
        Ok(row.map(|row| row.to_vec()))
    }

    /// The rows of a table whose keys begin with `prefix`, in the order of their keys.
    ///
    /// # Errors
    /// [`ReadError`].
    #[expect(clippy::type_complexity, reason = "keys and rows")]
    pub fn rows(
        &self,
        table: TableId,
        prefix: &[u8],
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, ReadError> {
        let index = self.index();
        let Some(rows) = index.rows.get(&table) else {
            return Ok(Vec::new());
        };
        let rows = rows.range(prefix.to_vec()..);
        Ok(rows
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, row)| (key.clone(), row.to_vec()))
            .collect())
    }

    /// How large the store is.
    pub fn size(&self) -> StoreSize {
        let index = self.index();
        StoreSize {
            groups: index.groups,
            records: index.records,
            bytes: index.bytes,
        }
    }

    /// Meta and body of a record, checked; the body only if it is asked for.
    fn record(&self, place: &Place, with_body: bool) -> Result<(Bytes, Bytes), ReadError> {
        let body_at = (place.meta as usize).saturating_add(RECORD_LEN + CRC_LEN);
        let body = if with_body { place.body as usize } else { 0 };
        let mut bytes = vec![0; body_at.saturating_add(body)];
        self.shared
            .disk
            .read_at(&segment_path(place.segment), place.offset, &mut bytes)
            .map_err(|source| ReadError::Disk {
                segment: place.segment,
                offset: place.offset,
                source,
            })?;
        let bytes = Bytes::from(bytes);
        let bad = || damaged(place, Damage::Record);
        let meta_end = body_at.saturating_sub(CRC_LEN);
        let head_bytes = bytes.first_chunk::<RECORD_LEN>().ok_or_else(bad)?;
        let meta = bytes.slice(RECORD_LEN..meta_end);
        let sum = head_sum(
            place.segment,
            place.generation,
            place.offset,
            head_bytes,
            &meta,
        );
        let head = RecordHead::decode(head_bytes).ok_or_else(bad)?;
        if bytes.get(meta_end..body_at) != Some(&sum) || head.body != place.body {
            return Err(bad());
        }
        Ok((meta, bytes.slice(body_at..)))
    }

    /// The same, with a body that is what was written.
    fn whole(&self, place: &Place) -> Result<(Bytes, Bytes), ReadError> {
        let (meta, body) = self.record(place, true)?;
        if place.body_sum != crc32c::crc32c(&body) {
            return Err(damaged(place, Damage::Body));
        }
        Ok((meta, body))
    }

    /// A stored range without the bodies that were dropped.
    fn block(
        &self,
        place: &Place,
        dropped: &[(Position, Position)],
        keys: &mut KeyCache,
    ) -> Result<RawRange, ReadError> {
        let (head, bodies) = self.record(place, true)?;
        let is_whole = place.body_sum == crc32c::crc32c(&bodies);
        let range =
            RawRange::from_parts(head, bodies, keys).map_err(|_| damaged(place, Damage::Record))?;
        let range = if dropped.is_empty() {
            range
        } else {
            range.without_bodies(|seq, row| row.kind == Kind::Content && is_dropped(dropped, seq))
        };
        // Where bodies were overwritten, those that stay are looked at one by one.
        if !is_whole {
            for (row, body) in range.entries() {
                let good = skychat_proto::ids::BodyHash::of;
                if body.is_some_and(|body| good(body) != row.body_hash) {
                    return Err(damaged(place, Damage::Body));
                }
            }
        }
        Ok(range)
    }

    /// A stored range without bodies.
    fn heads(&self, place: &Place, keys: &mut KeyCache) -> Result<RawRange, ReadError> {
        let (head, _) = self.record(place, false)?;
        RawRange::from_parts(without_bodies(&head), Bytes::new(), keys)
            .map_err(|_| damaged(place, Damage::Record))
    }

    fn text(&self, feed: &FeedId, content: &ContentPlace) -> Result<Zeroizing<Vec<u8>>, ReadError> {
        let (_, sealed) = self.whole(&content.place)?;
        let seal = ContentSeal {
            author: &feed.author,
            space: &feed.space,
            message: &content.message,
            entry: &content.entry,
        };
        seal.open(&self.shared.key, &sealed)
            .ok_or_else(|| damaged(&content.place, Damage::Body))
    }

    /// An event that is no message.
    fn view(&self, event: &EventPlace, keys: &mut KeyCache) -> Result<EventView, ReadError> {
        let place = &event.place;
        let bad = || damaged(place, Damage::Record);
        match event.of {
            EventOf::Message { .. } => Err(bad()),
            EventOf::Draft => {
                let (meta, sealed) = self.whole(place)?;
                let Some(ContentMeta::Draft {
                    author,
                    space,
                    message,
                }) = ContentMeta::decode(&meta, keys)
                else {
                    return Err(bad());
                };
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
            EventOf::Put => {
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
            EventOf::Delete => {
                let (meta, _) = self.record(place, true)?;
                let (table, key) = row_meta(&meta).ok_or_else(bad)?;
                let key = key.to_vec();
                Ok(EventView::Deleted { table, key })
            }
        }
    }
}

/// Where a message stands: its feed, its content, the range its entry is in.
type MessagePlaces = (FeedId, ContentPlace, Place);

fn message_places(index: &Index, feed: &FeedId, seq: Seq) -> Option<MessagePlaces> {
    let stored = index.feeds.get(feed)?;
    let content = stored.contents.get(&seq)?;
    let block = stored.blocks_from(seq.position()).first()?;
    Some((*feed, *content, block.place))
}

/// The headers of the range that was read last: neighbours often stand in one.
#[derive(Default)]
struct Heads {
    keys: KeyCache,
    of: Option<RecordId>,
    headers: Vec<(Header, EntryId)>,
}

impl Heads {
    fn of(
        &mut self,
        reader: &StoreReader,
        place: &Place,
        entry: &EntryId,
    ) -> Result<Header, ReadError> {
        if self.of != Some(place.record) {
            let range = reader.heads(place, &mut self.keys)?;
            self.headers = range.headers().collect();
            self.of = Some(place.record);
        }
        let found = self.headers.iter().find(|(_, id)| id == entry);
        let header = found.map(|(header, _)| *header);
        header.ok_or_else(|| damaged(place, Damage::Range))
    }
}

/// The front of a range that fits, under a signature of zeros. `None`: nothing fits, and that is
/// no matter.
fn cut(range: &RawRange, room: (usize, usize), at_least_one: bool) -> Option<RawRange> {
    let (max_entries, max_bytes) = room;
    let mut count = 0_usize;
    let mut bytes = 0_usize;
    for (row, _) in range.entries() {
        bytes = bytes
            .saturating_add(ROW_LEN)
            .saturating_add(row.present_len());
        let first = count == 0 && at_least_one;
        if !first && (count >= max_entries || bytes > max_bytes) {
            break;
        }
        count = count.saturating_add(1);
    }
    let end = range.start().saturating_add(count as u64);
    if end == range.end() {
        return Some(range.clone());
    }
    let unsigned = Signature::from_bytes([0; Signature::LEN]);
    range.slice(range.start(), end, range.first_prev(), unsigned)
}

/// One range of adjacent ones.
fn join(mut parts: Vec<RawRange>) -> Result<Option<RawRange>, ()> {
    if parts.len() < 2 {
        return Ok(parts.pop());
    }
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        return Ok(None);
    };
    let entries = parts.iter().map(RawRange::len).sum();
    let bytes = parts.iter().map(|part| part.bodies().len()).sum();
    let (feed, at, prev) = (first.feed(), first.first(), first.first_prev());
    let mut builder =
        RangeBuilder::with_capacity(feed, at, prev, entries, bytes).map_err(|_| ())?;
    for part in &parts {
        builder.append(part).map_err(|_| ())?;
    }
    builder.finish(last.signature()).map(Some).map_err(|_| ())
}
