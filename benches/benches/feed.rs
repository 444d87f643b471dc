//! Feeds in memory, in time of one processor: what it costs to append to them and to verify them, beside the
//! signatures and hashes that it cannot do without.
//!
//! `cargo bench -- feed`. Entries have 256 bytes of body. The *bare chain* is two SHA-256 an entry,
//! one of the body and one of the header, from which the next one begins; the first block of the
//! headers is hashed once, as in earnest. A range has at most 256 entries, so that is the most that
//! one signature is shared by.
#![allow(missing_docs, reason = "a benchmark")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a benchmark: it fails aloud"
)]

#[path = "replicate/author.rs"]
mod author;

use std::hint::black_box;

use author::{Author, BODY};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use skychat_benches::{Asked, Better, Report, Row, in_turn, thread_seconds};
use skychat_feed::VerifiedRange;
use skychat_identity::{KeyCache, SecretKey};
use skychat_proto::ids::{BatchId, EntryId, Incarnation, SpaceId};
use skychat_proto::limits::{HEADER_LEN, MAX_RANGE_ENTRIES};
use skychat_proto::range::RawRange;
use skychat_proto::record::{Batch, Record};
use skychat_seal::StoreKey;
use skychat_store::{MemoryDisk, OpenOptions, Store, StoreWriter};

/// Entries under one signature.
const SHARED: [u64; 2] = [64, MAX_RANGE_ENTRIES as u64];
/// What SHA-256 takes at once.
const BLOCK: usize = 64;

const LEAST_SIGNED: f64 = 0.9;
const LEAST_APPENDED: f64 = 1_000_000.0;
/// Either so many a second, or such a share of the bare chain.
const LEAST_STORED: (f64, f64) = (700_000.0, 0.7);

/// Rounds, signatures a sample, and entries a sample where few are signed.
type Amount = (usize, u64, u64);
const WHOLE: Amount = (31, 1_000, 16_384);
const TEST: Amount = (1, 2, 512);

fn main() {
    let mut asked = Asked::of_command_line();
    let mut report = Report::new("feed");
    let amount = asked.amount(WHOLE, TEST);
    if asked.measures("feed/append") {
        append(&mut report, amount);
    }
    if asked.measures("feed/verify") {
        verify(&mut report, amount);
    }
    asked.finish(&report).unwrap();
}

fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

fn space() -> SpaceId {
    SpaceId::direct(&secret(1).public(), &secret(2).public()).unwrap()
}

/// Somebody whose feed has begun.
fn writer() -> Author {
    let mut author = Author::new(secret(1), space());
    author.batch(1);
    author
}

fn range_of(batch: Batch) -> RawRange {
    match batch.records.into_iter().next() {
        Some(Record::Range { range }) => range,
        other => unreachable!("an author writes ranges, not {other:?}"),
    }
}

/// So many a second of the processor.
fn rate(times: u64, mut work: impl FnMut()) -> f64 {
    let began = thread_seconds();
    for _ in 0..times {
        work();
    }
    times as f64 / (thread_seconds() - began)
}

fn append(report: &mut Report, (rounds, signatures, entries): Amount) {
    let signing = secret(1);
    let header = range_of(writer().batch(1)).last_header().unwrap();
    let mut authors = [writer(), writer(), writer()];
    let [bare, each, few, many] = in_turn(rounds, |candidate| match candidate {
        0 => rate(signatures, || {
            black_box(black_box(&header).sign(&signing));
        }),
        1 => rate(signatures, || {
            black_box(authors[0].batch(1));
        }),
        n => {
            let (author, shared) = (&mut authors[n - 1], SHARED[n - 2]);
            let ranges = entries / shared;
            shared as f64
                * rate(ranges, || {
                    black_box(author.batch(shared));
                })
        }
    });
    report.section(
        format!("Append entries of {BODY} bytes, each signed"),
        "signatures alone",
    );
    let unit = "entries/s";
    let row = Row::shown("append/bare", "signatures alone", bare, "signatures/s");
    report.row(row);
    let row = Row::shown("append/each", "append and sign each", each, unit);
    report.row(row.at_least(each / bare, LEAST_SIGNED));
    report.section("Append, one signature for many", "the target");
    let [some, most] = SHARED;
    let what = format!("one signature for {some}");
    let id = format!("append/{some}");
    report.row(Row::shown(id, what, few, unit).reaches(LEAST_APPENDED));
    let what = format!("one signature for {most}");
    let id = format!("append/{most}");
    report.row(Row::shown(id, what, many, unit).reaches(LEAST_APPENDED));
}

