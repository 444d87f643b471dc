//! What is dead in a journal and still there, found by reading its bytes as the page says.

use std::collections::BTreeMap;

use skychat_identity::KeyCache;
use skychat_proto::entry::Kind;
use skychat_proto::limits::FEED_ID_LEN;
use skychat_proto::range::RawRange;

pub type Files = BTreeMap<String, Vec<u8>>;

struct Body {
    /// What it is of.
    of: String,
    bytes: Vec<u8>,
    /// In which file, and where.
    at: (String, usize),
    dead: bool,
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The bodies of a journal, and whether they are dead.
#[derive(Default)]
struct Reading {
    bodies: Vec<Body>,
    /// Of rows, by table and key.
    rows: BTreeMap<Vec<u8>, usize>,
    /// Of entries and of contents, by feed and position.
    entries: BTreeMap<(Vec<u8>, u64), usize>,
    contents: BTreeMap<(Vec<u8>, u64), usize>,
    heads: BTreeMap<Vec<u8>, u64>,
    /// Of the record that is read.
    file: String,
    body_at: usize,
    keys: KeyCache,
}

impl Reading {
    fn body(&mut self, of: String, bytes: &[u8], skip: usize) -> usize {
        self.bodies.push(Body {
            of,
            bytes: bytes.to_vec(),
            at: (self.file.clone(), self.body_at + skip),
            dead: false,
        });
        self.bodies.len() - 1
    }

    fn segment(&mut self, bytes: &[u8]) {
        let mut at = 138;
        while bytes.get(at..at + 4) == Some(b"SKYG") {
            let end = at + 86 + u32_at(bytes, at + 46);
            at += 86;
            // Of the group, by the numbers of its records.
            let mut ranges = BTreeMap::new();
            let mut number = 0_u16;
            while at < end {
                let meta_end = at + 54 + u32_at(bytes, at + 2);
                let body_end = meta_end + 4 + u32_at(bytes, at + 6);
                let meta = &bytes[at + 54..meta_end];
                let body = &bytes[meta_end + 4..body_end];
                self.body_at = meta_end + 4;
                self.record(bytes[at], meta, body, number, &mut ranges);
                if bytes[at] == 6 {
                    number += u16::from_be_bytes(meta.try_into().unwrap());
                } else {
                    number += 1;
                }
                at = body_end;
            }
        }
    }

    fn record(
        &mut self,
        kind: u8,
        meta: &[u8],
        body: &[u8],
        number: u16,
        ranges: &mut BTreeMap<u16, (Vec<u8>, u64)>,
    ) {
        match kind {
            1 => {
                let parts = (meta.to_vec().into(), body.to_vec().into());
                let range = RawRange::from_parts(parts.0, parts.1, &mut self.keys).unwrap();
                let feed = range.feed().to_bytes().to_vec();
                ranges.insert(number, (feed.clone(), range.first().get()));
                let mut skip = 0;
                for (row, (entry, body)) in range.entries().enumerate() {
                    let seq = range.first().get() + row as u64;
                    let here = skip;
                    skip += body.map_or(0, <[u8]>::len);
                    if let Some(body) = body.filter(|_| entry.kind == Kind::Content) {
                        let at = self.body(format!("body {seq}"), body, here);
                        self.entries.insert((feed.clone(), seq), at);
                    }
                }
                self.heads.insert(feed, range.end().get());
            }
            2 if meta[0] == 1 => {
                let back = u16::from_be_bytes([meta[1], meta[2]]);
                let row = u16::from_be_bytes([meta[3], meta[4]]);
                let (feed, first) = ranges[&(number - back)].clone();
                let seq = first + u64::from(row);
                let at = self.body(format!("content {seq}"), body, 0);
                self.contents.insert((feed, seq), at);
            }
            3 => {
                let (feed, rest) = meta.split_at(FEED_ID_LEN);
                let head = self.heads.get(feed).copied().unwrap_or(0);
                for seq in u64_at(rest, 0)..u64_at(rest, 8).min(head) {
                    let key = (feed.to_vec(), seq);
                    let parts = [(1, &self.entries), (2, &self.contents)];
                    for (bit, places) in parts {
                        if rest[16] & bit != 0
                            && let Some(at) = places.get(&key)
                        {
                            self.bodies[*at].dead = true;
                        }
                    }
                }
            }
            4 | 5 if meta[0] != 8 && meta[0] < 200 => {
                if let Some(before) = self.rows.remove(meta) {
                    self.bodies[before].dead = true;
                }
                if kind == 4 {
                    let at = self.body(format!("row {meta:?}"), body, 0);
                    self.rows.insert(meta.to_vec(), at);
                }
            }
            _ => {}
        }
    }
}

fn read(files: &Files) -> Reading {
    let mut reading = Reading::default();
    for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".seg")) {
        reading.file.clone_from(name);
        reading.segment(bytes);
    }
    reading
}

/// The dead bodies that are not zeros.
pub fn leftovers(files: &Files) -> Vec<String> {
    let bodies = read(files).bodies;
    let left = bodies
        .into_iter()
        .filter(|body| body.dead && body.bytes.iter().any(|byte| *byte != 0));
    left.map(|body| body.of).collect()
}

/// The bytes of the dead bodies.
pub fn dead(files: &Files) -> Vec<Vec<u8>> {
    let bodies = read(files).bodies;
    let dead = bodies.into_iter().filter(|body| body.dead);
    dead.map(|body| body.bytes).collect()
}

/// In which file the dead bodies stand, and where.
pub fn dead_places(files: &Files) -> Vec<(String, std::ops::Range<usize>)> {
    let bodies = read(files).bodies;
    let dead = bodies.into_iter().filter(|body| body.dead);
    dead.map(|body| {
        let (file, at) = body.at;
        (file, at..at + body.bytes.len())
    })
    .collect()
}

/// Whether live bodies are all as they were.
pub fn live(files: &Files) -> Vec<Vec<u8>> {
    let bodies = read(files).bodies;
    let live = bodies.into_iter().filter(|body| !body.dead);
    live.map(|body| body.bytes).collect()
}
