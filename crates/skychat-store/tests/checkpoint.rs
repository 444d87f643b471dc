//! Checkpoints (JRN-8): a start from one says what a start that reads everything says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test that panics is a test that fails"
)]

mod common;
// The testkit rests on this crate, so its disk is read in here.
#[path = "../../skychat-testkit/src/disk.rs"]
mod disk;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::*;
use disk::TornDisk;
use proptest::prelude::*;
use skychat_proto::ids::*;
use skychat_proto::record::{Batch, Parts, Record, tables};
use skychat_store::*;

type Files = BTreeMap<String, Vec<u8>>;

/// A table of secret rows.
const SECRET: TableId = TableId::new(130);

fn bounded(n: u8) -> OpenOptions {
    OpenOptions {
        tail: Some(1_000),
        incarnation: life(n),
        seed: [n; 32],
        ..options()
    }
}

/// What a store says without an index on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    tables: BTreeMap<(TableId, Vec<u8>), Vec<u8>>,
    tips: BTreeMap<FeedId, Tip>,
    conversations: Vec<StoredConversation>,
    events: Vec<StoredEvent>,
    lives: Vec<Option<Incarnation>>,
    size: StoreSize,
}

/// Opens it, and says what is there and what was not as expected.
fn state(files: &Files, options: OpenOptions) -> Result<(State, Vec<Warning>), OpenError> {
    let disk = MemoryDisk::with_files(files.clone());
    let (_, reader, recovered) = Store::open(disk, options)?;
    let events = reader.events(EventSeq::new(1), usize::MAX).unwrap();
    for from in (1..=events.len()).step_by(5) {
        let some = reader.events(EventSeq::new(from as u64), 3).unwrap();
        assert_eq!(some, events[from - 1..(from + 2).min(events.len())]);
    }
    let rows = recovered.tables.iter();
    for ((table, key), value) in rows {
        assert_eq!(reader.row(*table, key).unwrap().as_ref(), Some(value));
    }
    let last = recovered.events.get();
    assert_eq!(last, events.len() as u64);
    let state = State {
        tables: recovered.tables,
        tips: recovered.tips,
        conversations: reader.conversations().unwrap(),
        events,
        lives: (0..=last + 1)
            .map(|event| reader.life_of(EventSeq::new(event)))
            .collect(),
        size: reader.size(),
    };
    Ok((state, recovered.warnings))
}

fn whole(n: u8) -> OpenOptions {
    OpenOptions {
        tail: None,
        ..bounded(n)
    }
}

fn checkpoints(files: &Files) -> Vec<u32> {
    let names = files
        .keys()
        .filter_map(|name| name.strip_prefix("checkpoint-"));
    let mut found: Vec<u32> = names.map(|number| number.parse().unwrap()).collect();
    found.sort_unstable();
    found
}

fn segments(files: &Files) -> u32 {
    files.keys().filter(|name| name.ends_with(".seg")).count() as u32
}

struct Talk {
    authors: [Author; 2],
    batches: u64,
}

impl Talk {
    fn new() -> Self {
        Talk {
            authors: [Author::new(ann()), Author::new(bob())],
            batches: 0,
        }
    }

    fn message(&mut self, of: usize, size: usize) -> Batch {
        self.batches += 1;
        self.authors[of].batch(self.batches, 1 + size % 3, size)
    }
}

/// A store with secret rows and others over many segments, a checkpoint for each.
fn many(groups: usize) -> Files {
    many_and_head(groups, 0).0
}

/// The same, and `HEAD` as it was after some of the groups.
fn many_and_head(groups: usize, early: usize) -> (Files, Vec<u8>) {
    let mut head = Vec::new();
    let disk = MemoryDisk::new();
    let (mut writer, _, _) = Store::open(disk.clone(), bounded(1)).unwrap();
    let maker = writer.checkpoint_maker();
    for (n, group) in script_of(groups).into_iter().enumerate() {
        if n == early {
            head = disk.files()["HEAD"].clone();
        }
        writer.commit(vec![group]).unwrap();
        maker.step();
    }
    writer.commit(vec![]).unwrap();
    maker.step();
    (disk.files(), head)
}

