//! The bytes of the journal: `HEAD`, segment headers and footers, group headers, record heads.
//!
//! Spec: `docs/protocol/journal.md`.

use sha2::{Digest, Sha256};

/// Format version of everything here.
pub(crate) const VERSION: u16 = 1;
/// Length of `HEAD`.
pub(crate) const HEAD_LEN: usize = 64;
/// Length of the header and of the footer of a segment.
pub(crate) const SEGMENT_LEN: usize = 138;
/// Length of the footer of a segment that was rewritten.
pub(crate) const REWRITTEN_LEN: usize = 186;
/// Length of a group header.
pub(crate) const GROUP_LEN: usize = 86;
/// Length of the fixed part of a record head.
pub(crate) const RECORD_LEN: usize = 54;
/// Length of a checksum.
pub(crate) const CRC_LEN: usize = 4;
/// Length of what names a store.
pub(crate) const STORE_LEN: usize = 16;

pub(crate) const HEAD_MAGIC: &[u8; 4] = b"SKYH";
pub(crate) const HEADER_MAGIC: &[u8; 4] = b"SKYS";
pub(crate) const FOOTER_MAGIC: &[u8; 4] = b"SKYF";
pub(crate) const REWRITTEN_MAGIC: &[u8; 4] = b"SKYR";
pub(crate) const GROUP_MAGIC: &[u8; 4] = b"SKYG";
pub(crate) const CHECKPOINT_MAGIC: &[u8; 4] = b"SKYC";

/// The file that is a lower bound of the journal.
pub(crate) const HEAD_FILE: &str = "HEAD";
/// Where the segments are.
pub(crate) const JOURNAL: &str = "journal";

/// The path of a segment.
pub(crate) fn segment_path(segment: u32) -> String {
    format!("{JOURNAL}/{segment:08}.seg")
}

/// The path of a segment that is being rewritten.
pub(crate) fn rewritten_path(segment: u32) -> String {
    format!("{JOURNAL}/{segment:08}.seg.new")
}

/// The number in the name of a segment.
pub(crate) fn segment_number(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".seg")?;
    let plain = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// The name of the checkpoint of a segment.
pub(crate) fn checkpoint_path(segment: u32) -> String {
    format!("checkpoint-{segment}")
}

/// The segment in the name of a checkpoint.
pub(crate) fn checkpoint_number(name: &str) -> Option<u32> {
    let segment = name.strip_prefix("checkpoint-")?.parse().ok()?;
    (checkpoint_path(segment) == name).then_some(segment)
}

/// The name of a store: random, known to nobody else.
pub(crate) type StoreId = [u8; STORE_LEN];

/// The hash over record heads in order, bodies not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Chain(pub(crate) [u8; 32]);

impl Chain {
    /// After one more record.
    pub(crate) fn step(self, head: &[u8], meta: &[u8]) -> Chain {
        let mut hash = Sha256::new_with_prefix(self.0);
        hash.update(head);
        hash.update(meta);
        Chain(hash.finalize().into())
    }
}

/// Reads fields one after the other.
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Fields(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// `Some` if nothing is left.
    pub(crate) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// Why a fixed block cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// Not there, torn or damaged.
    Invalid,
    /// Of a later version.
    Version(u16),
}

/// The bytes before the checksum, if there are `length` with this magic and a good checksum.
pub(crate) fn checked<'a>(
    bytes: &'a [u8],
    length: usize,
    magic: &[u8; 4],
    after: &[u8],
) -> Result<Fields<'a>, Unread> {
    let block = bytes.get(..length).ok_or(Unread::Invalid)?;
    let (body, sum) = block.split_last_chunk().ok_or(Unread::Invalid)?;
    let mut fields = Fields(body);
    if fields.array().as_ref() != Some(magic) {
        return Err(Unread::Invalid);
    }
    match fields.u16() {
        Some(VERSION) => {}
        // Zeros: a write that was torn within the block.
        None | Some(0) => return Err(Unread::Invalid),
        Some(found) => return Err(Unread::Version(found)),
    }
    let sum = u32::from_be_bytes(*sum);
    if crc32c::crc32c_append(crc32c::crc32c(body), after) != sum {
        return Err(Unread::Invalid);
    }
    Ok(fields)
}

