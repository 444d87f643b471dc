//! Reading one segment, group by group.

use skychat_identity::KeyCache;

use super::damaged;
use super::scan::{Scan, at_fault};
use crate::error::{Damage, OpenError, Warning};
use crate::layout::{
    FOOTER_MAGIC, GROUP_LEN, GROUP_MAGIC, GroupHeader, SEGMENT_LEN, STORE_LEN, SegmentMark,
    StoreId, Unread,
};
use crate::replay::{Fault, Replay};
use crate::writer::{At, Current};

impl Scan<'_> {
    /// Whether anything from `from` on shows that group `after` was committed: a later group, or the
    /// end of the segment behind it.
    pub(super) fn holds_more(&self, bytes: &[u8], from: usize, segment: u32, after: u64) -> bool {
        let mut at = from;
        while let Some(rest) = bytes.get(at..) {
            let Some(skip) = rest.iter().position(|byte| *byte == GROUP_MAGIC[0]) else {
                return false;
            };
            at = at.saturating_add(skip);
            let rest = bytes.get(at..).unwrap_or_default();
            let ours = |store: StoreId| self.store.is_none_or(|known| known == store);
            if let Ok(group) = GroupHeader::decode(rest, at as u64)
                && group.number > after
                && ours(group.store)
                && group.segment == segment
            {
                return true;
            }
            if let Ok(footer) = SegmentMark::decode(rest, FOOTER_MAGIC)
                && footer.counts.groups >= after
                && ours(footer.store)
                && footer.segment == segment
            {
                return true;
            }
            at = at.saturating_add(1);
        }
        false
    }

    pub(super) fn segment(
        &mut self,
        bytes: &bytes::Bytes,
        header: SegmentMark,
        last: bool,
        keys: &mut KeyCache,
    ) -> Result<Current, OpenError> {
        let segment = header.segment;
        let mut at = SEGMENT_LEN;
        self.meet(segment, at as u64)?;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            if let Ok(footer) = SegmentMark::decode(rest, FOOTER_MAGIC) {
                let expected = SegmentMark {
                    counts: self.counts,
                    ..header
                };
                let end = at.saturating_add(SEGMENT_LEN);
                if footer == expected && (last || end == bytes.len()) {
                    self.replay.bytes = self.replay.bytes.saturating_add(end as u64);
                    self.meet(segment, end as u64)?;
                    // `HEAD` may have been written just before the footer.
                    let next = segment.saturating_add(1);
                    return Ok(Current::Next {
                        segment: next,
                        length: end as u64,
                    });
                }
            }
            match self.group(bytes, at, &header, keys) {
                Ok(end) => {
                    at = end;
                    self.meet(segment, at as u64)?;
                }
                Err(Stop::Version(found)) => return Err(OpenError::Version { segment, found }),
                Err(Stop::Fault(fault)) => {
                    let next = self.counts.groups.saturating_add(1);
                    if !last {
                        return Err(match fault.what {
                            Damage::Group => damaged(segment, at as u64, Damage::Footer),
                            _ => at_fault(fault),
                        });
                    }
                    if self.promised(segment, at as u64)
                        || self.holds_more(bytes, at, segment, next)
                    {
                        return Err(at_fault(fault));
                    }
                    return Ok(Current::Open(self.tail(
                        rest,
                        segment,
                        header.generation,
                        at,
                    )));
                }
            }
        }
    }

    /// Where the next group goes: behind the last one that is whole.
    fn tail(&mut self, rest: &[u8], segment: u32, generation: u32, at: usize) -> At {
        let offset = at as u64;
        let used = rest.iter().rposition(|byte| *byte != 0);
        let dirty = used.map_or(offset, |last| {
            self.warnings.push(Warning::TornTail { segment, offset });
            offset.saturating_add(last as u64).saturating_add(1)
        });
        self.replay.bytes = self.replay.bytes.saturating_add(offset);
        At {
            segment,
            generation,
            offset,
            capacity: offset.saturating_add(rest.len() as u64),
            dirty,
        }
    }

    /// Reads the group at `at`, and enters it; gives where it ends.
    fn group(
        &mut self,
        bytes: &bytes::Bytes,
        at: usize,
        mark: &SegmentMark,
        keys: &mut KeyCache,
    ) -> Result<usize, Stop> {
        let segment = mark.segment;
        let fault = |what| {
            Stop::Fault(Fault {
                segment,
                offset: at as u64,
                what,
            })
        };
        let rest = bytes.get(at..).unwrap_or_default();
        let header = GroupHeader::decode(rest, at as u64).map_err(|error| match error {
            Unread::Version(found) if rest.get(6..6 + STORE_LEN) == Some(&mark.store) => {
                Stop::Version(found)
            }
            _ => fault(Damage::Group),
        })?;
        let expected = GroupHeader {
            store: mark.store,
            segment,
            generation: mark.generation,
            number: self.counts.groups.saturating_add(1),
            ..header
        };
        let start = at.saturating_add(GROUP_LEN);
        let length = usize::try_from(header.length).map_err(|_| fault(Damage::Group))?;
        let end = start
            .checked_add(length)
            .ok_or_else(|| fault(Damage::Group))?;
        if header != expected || header.records == 0 || end > bytes.len() {
            return Err(fault(Damage::Group));
        }
        let (group, counts) =
            Replay::read(bytes, start..end, &header, self.counts).map_err(Stop::Fault)?;
        // In the last group every body counts.
        if let Some(fault) = group.uncovered_body(keys) {
            let open_end = !self.promised(segment, at as u64)
                && !self.holds_more(bytes, end, segment, header.number);
            if open_end {
                return Err(Stop::Fault(fault));
            }
        }
        self.replay.enter(group, keys).map_err(Stop::Fault)?;
        self.counts = counts;
        Ok(end)
    }
}

enum Stop {
    Fault(Fault),
    Version(u16),
}
