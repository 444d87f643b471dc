//! Fuzz target of the journal as a plain function: it takes arbitrary bytes, and panics if a rule is broken. `fuzz/`
//! runs it with a fuzzer, `tests/fuzz_corpus.rs` with the corpus.

#[path = "../common/mod.rs"]
mod common;
mod mend;

pub(crate) use mend::mend;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use common::*;
use skychat_store::{
    ArchiveItem, ArchiveReader, CheckOptions, MemoryDisk, OpenError, Rewriter, SegmentSizes, Store,
    Warning, WriteError, gather,
};

/// The files of a store by their paths.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// A store with every kind of record in several segments.
pub(crate) struct Genuine {
    pub(crate) files: Files,
    said: Said,
}

pub(crate) fn genuine() -> &'static Genuine {
    static GENUINE: OnceLock<Genuine> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let disk = MemoryDisk::new();
        let (mut writer, _, _) = Store::open(disk.clone(), options()).unwrap();
        for group in script() {
            writer.commit(group).unwrap();
        }
        let files = disk.files();
        let said = look(MemoryDisk::with_files(files.clone())).unwrap().0;
        Genuine { files, said }
    })
}

/// What is done to the files of the genuine store.
pub(crate) const CHANGED: u8 = 0;
/// The same, and all checksums and hashes are made to fit again.
pub(crate) const MENDED: u8 = 1;
/// The files are made of the bytes alone.
pub(crate) const MADE: u8 = 2;

/// A directory with any bytes for `HEAD` and segments. The first byte says how they are made; see the constants.
///
/// Whatever is there: opening either fails and changes nothing, or all that is found can be read, and is found again.
/// A store with one damage, made without knowledge of its checksums, is whole or refused.
pub(crate) fn store_open_arbitrary_files(data: &[u8]) {
    let Some((way, data)) = data.split_first() else {
        return;
    };
    match way % 3 {
        CHANGED => damaged(data),
        MENDED => {
            let mut files = genuine().files.clone();
            change(&mut files, data, 16);
            mend(&mut files);
            any(files);
        }
        _ => any(files_made(data)),
    }
}

/// Of whatever there is, what is left is a store (JRN-5), and nothing is altered meanwhile.
fn left(files: &Files) {
    enum Stop {
        Open,
        Write(WriteError),
    }
    impl From<OpenError> for Stop {
        fn from(_: OpenError) -> Self {
            Stop::Open
        }
    }
    let (old, new) = (MemoryDisk::with_files(files.clone()), MemoryDisk::new());
    let mut rewriter = Rewriter::create(new.clone(), options()).unwrap();
    let store_key = key(9);
    let options = CheckOptions {
        owner: Some(ann().public()),
        store_key: Some(&store_key),
        index_mark: None,
    };
    let found = gather::<Stop>(&old, options, &mut |_| {}, &mut |group| {
        rewriter.write(group).map_err(Stop::Write)
    });
    assert!(
        old.files() == *files,
        "a store that was looked at was changed"
    );
    match found {
        Ok(_) => {
            rewriter.finish().unwrap();
            // Texts may be others, and signatures: checksums that were made to fit hide that.
            let (_, _, recovered) = Store::open(new, self::options()).unwrap();
            assert_eq!(recovered.warnings, []);
        }
        // Somebody else's, or of a later version; or a group that no writer makes.
        Err(Stop::Open | Stop::Write(WriteError::TooLarge { .. })) => {}
        Err(Stop::Write(error)) => panic!("what is left cannot be written: {error}"),
    }
}

/// An archive is read to its end, or refused; in whatever pieces it comes.
pub(crate) fn store_archive(data: &[u8]) {
    let read = |piece: usize| {
        let mut reader = ArchiveReader::default();
        let mut records = 0;
        for piece in data.chunks(piece) {
            reader.push(piece);
            while let Some(item) = reader.next()? {
                if let ArchiveItem::Group(group) = item {
                    records += group.records.len();
                }
            }
        }
        reader.finish().map(|()| records)
    };
    assert_eq!(read(1_000_000), read(7));
}