/// Appends the checksum of what was put since `start`, and of `after`.
pub(crate) fn put_sum(out: &mut Vec<u8>, start: usize, after: &[u8]) {
    let sum = crc32c::crc32c(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&crc32c::crc32c_append(sum, after).to_be_bytes());
}

/// How far the journal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) chain: Chain,
    /// Groups so far, and the number of the last one.
    pub(crate) groups: u64,
    pub(crate) records: u64,
    /// Events so far, and the number of the last one.
    pub(crate) events: u64,
}

/// How a segment begins and, when full, ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentMark {
    pub(crate) store: StoreId,
    pub(crate) owner: [u8; 32],
    pub(crate) segment: u32,
    pub(crate) generation: u32,
    pub(crate) counts: Counts,
    /// Check value of the store key.
    pub(crate) check: [u8; 16],
}

impl SegmentMark {
    pub(crate) fn encode(&self, magic: &[u8; 4], out: &mut Vec<u8>) {
        let start = out.len();
        self.put_fields(magic, out);
        put_sum(out, start, &[]);
    }

    /// All but the checksum.
    pub(crate) fn put_fields(&self, magic: &[u8; 4], out: &mut Vec<u8>) {
        out.extend_from_slice(magic);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&self.store);
        out.extend_from_slice(&self.owner);
        out.extend_from_slice(&self.segment.to_be_bytes());
        out.extend_from_slice(&self.generation.to_be_bytes());
        out.extend_from_slice(&self.counts.chain.0);
        out.extend_from_slice(&self.counts.groups.to_be_bytes());
        out.extend_from_slice(&self.counts.records.to_be_bytes());
        out.extend_from_slice(&self.counts.events.to_be_bytes());
        out.extend_from_slice(&self.check);
    }

    pub(crate) fn decode(bytes: &[u8], magic: &[u8; 4]) -> Result<Self, Unread> {
        let mut fields = checked(bytes, SEGMENT_LEN, magic, &[])?;
        SegmentMark::read_fields(&mut fields).ok_or(Unread::Invalid)
    }

    /// All behind the version.
    pub(crate) fn read_fields(fields: &mut Fields<'_>) -> Option<Self> {
        Some(SegmentMark {
            store: fields.array()?,
            owner: fields.array()?,
            segment: fields.u32()?,
            generation: fields.u32()?,
            counts: Counts {
                chain: Chain(fields.array()?),
                groups: fields.u64()?,
                records: fields.u64()?,
                events: fields.u64()?,
            },
            check: fields.array()?,
        })
    }
}

/// How a segment that was rewritten ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RewrittenMark {
    /// As that of the segment it was made from.
    pub(crate) mark: SegmentMark,
    /// The hash over what is there.
    pub(crate) held: Chain,
    /// Groups that are there.
    pub(crate) groups: u64,
    /// Records that are there.
    pub(crate) records: u64,
}

impl RewrittenMark {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        self.mark.put_fields(REWRITTEN_MAGIC, out);
        out.extend_from_slice(&self.held.0);
        out.extend_from_slice(&self.groups.to_be_bytes());
        out.extend_from_slice(&self.records.to_be_bytes());
        put_sum(out, start, &[]);
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unread> {
        let mut fields = checked(bytes, REWRITTEN_LEN, REWRITTEN_MAGIC, &[])?;
        (|| {
            Some(RewrittenMark {
                mark: SegmentMark::read_fields(&mut fields)?,
                held: Chain(fields.array()?),
                groups: fields.u64()?,
                records: fields.u64()?,
            })
        })()
        .ok_or(Unread::Invalid)
    }
}

