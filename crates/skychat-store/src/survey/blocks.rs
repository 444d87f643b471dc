//! What stands at a place of a segment, and where the next thing stands.

use std::ops::Range;

use bytes::Bytes;
use skychat_identity::PublicKey;

use super::Survey;
use crate::error::OpenError;
use crate::layout::{
    CRC_LEN, FOOTER_MAGIC, Fields, GROUP_MAGIC, GroupHeader, HEADER_MAGIC, RECORD_LEN,
    RewrittenMark, SEGMENT_LEN, SegmentMark, StoreId, Unread, VERSION,
};
use crate::replay::ReadRecord;

/// Where the version stands in whatever has one.
const VERSION_AT: Range<usize> = 4..6;

/// What stands at a place.
pub(super) enum Block {
    Group(GroupHeader),
    Footer(SegmentMark),
    Rewritten(RewrittenMark),
}

impl Survey<'_> {
    /// The header of a segment, if it is one of this store.
    pub(super) fn header(
        &mut self,
        bytes: &[u8],
        segment: u32,
    ) -> Result<Option<SegmentMark>, OpenError> {
        let header = match SegmentMark::decode(bytes, HEADER_MAGIC) {
            Ok(header) => header,
            Err(Unread::Invalid) => return Ok(None),
            Err(Unread::Version(found)) => {
                // One byte that was changed is damage; else it is of a later version, and not ours
                // to judge.
                let known = first_version(bytes, SEGMENT_LEN)
                    .is_some_and(|bytes| SegmentMark::decode(&bytes, HEADER_MAGIC).is_ok());
                return if known {
                    Ok(None)
                } else {
                    Err(OpenError::Version { segment, found })
                };
            }
        };
        let Ok(owner) = PublicKey::from_bytes(&header.owner) else {
            return Ok(None);
        };
        if let Some(expected) = self.whose.owner.filter(|expected| *expected != owner) {
            let found = owner;
            return Err(OpenError::Owner { found, expected });
        }
        if self
            .whose
            .key
            .is_some_and(|key| !key.has_check(&header.check))
        {
            return Err(OpenError::StoreKey);
        }
        let ours = self.store.is_none_or(|store| store == header.store);
        if !ours || header.segment != segment {
            return Ok(None);
        }
        self.owner = Some(owner);
        self.store = Some(header.store);
        Ok(Some(header))
    }

    /// The group or the footer at a place, if it is of this store and may follow what was read.
    pub(super) fn block(&self, bytes: &[u8], at: usize, segment: u32) -> Option<Block> {
        let rest = bytes.get(at..)?;
        let ours = |store: StoreId| self.store.is_none_or(|known| known == store);
        if let Ok(group) = GroupHeader::decode(rest, at as u64) {
            let follows = group.number > self.counts.groups && group.records > 0;
            return (follows && ours(group.store) && group.segment == segment)
                .then_some(Block::Group(group));
        }
        if let Ok(footer) = RewrittenMark::decode(rest) {
            let mark = footer.mark;
            let follows = mark.counts.groups >= self.counts.groups;
            return (follows && ours(mark.store) && mark.segment == segment)
                .then_some(Block::Rewritten(footer));
        }
        let footer = SegmentMark::decode(rest, FOOTER_MAGIC).ok()?;
        let follows = footer.counts.groups >= self.counts.groups;
        (follows && ours(footer.store) && footer.segment == segment)
            .then_some(Block::Footer(footer))
    }

    /// Where the next one stands.
    pub(super) fn next(&self, bytes: &[u8], from: usize, segment: u32) -> Option<usize> {
        let mut at = from;
        while let Some(rest) = bytes.get(at..) {
            let skip = rest.iter().position(|byte| *byte == GROUP_MAGIC[0])?;
            at = at.saturating_add(skip);
            if self.block(bytes, at, segment).is_some() {
                return Some(at);
            }
            at = at.saturating_add(1);
        }
        None
    }
}

/// Where the record behind one that cannot be read begins, if the lengths it names lead there.
pub(super) fn skip(
    bytes: &Bytes,
    span: Range<usize>,
    header: &GroupHeader,
    number: u16,
) -> Option<usize> {
    let mut fields = Fields::new(bytes.get(span.start.checked_add(2)?..span.end)?);
    let (meta, body) = (fields.u32()?, fields.u32()?);
    let next = span
        .start
        .checked_add(RECORD_LEN + CRC_LEN)?
        .checked_add(meta as usize)?
        .checked_add(body as usize)?;
    let there = next == span.end
        || ReadRecord::read(bytes, next..span.end, header, number.checked_add(1)?).is_some();
    (next <= span.end && there).then_some(next)
}

/// A block with the version that is known here.
fn first_version(bytes: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut block = bytes.get(..length)?.to_vec();
    block
        .get_mut(VERSION_AT)?
        .copy_from_slice(&VERSION.to_be_bytes());
    Some(block)
}
