//! Reading messages: by entry, by id, by page.

use skychat_identity::{KeyCache, PublicKey};
use skychat_proto::entry::Header;
use skychat_proto::ids::{EntryId, EventSeq, FeedId, MessageId, Seq, SpaceId};
use skychat_proto::range::RawRange;
use zeroize::Zeroizing;

use super::{StoreReader, damaged};
use crate::deep::{self, DeepError};
use crate::error::{Damage, ReadError};
use crate::event::{StoredContent, StoredConversation, StoredMessage};
use crate::index::{MessageRef, Place, RecordId};
use crate::layout::RecordKind;
use crate::record::{ContentMeta, ContentSeal};
use crate::walk::{Locator, Passed, Walk};

impl StoreReader {
    /// The content that was taken of an entry; `None`: none was.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn content(&self, feed: FeedId, seq: Seq) -> Result<Option<StoredContent>, ReadError> {
        let _reading = self.shared.reading();
        let to = seq.position().saturating_add(1);
        let found = self.blocks(&feed, seq.position(), to, 0)?;
        let Some(block) = found.and_then(|(blocks, _)| blocks.first().copied()) else {
            return Ok(None);
        };
        let Some(mut walk) = Walk::before(&self.shared, block.record)? else {
            return Ok(None);
        };
        // It stands behind its range, in the same group.
        let mut heads = Heads::new(self);
        while let Some(passed) = walk.next()? {
            let record = passed.place.record;
            if record.group > block.record.group {
                break;
            }
            if record <= block.record || passed.kind != RecordKind::Content {
                continue;
            }
            let Some(ContentMeta::Entry { back, row }) =
                ContentMeta::decode(&passed.meta, &mut KeyCache::new())
            else {
                continue;
            };
            let first = heads.range(block.record)?.first();
            if record.back(back) == Some(block.record) && first.checked_add(row.into()) == Some(seq)
            {
                let (header, id) = heads.entry(block.record, row, &passed.place)?;
                return Ok(Some(StoredContent {
                    message: header.message,
                    content: self.text(&header, &id, &passed.place)?,
                }));
            }
        }
        Ok(None)
    }

    /// Where a message stands whose content was taken, dropped since or not: one of them, if there
    /// are several with this id.
    ///
    /// # Errors
    /// [`ReadError`]; [`ReadError::Indexing`] if it is not known yet whether there is one.
    pub fn find(
        &self,
        author: PublicKey,
        space: SpaceId,
        message: MessageId,
    ) -> Result<Option<MessageRef>, ReadError> {
        let _reading = self.shared.reading();
        let values = {
            let index = self.index();
            if let Some(found) = index.tail.message(author, space, message) {
                return Ok(Some(found));
            }
            self.shared.deep(&index)?
        };
        let Some(values) = values else {
            return Ok(None);
        };
        let found = deep::message(&*values, &author, &space, &message);
        let Some(record) = found.map_err(|error| self.shared.lose_deep(&error))? else {
            return Ok(None);
        };
        let mut heads = Heads::new(self);
        let (header, _, _) = heads.content(record)?;
        let feed = header.feed;
        if (feed.author, feed.space, header.message) != (author, space, message) {
            let error = DeepError("it leads to another message".to_owned());
            return Err(self.shared.lose_deep(&error));
        }
        Ok(Some(MessageRef {
            feed,
            seq: header.seq,
            record,
        }))
    }

    /// The newest messages of a space before a record, at most `limit`; the oldest of them first.
    ///
    /// # Errors
    /// [`ReadError`]; [`ReadError::Indexing`] if the page is not known yet.
    pub fn history(
        &self,
        space: SpaceId,
        before: Option<RecordId>,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, ReadError> {
        let _reading = self.shared.reading();
        let mut records = self.page(&space, before, limit)?;
        records.sort_unstable();
        let mut heads = Heads::new(self);
        let mut page = Vec::with_capacity(records.len());
        for record in records {
            let (header, id, place) = heads.content(record)?;
            if header.feed.space != space {
                let error = DeepError("it leads to another conversation".to_owned());
                return Err(self.shared.lose_deep(&error));
            }
            page.push(StoredMessage {
                record,
                header,
                content: self.text(&header, &id, &place)?,
                event: (place.event != 0).then(|| EventSeq::new(place.event)),
            });
        }
        Ok(page)
    }

    fn page(
        &self,
        space: &SpaceId,
        before: Option<RecordId>,
        limit: usize,
    ) -> Result<Vec<RecordId>, ReadError> {
        let (mut records, values) = {
            let index = self.index();
            let records = index.tail.page(space, before, limit);
            if records.len() >= limit || !index.spaces.contains_key(space) {
                return Ok(records);
            }
            (records, self.shared.deep(&index)?)
        };
        if let Some(values) = values {
            let before = records.last().copied().or(before);
            let most = limit.saturating_sub(records.len());
            let older = deep::page(&*values, space, before, most);
            records.extend(older.map_err(|error| self.shared.lose_deep(&error))?);
        }
        Ok(records)
    }

    /// All spaces with messages in them.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn conversations(&self) -> Result<Vec<StoredConversation>, ReadError> {
        let index = self.index();
        let spaces = index
            .spaces
            .iter()
            .map(|(space, found)| StoredConversation {
                space: *space,
                messages: found.messages,
                last: found.last,
            });
        Ok(spaces.collect())
    }

    /// What an entry says; `None`: it was dropped.
    pub(super) fn text(
        &self,
        header: &Header,
        entry: &EntryId,
        place: &Place,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ReadError> {
        let is_untold = || self.index().is_untold(&header.feed, header.seq);
        if is_untold() {
            return Ok(None);
        }
        let sealed = match self.whole(place) {
            Ok((_, sealed)) => sealed,
            // It may have been dropped meanwhile.
            Err(ReadError::Damaged { .. }) if is_untold() => return Ok(None),
            Err(error) => return Err(error),
        };
        let seal = ContentSeal {
            author: &header.feed.author,
            space: &header.feed.space,
            message: &header.message,
            entry,
        };
        seal.open(&self.shared.key, &sealed)
            .map(Some)
            .ok_or_else(|| damaged(place, Damage::Body))
    }
}