/// Files that may hold anything.
fn any(files: Files) {
    left(&files);
    let disk = MemoryDisk::with_files(files.clone());
    let options = || skychat_store::OpenOptions {
        segments: SegmentSizes {
            first: 2048,
            largest: 4096,
        },
        ..options()
    };
    let Ok((_, reader, recovered)) = Store::open(disk.clone(), options()) else {
        // `HEAD` and segments stay as they are.
        assert!(disk.files() == files, "a refused store was changed");
        return;
    };
    let tables = recovered.tables.clone();
    // What cannot be read is an error, not a panic, and not another text.
    let read = (
        reader.history(space(), None, usize::MAX).is_ok(),
        reader.conversations().is_ok(),
        reader
            .events(skychat_proto::ids::EventSeq::new(1), usize::MAX)
            .is_ok(),
    );
    for (feed, tip) in &recovered.tips {
        let mut at = skychat_proto::ids::Position::START;
        while let Ok(Some(range)) = reader.range(*feed, at, 4, 4096, false) {
            assert!(range.start() == at && range.end() > at && range.end() <= tip.head);
            at = range.end();
        }
    }
    drop(reader);
    let Ok((_, reader, again)) = Store::open(disk, options()) else {
        panic!("what was opened once is opened again");
    };
    assert!(again.tables == tables && again.tips == recovered.tips);
    assert_eq!(again.events, recovered.events);
    let read_again = (
        reader.history(space(), None, usize::MAX).is_ok(),
        reader.conversations().is_ok(),
        reader
            .events(skychat_proto::ids::EventSeq::new(1), usize::MAX)
            .is_ok(),
    );
    assert_eq!(read_again, read);
}

/// The genuine store with one place changed.
fn damaged(data: &[u8]) {
    let genuine = genuine();
    let mut files = genuine.files.clone();
    change(&mut files, data, 1);
    let changed = files != genuine.files;
    left(&files);
    let disk = MemoryDisk::with_files(files.clone());
    match look(disk.clone()) {
        Ok((said, warnings)) if said == genuine.said => {
            // A change that is not told of is of something that nobody asks for.
            let told = warnings
                .iter()
                .all(|warning| matches!(warning, Warning::NoHead | Warning::TornTail { .. }));
            assert!(told && (changed || warnings.is_empty()));
        }
        Ok(_) => panic!("less is found than was committed"),
        Err(error) => {
            assert!(
                matches!(error, OpenError::Damaged { .. } | OpenError::Version { .. }),
                "{error}"
            );
            assert!(changed && disk.files() == files);
        }
    }
}

/// Changes of files: which one, where, how, and with what; six bytes each.
fn change(files: &mut Files, data: &[u8], most: usize) {
    for change in data.chunks_exact(6).take(most) {
        let [file, a, b, how, value, length] = *change else {
            return;
        };
        let place = usize::from(file) % files.len();
        let Some(bytes) = files.values_mut().nth(place) else {
            return;
        };
        let at = usize::from(u16::from_be_bytes([a, b])) % bytes.len().max(1);
        let end = at.saturating_add(length.into()).min(bytes.len());
        match how % 5 {
            0 => bytes.truncate(at),
            1 => bytes.get_mut(at..end).unwrap_or_default().fill(value),
            2 => {
                // A number of two bytes at once: lengths and counts.
                for (to, from) in bytes.iter_mut().skip(at).zip([value, length]) {
                    *to = from;
                }
            }
            3 => {
                let copy = bytes.get(at..end).unwrap_or_default().to_vec();
                let to = usize::from(value) * 16 % bytes.len().max(1);
                for (to, from) in bytes.iter_mut().skip(to).zip(copy) {
                    *to = from;
                }
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= value;
                }
            }
        }
    }
}

/// Files of which each is a number, two bytes of length, and its bytes.
pub(crate) fn files_made(mut data: &[u8]) -> Files {
    let mut files = Files::new();
    while let Some(([file, a, b], rest)) = data.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*a, *b])).min(rest.len());
        let (bytes, rest) = rest.split_at(length);
        let path = match file % 8 {
            0 => "HEAD".to_owned(),
            7 => "journal/other".to_owned(),
            n => format!("journal/{n:08}.seg"),
        };
        files.insert(path, bytes.to_vec());
        data = rest;
    }
    files
}
