//! Ranges made from a range.

use bytes::{BufMut, Bytes, BytesMut};
use skychat_identity::Signature;

use super::known::Known;
use super::raw::{RawRange, head_len, put_prefix};
use super::row::{PRESENT_AT, Row};
use crate::ids::{EntryId, Position, Seq};
use crate::limits::{RANGE_PREFIX_LEN, ROW_LEN};

impl RawRange {
    /// The part from `from` to `to` (exclusive), as a range of its own. `None` unless that is a
    /// non-empty part of it. Rows are copied, bodies shared.
    ///
    /// Two things of the new range cannot be read off this one, and the caller brings them:
    ///
    /// - `first_prev`, the id of the entry before `from`. Rows hold no ids: compute it from the
    ///   headers ([`id_before`](Self::id_before)), or take it from where it is stored. A wrong one
    ///   makes a range that does not join and whose signature fails.
    /// - `signature`, the one of its *last* entry, `to - 1`. It is this range's own if `to` is
    ///   [`end`](Self::end); at any other place only the author can make one (RANGE-2), or a
    ///   holder that kept the anchor.
    pub fn slice(
        &self,
        from: Position,
        to: Position,
        first_prev: EntryId,
        signature: Signature,
    ) -> Option<RawRange> {
        if from < self.start() || from >= to || to > self.end() {
            return None;
        }
        let skip = usize::try_from(from.entries_since(self.start())).ok()?;
        let count = u16::try_from(to.entries_since(from)).ok()?;
        let until = skip.checked_add(count.into())?;
        let rows = RANGE_PREFIX_LEN.checked_add(skip.checked_mul(ROW_LEN)?)?
            ..RANGE_PREFIX_LEN.checked_add(until.checked_mul(ROW_LEN)?)?;
        let first = from.next();

        let mut head = BytesMut::with_capacity(head_len(count));
        put_prefix(&mut head, &self.feed, first, &first_prev, count);
        head.put_slice(self.head.get(rows)?);
        head.put_slice(signature.as_bytes());

        let start = self.bodies_before(skip)?;
        let end = self.bodies_before(until)?;
        let bodies = (end <= self.bodies.len()).then(|| self.bodies.slice(start..end))?;
        Some(RawRange {
            feed: self.feed,
            first,
            first_prev,
            count,
            head: head.freeze(),
            bodies,
            known: Known::default(),
        })
    }

    /// The part from `from` to the end, with this range's own signature; its `first_prev` is
    /// computed. `None` unless `from` is the position of one of its entries.
    pub fn suffix(&self, from: Position) -> Option<RawRange> {
        if from == self.start() {
            return Some(self.clone());
        }
        let first_prev = self.id_before(from)?;
        self.slice(from, self.end(), first_prev, self.signature())
    }

    /// The same range without the bodies for which `drop` says so. It verifies as before: whether
    /// a body is present is not signed. Copies the rows, and the bodies that stay; nothing if
    /// nothing is dropped.
    pub fn without_bodies(&self, mut drop: impl FnMut(Seq, &Row) -> bool) -> RawRange {
        let mut head = BytesMut::from(&self.head[..]);
        let mut bodies = BytesMut::new();
        let mut dropped = false;
        let mut seq = self.first;
        for (index, (row, body)) in self.entries().enumerate() {
            if let Some(body) = body {
                if drop(seq, &row) {
                    dropped = true;
                    let at = index
                        .saturating_mul(ROW_LEN)
                        .saturating_add(RANGE_PREFIX_LEN + PRESENT_AT);
                    if let Some(present) = head.get_mut(at) {
                        *present = 0;
                    }
                } else {
                    bodies.put_slice(body);
                }
            }
            seq = seq.next().unwrap_or(seq);
        }
        if !dropped {
            return self.clone();
        }
        RawRange {
            head: head.freeze(),
            bodies: bodies.freeze(),
            ..self.clone()
        }
    }

    /// The same range with the signature of its last entry replaced.
    #[must_use]
    pub fn with_signature(&self, signature: Signature) -> RawRange {
        let mut head = BytesMut::from(&self.head[..]);
        if let Some(end) = head.last_chunk_mut() {
            *end = signature.to_bytes();
        }
        RawRange {
            head: head.freeze(),
            ..self.clone()
        }
    }

    /// A copy in buffers of its own, which keeps nothing else alive.
    #[must_use]
    pub fn compact(&self) -> RawRange {
        RawRange {
            head: Bytes::copy_from_slice(&self.head),
            bodies: Bytes::copy_from_slice(&self.bodies),
            ..self.unhashed()
        }
    }
}