fn script_of(groups: usize) -> Vec<Batch> {
    let mut talk = Talk::new();
    let mut script = Vec::new();
    for n in 0..groups {
        let mut batch = talk.message(n % 2, 60 + n % 90);
        let key = format!("row {}", n % 5);
        batch.records.push(put(PEER, &key, &format!("{n}"), false));
        if n % 3 == 0 {
            let secret = format!("chain {}", n % 4);
            batch
                .records
                .push(put(SECRET, &secret, &format!("key {n}"), false));
        }
        if n % 7 == 6 {
            batch.records.push(Record::Delete {
                table: if n % 2 == 0 { PEER } else { SECRET },
                key: if n % 2 == 0 {
                    &b"row 1"[..]
                } else {
                    b"chain 3"
                }
                .to_vec(),
                event: true,
            });
            batch.records.push(Record::Drop {
                feed: talk.authors[0].feed,
                from: Position::new(n as u64 / 2),
                to: Position::new(n as u64 / 2 + 2),
                parts: [Parts::Bodies, Parts::Contents, Parts::Both][n / 2 % 3],
            });
        }
        script.push(batch);
    }
    script
}

#[test]
fn a_start_reads_the_newest_checkpoint_and_what_follows() {
    let files = many(60);
    let last = segments(&files);
    assert!(last > 10);
    assert_eq!(checkpoints(&files), [last - 1, last]);
    let (expected, _) = state(&files, whole(1)).unwrap();
    assert_eq!(state(&files, bounded(1)).unwrap(), (expected, vec![]));

    // Of the segments before it, headers and footers only.
    let disk = Counting::new(&files);
    let read = Arc::clone(&disk.read);
    drop(Store::open(disk, bounded(1)).unwrap());
    let journal = files["journal/00000001.seg"].len() as u64;
    let newest = files[&format!("journal/{last:08}.seg")].len() as u64;
    let checkpoint = files[&format!("checkpoint-{last}")].len() as u64;
    let read = read.load(Ordering::Relaxed);
    assert!(
        read < u64::from(last) * 2 * 138 + newest + checkpoint + 400,
        "{read}"
    );
    assert!(journal > 2 * 138);
}

#[test]
fn a_checkpoint_that_is_missing_or_altered_is_told_and_the_one_before_is_taken() {
    let files = many(40);
    let last = segments(&files);
    let (expected, _) = state(&files, whole(1)).unwrap();
    let newest = format!("checkpoint-{last}");
    let older = format!("checkpoint-{}", last - 1);
    let lost = |segment| Warning::Checkpoint { segment };
    let mut cases = Vec::new();
    for at in 0..files[&newest].len() {
        let mut changed = files.clone();
        changed.get_mut(&newest).unwrap()[at] ^= 0x40;
        cases.push((changed, vec![lost(last)]));
        let mut changed = files.clone();
        changed.get_mut(&newest).unwrap().truncate(at);
        cases.push((changed, vec![lost(last)]));
    }
    let mut gone = files.clone();
    gone.remove(&newest);
    cases.push((gone.clone(), vec![lost(last)]));
    gone.insert(older.clone(), vec![0; 300]);
    cases.push((gone.clone(), vec![lost(last - 1), lost(last)]));
    let mut changed = files.clone();
    changed.insert(older, vec![]);
    cases.push((changed, vec![]));
    // One of another segment under this name.
    let mut changed = files.clone();
    let other = files[&format!("checkpoint-{}", last - 1)].clone();
    changed.insert(newest, other);
    cases.push((changed, vec![lost(last)]));
    for (changed, warnings) in &cases {
        let found = state(changed, bounded(1)).unwrap();
        assert!(found.0 == expected);
        assert_eq!(found.1, *warnings);
    }

    // It is made again by the next start.
    let disk = MemoryDisk::with_files(gone);
    let (mut writer, _, _) = Store::open(disk.clone(), bounded(1)).unwrap();
    assert!(writer.checkpoint_maker().step());
    writer.commit(vec![]).unwrap();
    assert!(!writer.checkpoint_maker().step());
    let files = disk.files();
    assert!(checkpoints(&files).contains(&last));
    let (whole, _) = state(&files, whole(1)).unwrap();
    let (found, warnings) = state(&files, bounded(1)).unwrap();
    assert_eq!(found, whole);
    assert_eq!(
        (found.tables, found.events),
        (expected.tables, expected.events)
    );
    assert_eq!(warnings, []);
}