/// How a group begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    pub(crate) store: StoreId,
    pub(crate) segment: u32,
    pub(crate) generation: u32,
    /// From 1.
    pub(crate) number: u64,
    pub(crate) records: u32,
    /// Bytes of records.
    pub(crate) length: u64,
    /// After its last record.
    pub(crate) chain: Chain,
}

impl GroupHeader {
    pub(crate) fn encode(&self, offset: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(GROUP_MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&self.store);
        out.extend_from_slice(&self.segment.to_be_bytes());
        out.extend_from_slice(&self.generation.to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.records.to_be_bytes());
        out.extend_from_slice(&self.length.to_be_bytes());
        out.extend_from_slice(&self.chain.0);
        put_sum(out, start, &offset.to_be_bytes());
    }

    pub(crate) fn decode(bytes: &[u8], offset: u64) -> Result<Self, Unread> {
        let mut fields = checked(bytes, GROUP_LEN, GROUP_MAGIC, &offset.to_be_bytes())?;
        (|| {
            Some(GroupHeader {
                store: fields.array()?,
                segment: fields.u32()?,
                generation: fields.u32()?,
                number: fields.u64()?,
                records: fields.u32()?,
                length: fields.u64()?,
                chain: Chain(fields.array()?),
            })
        })()
        .ok_or(Unread::Invalid)
    }
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordKind {
    Entry,
    Content,
    Drop,
    Put,
    Delete,
    /// Records stood here that were left out.
    Gone,
}

impl RecordKind {
    const fn number(self) -> u8 {
        match self {
            RecordKind::Entry => 1,
            RecordKind::Content => 2,
            RecordKind::Drop => 3,
            RecordKind::Put => 4,
            RecordKind::Delete => 5,
            RecordKind::Gone => 6,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => RecordKind::Entry,
            2 => RecordKind::Content,
            3 => RecordKind::Drop,
            4 => RecordKind::Put,
            5 => RecordKind::Delete,
            6 => RecordKind::Gone,
            _ => return None,
        })
    }
}

/// The fixed part of a record head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHead {
    pub(crate) kind: RecordKind,
    pub(crate) meta: u32,
    pub(crate) body: u32,
    /// 0: no event.
    pub(crate) event: u64,
    pub(crate) body_hash: [u8; 32],
    pub(crate) body_sum: u32,
}

impl RecordHead {
    pub(crate) fn of(kind: RecordKind, meta: u32, body_len: u32, event: u64, body: &[u8]) -> Self {
        RecordHead {
            kind,
            meta,
            body: body_len,
            event,
            body_hash: Sha256::digest(body).into(),
            body_sum: crc32c::crc32c(body),
        }
    }

    pub(crate) fn encode(&self) -> [u8; RECORD_LEN] {
        let mut out = [0; RECORD_LEN];
        let fields: [&[u8]; 6] = [
            &[self.kind.number(), u8::from(self.event != 0)],
            &self.meta.to_be_bytes(),
            &self.body.to_be_bytes(),
            &self.event.to_be_bytes(),
            &self.body_hash,
            &self.body_sum.to_be_bytes(),
        ];
        let mut rest = out.as_mut_slice();
        for field in fields {
            let Some((place, behind)) = rest.split_at_mut_checked(field.len()) else {
                break;
            };
            place.copy_from_slice(field);
            rest = behind;
        }
        out
    }

    /// `None`: a kind or flag that is not known, or a mark that does not fit the number.
    pub(crate) fn decode(bytes: &[u8; RECORD_LEN]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let kind = RecordKind::from_number(fields.u8()?)?;
        let flags = fields.u8()?;
        let head = RecordHead {
            kind,
            meta: fields.u32()?,
            body: fields.u32()?,
            event: fields.u64()?,
            body_hash: fields.array()?,
            body_sum: fields.u32()?,
        };
        (flags == u8::from(head.event != 0)).then_some(head)
    }

    /// Whether this is the body that was written.
    pub(crate) fn has_body(&self, body: &[u8]) -> bool {
        crc32c::crc32c(body) == self.body_sum
    }
}

