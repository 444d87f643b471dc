//! Makes the checksums and hashes of a changed journal fit again, from the tables of `docs/protocol/journal.md`, so
//! that what stands behind them is reached.

use sha2::{Digest, Sha256};

use super::Files;

const MARK: usize = 138;
const GROUP: usize = 86;
const RECORD: usize = 54;

/// Mends what can be read as segments, in order, and `HEAD`.
pub(crate) fn mend(files: &mut Files) {
    let mut journal = Journal::default();
    for (path, bytes) in files.iter_mut() {
        if path.starts_with("journal/") {
            journal.segment(bytes);
        }
    }
    if let Some(head) = files.get_mut("HEAD") {
        put(head, 20, &journal.chain);
        put(head, 52, &journal.records.to_be_bytes());
        sum(head, 0, 60, &[]);
    }
}

#[derive(Default)]
struct Journal {
    chain: [u8; 32],
    groups: u64,
    records: u64,
    events: u64,
}

impl Journal {
    fn mark(&self, bytes: &mut [u8], at: usize) {
        put(bytes, at + 62, &self.chain);
        put(bytes, at + 94, &self.groups.to_be_bytes());
        put(bytes, at + 102, &self.records.to_be_bytes());
        put(bytes, at + 110, &self.events.to_be_bytes());
        sum(bytes, at, at + 134, &[]);
    }

    fn segment(&mut self, bytes: &mut [u8]) {
        self.mark(bytes, 0);
        let (segment, generation) = (number(bytes, 54, 4), number(bytes, 58, 4));
        let mut at = MARK;
        loop {
            match bytes.get(at..at + 4) {
                Some(b"SKYF") => {
                    self.mark(bytes, at);
                    return;
                }
                Some(b"SKYG") if bytes.len() >= at + GROUP => {}
                _ => return,
            }
            let length = usize::try_from(number(bytes, at + 42, 8)).unwrap_or(usize::MAX);
            let start = at + GROUP;
            let end = start.saturating_add(length).min(bytes.len());
            let records = self.group(bytes, start, end, segment, generation);
            self.groups = number(bytes, at + 30, 8);
            put(bytes, at + 38, &records.to_be_bytes());
            put(bytes, at + 50, &self.chain);
            sum(bytes, at, at + 82, &(at as u64).to_be_bytes());
            at = end;
        }
    }

    /// How many records there are.
    fn group(
        &mut self,
        bytes: &mut [u8],
        mut at: usize,
        end: usize,
        segment: u64,
        generation: u64,
    ) -> u32 {
        let mut records = 0_u32;
        while at + RECORD + 4 <= end {
            let meta = number(bytes, at + 2, 4) as usize;
            let length = number(bytes, at + 6, 4) as usize;
            let body = at + RECORD + meta + 4;
            if body + length > end {
                break;
            }
            let found = bytes.get(body..body + length).unwrap_or_default().to_vec();
            // A body of zeros was dropped: the head keeps the hash of what it was.
            if found.iter().any(|byte| *byte != 0) {
                put(bytes, at + 18, &Sha256::digest(&found));
                put(bytes, at + 50, &crc32c::crc32c(&found).to_be_bytes());
            }
            if bytes.get(at + 1).is_some_and(|flags| flags & 1 == 1) {
                self.events = number(bytes, at + 10, 8);
            }
            let head = bytes.get(at..at + RECORD + meta).unwrap_or_default();
            let mut check = crc32c::crc32c(&(segment as u32).to_be_bytes());
            check = crc32c::crc32c_append(check, &(generation as u32).to_be_bytes());
            check = crc32c::crc32c_append(check, &(at as u64).to_be_bytes());
            check = crc32c::crc32c_append(check, head);
            let hash = Sha256::new_with_prefix(self.chain).chain_update(head);
            self.chain = hash.finalize().into();
            put(bytes, at + RECORD + meta, &check.to_be_bytes());
            self.records += 1;
            records += 1;
            at = body + length;
        }
        records
    }
}

fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    let field = bytes.iter().skip(at).take(length);
    field.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(field) {
        *to = *from;
    }
}

fn sum(bytes: &mut [u8], from: usize, to: usize, after: &[u8]) {
    let block = bytes.get(from..to).unwrap_or_default();
    let sum = crc32c::crc32c_append(crc32c::crc32c(block), after);
    put(bytes, to, &sum.to_be_bytes());
}