/// A file that is no checkpoint of this history, though it is of this store.
#[test]
fn a_checkpoint_that_is_not_journalled_is_not_read() {
    let mut files = many(30);
    let last = segments(&files);
    let disk = MemoryDisk::with_files(files.clone());
    let (mut writer, _, _) = Store::open(disk.clone(), bounded(1)).unwrap();
    let mut talk = script_of(60).split_off(30);
    let maker = writer.checkpoint_maker();
    while segments(&disk.files()) == last {
        writer.commit(vec![talk.remove(0)]).unwrap();
    }
    assert!(maker.step());
    // The power goes before its name is journalled.
    let name = format!("checkpoint-{}", last + 1);
    files = disk.files();
    assert!(files.contains_key(&name));
    let (expected, _) = state(&files, whole(1)).unwrap();
    assert_eq!(
        state(&files, bounded(1)).unwrap(),
        (expected.clone(), vec![])
    );
    // However it looks.
    files.insert(name.clone(), vec![7; 999]);
    assert_eq!(
        state(&files, bounded(1)).unwrap(),
        (expected.clone(), vec![])
    );

    // One of a segment that is not there is no matter, and is removed.
    files.insert(format!("checkpoint-{}", last + 9), vec![7; 999]);
    files.insert("checkpoint-1".to_owned(), vec![7; 999]);
    let disk = MemoryDisk::with_files(files);
    let (mut writer, _, recovered) = Store::open(disk.clone(), bounded(1)).unwrap();
    assert_eq!(recovered.warnings, []);
    assert!(writer.checkpoint_maker().step());
    writer.commit(vec![]).unwrap();
    writer.checkpoint_maker().step();
    assert_eq!(checkpoints(&disk.files()), [last, last + 1]);
    let (found, _) = state(&disk.files(), bounded(1)).unwrap();
    assert_eq!(found.tables, expected.tables);
}

#[test]
fn damage_before_a_checkpoint_is_never_a_shorter_history() {
    let files = many(40);
    let last = segments(&files);
    let (expected, _) = state(&files, whole(1)).unwrap();
    let path = "journal/00000003.seg";
    let length = files[path].len();
    for at in (0..138).chain(length - 138..length) {
        let mut changed = files.clone();
        changed.get_mut(path).unwrap()[at] ^= 1;
        let error = state(&changed, bounded(1)).unwrap_err();
        let told = matches!(
            error,
            OpenError::Damaged { segment: 3, .. } | OpenError::Version { segment: 3, .. }
        );
        assert!(
            told || matches!(error, OpenError::Owner { .. } | OpenError::StoreKey),
            "{at}: {error}"
        );
    }
    for cut in 0..length {
        let mut changed = files.clone();
        changed.get_mut(path).unwrap().truncate(cut);
        let error = state(&changed, bounded(1)).unwrap_err();
        assert!(
            matches!(error, OpenError::Damaged { segment: 3, .. }),
            "{cut}: {error}"
        );
    }
    for segment in 1..=last {
        let mut changed = files.clone();
        changed.remove(&format!("journal/{segment:08}.seg"));
        let error = state(&changed, bounded(1)).unwrap_err();
        assert!(
            matches!(error, OpenError::Damaged { .. }),
            "{segment}: {error}"
        );
    }
    // What the start did not read is found out when it is read.
    let mut told = 0;
    for at in (138..length - 138).step_by(3) {
        let mut changed = files.clone();
        changed.get_mut(path).unwrap()[at] ^= 1;
        let disk = MemoryDisk::with_files(changed);
        let (_, reader, recovered) = Store::open(disk, bounded(1)).unwrap();
        assert_eq!(recovered.tables, expected.tables);
        match reader.events(EventSeq::new(1), usize::MAX) {
            Ok(events) => assert_eq!(events, expected.events),
            Err(ReadError::Damaged {
                segment: 3, offset, ..
            }) => {
                told += 1;
                // What stands before it is still read.
                let first = reader.events(EventSeq::new(1), 1).unwrap();
                assert_eq!(first, expected.events[..1]);
                assert!(offset >= 138);
            }
            Err(other) => panic!("{at}: {other}"),
        }
    }
    assert!(told > 100, "{told}");
}