/// The checksum of a record head, bound to its place.
pub(crate) fn head_sum(
    segment: u32,
    generation: u32,
    offset: u64,
    head: &[u8],
    meta: &[u8],
) -> [u8; CRC_LEN] {
    let mut sum = crc32c::crc32c(&segment.to_be_bytes());
    sum = crc32c::crc32c_append(sum, &generation.to_be_bytes());
    sum = crc32c::crc32c_append(sum, &offset.to_be_bytes());
    sum = crc32c::crc32c_append(sum, head);
    crc32c::crc32c_append(sum, meta).to_be_bytes()
}

/// The first bytes of the name of a store, which stand in `HEAD`.
pub(crate) fn store_prefix(store: &StoreId) -> [u8; 6] {
    let [a, b, c, d, e, f, ..] = *store;
    [a, b, c, d, e, f]
}

/// What `HEAD` says: a lower bound of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadFile {
    pub(crate) store: [u8; 6],
    pub(crate) segment: u32,
    /// Bytes of that segment.
    pub(crate) length: u32,
    pub(crate) chain: Chain,
    pub(crate) records: u64,
}

impl HeadFile {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_LEN);
        out.extend_from_slice(HEAD_MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&self.store);
        out.extend_from_slice(&self.segment.to_be_bytes());
        out.extend_from_slice(&self.length.to_be_bytes());
        out.extend_from_slice(&self.chain.0);
        out.extend_from_slice(&self.records.to_be_bytes());
        put_sum(&mut out, 0, &[]);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unread> {
        if bytes.len() != HEAD_LEN {
            return Err(Unread::Invalid);
        }
        let mut fields = checked(bytes, HEAD_LEN, HEAD_MAGIC, &[])?;
        (|| {
            Some(HeadFile {
                store: fields.array()?,
                segment: fields.u32()?,
                length: fields.u32()?,
                chain: Chain(fields.array()?),
                records: fields.u64()?,
            })
        })()
        .ok_or(Unread::Invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_page() {
        let counts = Counts::default();
        let mark = SegmentMark {
            store: [1; 16],
            owner: [2; 32],
            segment: 3,
            generation: 4,
            counts,
            check: [5; 16],
        };
        let mut out = Vec::new();
        mark.encode(HEADER_MAGIC, &mut out);
        assert_eq!(out.len(), SEGMENT_LEN);
        assert_eq!(SegmentMark::decode(&out, HEADER_MAGIC), Ok(mark));
        assert!(SegmentMark::decode(&out, FOOTER_MAGIC).is_err());
        let group = GroupHeader {
            store: [1; 16],
            segment: 3,
            generation: 0,
            number: 9,
            records: 2,
            length: 77,
            chain: Chain::default(),
        };
        let mut out = Vec::new();
        group.encode(138, &mut out);
        assert_eq!(out.len(), GROUP_LEN);
        assert_eq!(GroupHeader::decode(&out, 138), Ok(group));
        assert_eq!(GroupHeader::decode(&out, 139), Err(Unread::Invalid));
        let head = HeadFile {
            store: [1; 6],
            segment: 1,
            length: 2,
            chain: Chain::default(),
            records: 3,
        };
        assert_eq!(head.encode().len(), HEAD_LEN);
        assert_eq!(HeadFile::decode(&head.encode()), Ok(head));
    }

    #[test]
    fn names_of_segments() {
        assert_eq!(segment_path(12), "journal/00000012.seg");
        assert_eq!(segment_number("00000012.seg"), Some(12));
        for other in ["12.seg", "00000012.seg.new", "0000001a.seg", "+0000012.seg"] {
            assert_eq!(segment_number(other), None);
        }
        assert_eq!(checkpoint_path(12), "checkpoint-12");
        assert_eq!(checkpoint_number("checkpoint-12"), Some(12));
        for other in [
            "checkpoint-",
            "checkpoint-012",
            "checkpoint-+1",
            "checkpoint-1.new",
        ] {
            assert_eq!(checkpoint_number(other), None);
        }
    }
}