/// Consecutive ranges as they come from a peer, behind the first entry of the feed.
fn ranges(entries: u64, each: u64) -> Vec<Bytes> {
    let mut author = writer();
    let ranges = (0..entries / each).map(|_| range_of(author.batch(each)).to_bytes());
    ranges.collect()
}

fn checked(bytes: &Bytes, keys: &mut KeyCache) -> VerifiedRange {
    let raw = RawRange::decode(bytes.clone(), keys).unwrap();
    VerifiedRange::verify(raw).unwrap()
}

/// Entries a second of a chain and its bodies, without anything else.
fn chain(entries: u64, bodies: &[[u8; BODY]]) -> f64 {
    let mut header = [7; HEADER_LEN];
    let first = Sha256::new_with_prefix(&header[..BLOCK]);
    let mut n = 0;
    rate(entries, || {
        let body = Sha256::digest(bodies[n % bodies.len()]);
        n += 1;
        header[HEADER_LEN - 32..].copy_from_slice(&body);
        let mut hash = first.clone();
        hash.update(&header[BLOCK..]);
        let id = hash.finalize();
        header[BLOCK..BLOCK + 32].copy_from_slice(&id);
        black_box(&header);
    })
}

/// A store in memory that has the first entry of the feed.
fn store() -> StoreWriter {
    use rand_core::SeedableRng;
    let key = StoreKey::generate(&mut chacha20::ChaCha20Rng::from_seed([3; 32]));
    let life = Incarnation::from_bytes([7; 8]);
    let options = OpenOptions::new(secret(2).public(), key, life, [5; 32]);
    let (mut writer, _, _) = Store::open(MemoryDisk::new(), options).unwrap();
    let first = Author::new(secret(1), space()).batch(1);
    writer.commit(vec![first]).unwrap();
    writer
}

fn verify(report: &mut Report, (rounds, signatures, entries): Amount) {
    let signed = ranges(signatures, 1);
    let shared = SHARED.map(|shared| ranges(entries, shared));
    let mut keys = KeyCache::new();
    let bodies = [[1; BODY], [2; BODY], [3; BODY], [4; BODY]];
    let each = |ranges: &[Bytes], per: u64, keys: &mut KeyCache| {
        let mut ranges = ranges.iter();
        let count = ranges.len() as u64;
        per as f64
            * rate(count, || {
                let tip = checked(ranges.next().unwrap(), keys).tip();
                assert_ne!(black_box(tip), EntryId::ZERO);
            })
    };
    let [bare, one, few, many, stored] = in_turn(rounds, |candidate| match candidate {
        0 => chain(entries, &bodies),
        1 => each(&signed, 1, &mut keys),
        n @ (2 | 3) => each(&shared[n - 2], SHARED[n - 2], &mut keys),
        _ => {
            let mut writer = store();
            let began = thread_seconds();
            for (n, bytes) in (2..).zip(&shared[1]) {
                let range = checked(bytes, &mut keys).raw().clone();
                let id = BatchId::new(n);
                let records = vec![Record::Range { range }];
                let committed = writer.commit(vec![Batch { id, records }]);
                committed.unwrap();
            }
            (SHARED[1] * shared[1].len() as u64) as f64 / (thread_seconds() - began)
        }
    });
    report.section(
        format!("Verify entries of {BODY} bytes"),
        "the bare chain of hashes",
    );
    let unit = "entries/s";
    let row = |id: String, what: String, value: f64| {
        let row = Row::shown(format!("verify/{id}"), what, value, unit);
        row.ratio(value / bare, Better::Higher)
    };
    let what = "bare chain: two SHA-256 an entry";
    report.row(Row::shown("verify/chain", what, bare, unit));
    for (shared, value) in SHARED.into_iter().zip([few, many]) {
        let what = format!("ranges of {shared}: chain, bodies, one signature");
        report.row(row(shared.to_string(), what, value));
    }
    let what = "each under a signature of its own";
    report.row(row("each".to_owned(), what.to_owned(), one));
    let what = format!("ranges of {}, and journal in memory", SHARED[1]);
    report.row(row("stored".to_owned(), what, stored));

    let (least, share) = LEAST_STORED;
    report.section("Catch up in memory", "the target");
    let reached = (stored / least).max(stored / bare / share);
    let what = "verify and journal";
    let row = Row::shown("verify/stored/target", what, stored, unit).absolute();
    let aside = format!("at least {least:.0}, or {share} of the bare chain");
    report.row(row.at_least(reached, 1.0).aside(aside));
}