/// The headers of entries. Those of the range that was read last are kept: neighbours often stand
/// in one.
pub(super) struct Heads {
    keys: KeyCache,
    locator: Locator,
    range: Option<ReadRange>,
}

struct ReadRange {
    record: RecordId,
    /// With its headers at hand.
    range: RawRange,
}

impl Heads {
    pub(super) fn new(reader: &StoreReader) -> Self {
        Heads {
            keys: KeyCache::new(),
            locator: Locator::new(&reader.shared),
            range: None,
        }
    }

    /// The entry of a content, and where the content stands.
    pub(super) fn content(
        &mut self,
        record: RecordId,
    ) -> Result<(Header, EntryId, Place), ReadError> {
        let passed = self.locator.find(record)?;
        let (header, id) = self.entry_of(&passed)?;
        Ok((header, id, passed.place))
    }

    /// The entry of a content that was come by.
    pub(super) fn entry_of(&mut self, passed: &Passed) -> Result<(Header, EntryId), ReadError> {
        let bad = || damaged(&passed.place, Damage::Record);
        let meta = ContentMeta::decode(&passed.meta, &mut self.keys);
        let Some(ContentMeta::Entry { back, row }) =
            meta.filter(|_| passed.kind == RecordKind::Content)
        else {
            return Err(bad());
        };
        let range = passed.place.record.back(back).ok_or_else(bad)?;
        self.entry(range, row, &passed.place)
    }

    fn entry(
        &mut self,
        range: RecordId,
        row: u16,
        place: &Place,
    ) -> Result<(Header, EntryId), ReadError> {
        self.range(range)?;
        let range = self.range.as_ref();
        let headers = range.and_then(|range| range.range.hashed_headers());
        let found = headers.and_then(|headers| headers.get(usize::from(row)));
        found.copied().ok_or_else(|| damaged(place, Damage::Range))
    }

    fn range(&mut self, record: RecordId) -> Result<&RawRange, ReadError> {
        if self.range.as_ref().map(|range| range.record) != Some(record) {
            let passed = self.locator.find(record)?;
            let range = super::heads(&passed, &mut self.keys)?.hashed();
            self.range = Some(ReadRange { record, range });
        }
        let range = self.range.as_ref();
        range.map(|range| &range.range).ok_or(ReadError::Indexing)
    }
}
