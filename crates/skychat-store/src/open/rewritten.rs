//! Reading one segment that was rewritten: what is left of its groups.

use skychat_identity::KeyCache;

use super::scan::{Scan, at_fault};
use super::{OpenError, damaged};
use crate::error::Damage;
use crate::layout::{
    Chain, Counts, GROUP_LEN, GroupHeader, REWRITTEN_LEN, RewrittenMark, SEGMENT_LEN, SegmentMark,
    Unread,
};
use crate::replay::Replay;
use crate::writer::Current;

impl Scan<'_> {
    /// Others follow, so whatever is not as it should be is damage.
    pub(super) fn rewritten(
        &mut self,
        bytes: &bytes::Bytes,
        header: SegmentMark,
        keys: &mut KeyCache,
    ) -> Result<Current, OpenError> {
        let segment = header.segment;
        let mut held = Counts {
            chain: Chain::default(),
            ..self.counts
        };
        let (mut groups, mut records) = (0_u64, 0_u64);
        let mut at = SEGMENT_LEN;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let offset = at as u64;
            let group = match GroupHeader::decode(rest, offset) {
                Ok(group) => group,
                Err(Unread::Version(found)) => return Err(OpenError::Version { segment, found }),
                Err(Unread::Invalid) => break,
            };
            let expected = GroupHeader {
                store: header.store,
                segment,
                generation: header.generation,
                ..group
            };
            let start = at.saturating_add(GROUP_LEN);
            let end = usize::try_from(group.length)
                .ok()
                .and_then(|length| start.checked_add(length))
                .filter(|end| *end <= bytes.len());
            let follows = group.number > held.groups && group.records > 0;
            let Some(end) = end.filter(|_| group == expected && follows) else {
                return Err(damaged(segment, offset, Damage::Group));
            };
            let read = Replay::read(bytes, start..end, &group, held).map_err(at_fault)?;
            let (read, counts) = read;
            records = records.saturating_add(read.0.len() as u64);
            groups = groups.saturating_add(1);
            self.replay.enter(read, keys).map_err(at_fault)?;
            held = counts;
            at = end;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let end = at.saturating_add(REWRITTEN_LEN);
        let footer = match RewrittenMark::decode(rest) {
            Ok(footer) if end == bytes.len() => footer,
            Err(Unread::Version(found)) => return Err(OpenError::Version { segment, found }),
            _ => return Err(damaged(segment, at as u64, Damage::Footer)),
        };
        let counts = footer.mark.counts;
        let expected = RewrittenMark {
            mark: SegmentMark { counts, ..header },
            held: held.chain,
            groups,
            records,
        };
        let fits = held.groups <= counts.groups
            && held.records <= counts.records
            && held.events == counts.events;
        if footer != expected || !fits {
            return Err(damaged(segment, at as u64, Damage::Footer));
        }
        self.counts = counts;
        self.replay.bytes = self.replay.bytes.saturating_add(end as u64);
        self.meet(segment, end as u64)?;
        Ok(Current::Next {
            segment: segment.saturating_add(1),
            length: end as u64,
        })
    }
}