/// `HEAD` before the checkpoint: what it promises is looked for all the same.
#[test]
fn head_is_met_though_it_lies_before_the_checkpoint() {
    let (files, early) = many_and_head(40, 12);
    let (expected, _) = state(&files, whole(1)).unwrap();
    let mut older = files.clone();
    older.insert("HEAD".to_owned(), early.clone());
    let (found, _) = state(&older, bounded(1)).unwrap();
    assert_eq!(found, expected);
    // Of a history that is another one.
    let mut other = files;
    let head = other.get_mut("HEAD").unwrap();
    *head = early;
    head[20] ^= 1;
    let sum = crc32c::crc32c(&head[..60]).to_be_bytes();
    head[60..].copy_from_slice(&sum);
    let error = state(&other, bounded(1)).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

#[test]
fn a_full_disk_takes_no_checkpoint_and_a_broken_one_is_the_end() {
    let files = many(30);
    let last = segments(&files);
    for fault in [DiskFault::Full, DiskFault::Broken] {
        for after in 0..4 {
            let disk = MemoryDisk::with_files(files.clone());
            let (mut writer, _, _) = Store::open(disk.clone(), bounded(1)).unwrap();
            let mut talk = script_of(60).split_off(30);
            while segments(&disk.files()) == last {
                writer.commit(vec![talk.remove(0)]).unwrap();
            }
            disk.fail(Some(fault), after);
            assert!(!writer.checkpoint_maker().step(), "{fault:?} {after}");
            disk.fail(None, 0);
            let next = writer.commit(vec![talk.remove(0)]);
            if fault == DiskFault::Broken {
                assert!(matches!(next, Err(WriteError::Poisoned)));
                continue;
            }
            next.unwrap();
            assert_eq!(checkpoints(&disk.files()), [last - 1, last]);
            let (expected, _) = state(&disk.files(), whole(1)).unwrap();
            assert_eq!(
                state(&disk.files(), bounded(1)).unwrap(),
                (expected, vec![])
            );
        }
    }
}

/// One that was made by a version without checkpoints gets one at its first start.
#[test]
fn a_store_without_checkpoints_gets_one() {
    let disk = MemoryDisk::new();
    let (mut writer, _, _) = Store::open(disk.clone(), whole(1)).unwrap();
    for group in script_of(40) {
        writer.commit(vec![group]).unwrap();
        assert!(!writer.checkpoint_maker().step());
    }
    assert_eq!(checkpoints(&disk.files()), [0; 0]);
    let (expected, _) = state(&disk.files(), bounded(1)).unwrap();
    let (mut writer, _, _) = Store::open(disk.clone(), bounded(1)).unwrap();
    assert!(writer.checkpoint_maker().step());
    writer.commit(vec![]).unwrap();
    let files = disk.files();
    assert_eq!(checkpoints(&files), [segments(&files)]);
    let (found, warnings) = state(&files, bounded(1)).unwrap();
    assert_eq!((found.tables, warnings), (expected.tables, vec![]));
    let disk = Counting::new(&files);
    let read = Arc::clone(&disk.read);
    drop(Store::open(disk, bounded(1)).unwrap());
    assert!(read.load(Ordering::Relaxed) < 12_000);
}

const CRASH_GROUPS: usize = 16;

/// Runs the script until the power is lost; how many groups were committed.
fn run(disk: &TornDisk, n: u8, from: usize) -> Option<usize> {
    let (mut writer, _, _) = Store::open(disk.clone(), bounded(n)).ok()?;
    let maker = writer.checkpoint_maker();
    let mut committed = from;
    for group in script_of(CRASH_GROUPS).split_off(from) {
        if writer.commit(vec![group]).is_err() {
            break;
        }
        committed += 1;
        if !committed.is_multiple_of(3) {
            maker.step();
        }
        if committed.is_multiple_of(4) && writer.commit(vec![]).is_err() {
            break;
        }
        if committed.is_multiple_of(5) {
            writer.filler().step();
        }
    }
    Some(committed)
}

/// Without what depends on how often the names of checkpoints were journalled.
fn content(state: State) -> State {
    State {
        size: StoreSize::default(),
        conversations: state
            .conversations
            .into_iter()
            .map(|found| StoredConversation {
                last: RecordId { group: 0, index: 0 },
                ..found
            })
            .collect(),
        lives: Vec::new(),
        events: state.events.into_iter().map(without_record).collect(),
        ..state
    }
}

fn without_record(event: StoredEvent) -> StoredEvent {
    let view = match event.view {
        EventView::Message {
            header, plaintext, ..
        } => EventView::Message {
            header,
            record: RecordId { group: 0, index: 0 },
            plaintext,
        },
        other => other,
    };
    StoredEvent { view, ..event }
}

#[test]
fn power_is_lost_at_every_step_of_making_a_checkpoint() {
    let mut milestones = Vec::new();
    for groups in 0..=CRASH_GROUPS {
        let disk = MemoryDisk::new();
        let (mut writer, _, _) = Store::open(disk.clone(), whole(1)).unwrap();
        for group in script_of(CRASH_GROUPS).into_iter().take(groups) {
            writer.commit(vec![group]).unwrap();
        }
        milestones.push(content(state(&disk.files(), whole(1)).unwrap().0));
    }
    let all = TornDisk::new();
    assert_eq!(run(&all, 1, 0), Some(CRASH_GROUPS));
    assert!(checkpoints(&all.files()).len() > 1);
    let mut from_checkpoint = 0;
    for at in 0..all.operations() {
        for seed in 0..4 {
            let disk = TornDisk::with_files(Default::default(), Some(at));
            let committed = run(&disk, 1, 0).unwrap_or(0);
            assert!(disk.is_dead());
            let files = disk.after_power_loss(seed);
            let told = format!("at {at}, seed {seed}");
            let (read, _) = state(&files, whole(1)).unwrap_or_else(|e| panic!("{told}: {e}"));
            let (found, warnings) = state(&files, bounded(1)).unwrap();
            assert!(found == read, "{told}");
            let told_lost = |warning| matches!(warning, Warning::Checkpoint { .. });
            assert!(!warnings.into_iter().any(told_lost), "{told}");
            let found = content(found);
            let done = milestones.iter().position(|said| *said == found);
            let done = done.unwrap_or_else(|| panic!("{told}: {committed} were committed"));
            assert!(done == committed || done == committed + 1, "{told}");
            from_checkpoint += usize::from(!checkpoints(&files).is_empty());

            // It goes on from there, and the power goes once more.
            let again = TornDisk::with_files(files, Some(3 + (at * 7 + seed) % 40));
            let committed = run(&again, 1, done).unwrap_or(done);
            let files = again.after_power_loss(seed);
            let (found, _) = state(&files, bounded(1)).unwrap();
            assert!(found == state(&files, whole(1)).unwrap().0, "{told}, again");
            let found = content(found);
            let end = milestones.iter().position(|said| *said == found).unwrap();
            assert!(end == committed || end == committed + 1, "{told}, again");
        }
    }
    assert!(from_checkpoint > 100, "{from_checkpoint}");
}

#[derive(Clone, Debug)]
enum Step {
    Message {
        of: usize,
        size: usize,
    },
    Put {
        table: TableId,
        key: u8,
        length: usize,
        event: bool,
    },
    Delete {
        table: TableId,
        key: u8,
    },
    Drop {
        of: usize,
        from: u64,
        length: u64,
    },
    Make,
    Reopen {
        bounded: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let table = prop_oneof![
        Just(PEER),
        Just(tables::SPACE),
        Just(SECRET),
        Just(TableId::new(199)),
        Just(tables::EVENT)
    ];
    let live = table
        .clone()
        .prop_filter("no log", |table| *table != tables::EVENT);
    let step = prop_oneof![
        6 => (0..2_usize, 0..300_usize).prop_map(|(of, size)| Step::Message { of, size }),
        6 => (table, 0..6_u8, 0..200_usize, any::<bool>())
            .prop_map(|(table, key, length, event)| Step::Put { table, key, length, event }),
        2 => (live, 0..6_u8).prop_map(|(table, key)| Step::Delete { table, key }),
        1 => (0..2_usize, 0..40_u64, 0..9_u64)
            .prop_map(|(of, from, length)| Step::Drop { of, from, length }),
        5 => Just(Step::Make),
        1 => any::<bool>().prop_map(|bounded| Step::Reopen { bounded }),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// State from a checkpoint and what follows == state from reading everything.
    #[test]
    fn any_history_is_the_same_from_a_checkpoint(steps in steps()) {
        let disk = MemoryDisk::new();
        let mut opened = 1;
        let (mut writer, _, _) = Store::open(disk.clone(), bounded(opened)).unwrap();
        let mut talk = Talk::new();
        for (n, step) in (0_u64..).zip(steps) {
            let record = match step {
                Step::Message { of, size } => {
                    writer.commit(vec![talk.message(of, size)]).unwrap();
                    continue;
                }
                Step::Make => {
                    writer.checkpoint_maker().step();
                    continue;
                }
                Step::Reopen { bounded: is_bounded } => {
                    opened += 1;
                    let options = if is_bounded { bounded(opened) } else { whole(opened) };
                    let (again, _, recovered) = Store::open(disk.clone(), options).unwrap();
                    prop_assert_eq!(recovered.warnings, []);
                    writer = again;
                    continue;
                }
                Step::Put { table, key, length, event } => {
                    let event = event || table == tables::EVENT;
                    let key = if table == tables::EVENT { format!("{n}") } else { format!("{key}") };
                    put(table, &key, &"v".repeat(length), event)
                }
                Step::Delete { table, key } => Record::Delete {
                    table,
                    key: format!("{key}").into_bytes(),
                    event: false,
                },
                Step::Drop { of, from, length } => Record::Drop {
                    feed: talk.authors[of].feed,
                    from: Position::new(from),
                    to: Position::new(from + length),
                    parts: [Parts::Bodies, Parts::Contents, Parts::Both][n as usize % 3],
                },
            };
            writer.commit(vec![batch(1_000 + n, vec![record])]).unwrap();
        }
        let files = disk.files();
        let (expected, _) = state(&files, whole(99)).unwrap();
        let (found, warnings) = state(&files, bounded(99)).unwrap();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(warnings, []);
        prop_assert!(checkpoints(&files).len() <= 4);
    }
}

/// A disk that counts what is read.
#[derive(Debug)]
struct Counting {
    disk: MemoryDisk,
    read: Arc<AtomicU64>,
}

impl Counting {
    fn new(files: &Files) -> Self {
        Counting {
            disk: MemoryDisk::with_files(files.clone()),
            read: Arc::default(),
        }
    }
}

impl Disk for Counting {
    fn create(&self, path: &str) -> io::Result<()> {
        self.disk.create(path)
    }

    fn write_at(&self, path: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.write_at(path, offset, bytes)
    }

    fn sync(&self, path: &str) -> io::Result<()> {
        self.disk.sync(path)
    }

    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        self.disk.read_at(path, offset, buffer)
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        self.disk.len(path)
    }

    fn truncate(&self, path: &str, length: u64) -> io::Result<()> {
        self.disk.truncate(path, length)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }
}
