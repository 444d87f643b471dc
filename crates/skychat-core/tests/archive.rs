//! Archives: what is taken in is what the owner wrote and what authors signed; all else is refused. Rules:
//! `docs/protocol/archive.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a test that panics is a test that fails"
)]

mod archives;
#[path = "archives/directory.rs"]
mod directory;

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use archives::*;
use data_encoding::BASE64;
use directory::*;
use getrandom::SysRng;
use rand_core::UnwrapErr;
use skychat_api::Code;
use skychat_core::datadir::DataDir;
use skychat_core::upkeep::{self, BackupCost, MAX_ARCHIVE_LINE, UpkeepError, import, read_archive};
use skychat_proto::ids::{Position, Timestamp};
use skychat_proto::record::Record;
use skychat_seal::BackupSealer;
use skychat_store::{ArchiveWriter, KeptGroup};

fn exported(dir: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    upkeep::export(dir, &mut out, None, &mut |_| {}).unwrap();
    out
}

fn read(file: &[u8]) -> Result<upkeep::ArchiveRead, UpkeepError> {
    read_archive(&mut &*file, ann().public(), &mut |_| Ok(()))
}

/// C12, ARCHIVE: no byte of a file can be another one, and no bit of its last line.
#[test]
fn every_flipped_byte_and_every_cut_is_refused() {
    let file = file(lines(&groups())).into_bytes();
    read(&file).unwrap();
    let last = file.len() - 2;
    let end = file[..last]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap();
    for at in 0..file.len() {
        let bits = if at > end { 0..8 } else { at % 8..at % 8 + 1 };
        for bit in bits {
            let mut changed = file.clone();
            changed[at] ^= 1 << bit;
            assert!(read(&changed).is_err(), "bit {bit} of {at}");
        }
        assert!(read(&file[..at]).is_err(), "cut at {at}");
        let mut shorter = file.clone();
        shorter.remove(at);
        assert!(read(&shorter).is_err(), "without {at}");
    }
}

/// However lines are moved, doubled or left out, by somebody who cannot sign.
#[test]
fn lines_in_another_order_are_refused() {
    let mut whole = lines(&groups());
    whole.push(end(&whole, &ann()));
    for a in 0..whole.len() {
        let mut lines = whole.clone();
        lines.remove(a);
        assert!(read(joined(&lines).as_bytes()).is_err(), "without {a}");
        let mut lines = whole.clone();
        lines.insert(a, whole[a].clone());
        assert!(read(joined(&lines).as_bytes()).is_err(), "{a} twice");
        for b in 0..a {
            let mut lines = whole.clone();
            lines.swap(a, b);
            let same = whole[a] == whole[b];
            assert_eq!(read(joined(&lines).as_bytes()).is_ok(), same, "{a} and {b}");
        }
    }
}

/// Zeros without an end, of which it is counted how many were taken.
struct Endless {
    start: Vec<u8>,
    taken: usize,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.start.get(self.taken..).unwrap_or_default();
        let length = buffer.len();
        buffer.fill(b'A');
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        self.taken += length;
        Ok(length)
    }
}

/// A line that never ends is let go of at its bound, and an item at its own.
#[test]
fn a_line_without_an_end_is_refused_before_it_is_held() {
    let first = lines(&[]).swap_remove(0);
    let mut endless = Endless {
        start: format!("{first}\n{{\"type\":\"record\",\"data\":\"").into_bytes(),
        taken: 0,
    };
    let owner = ann().public();
    let error = read_archive(&mut endless, owner, &mut |_| Ok(())).unwrap_err();
    assert_eq!(name(&error), "LongLine");
    assert!(
        endless.taken < MAX_ARCHIVE_LINE + 200_000,
        "{}",
        endless.taken
    );

    // The longest line there can be is one of a record; of one byte more the item is too long.
    let row = |length: usize| {
        let value = vec![0x41; length - 17];
        [item(4, b"\x06bob", b""), value].concat()
    };
    let most = 16 * 1024 * 1024;
    assert_eq!(row(most).len(), most);
    assert_eq!(record_line(&row(most)).len(), MAX_ARCHIVE_LINE);
    read(of_item(&row(most)).as_bytes()).unwrap();
    let long = read(of_item(&row(most + 1)).as_bytes()).unwrap_err();
    assert_eq!(name(&long), "Item(TooLong)");
    let longer = read(of_item(&row(most + 3)).as_bytes()).unwrap_err();
    assert_eq!(name(&longer), "LongLine");
}

/// What is imported is what was exported: another export of it holds the same, line by line.
#[test]
fn an_import_is_exported_as_it_was() {
    let home = directory();
    let dir = home.path().join("ann");
    let by_hand = file(lines(&groups()));
    let done = imported(&home, by_hand.as_bytes()).unwrap();
    assert_eq!(done.kept, None);
    let first = exported(&dir);
    let found = read(&first).unwrap();
    assert_eq!((found.messages, found.records), (3, 11));

    let second = directory();
    imported(&second, &first).unwrap();
    let again = exported(&second.path().join("ann"));
    let body = |file: &[u8]| -> Vec<String> {
        let text = String::from_utf8(file.to_vec()).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines[1..lines.len() - 1].to_vec()
    };
    assert_eq!(body(&again), body(&first));
    assert_eq!(counted(&body(&first), "record"), 11);
    for line in body(&first)
        .iter()
        .filter(|line| line.contains("\"record\","))
    {
        let data = line.split('"').nth(7).unwrap();
        BASE64.decode(data.as_bytes()).unwrap();
    }
}

/// A history is not merged with another one: it is refused, or takes its place as a whole.
#[test]
fn a_directory_that_has_a_history_keeps_it_unless_it_is_replaced() {
    let home = directory();
    let dir = home.path().join("ann");
    let small: Vec<KeptGroup> = groups().into_iter().take(1).collect();
    imported(&home, file(lines(&small)).as_bytes()).unwrap();
    let files = |dir: &Path| {
        ["journal/00000001.seg", "HEAD", "store.key"].map(|name| fs::read(dir.join(name)).unwrap())
    };
    let before = files(&dir);
    let whole = file(lines(&groups()));
    let error = imported(&home, whole.as_bytes()).unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("a store with 2 messages") && said.contains("--replace"),
        "{said}"
    );
    assert_eq!(error.code(), Code::StoreOwner);

    // What fails alters nothing, and leaves nothing.
    let replaced = |bytes: &[u8]| import(&dir, &mut &*bytes, None, true, &mut |_| {});
    replaced(&whole.as_bytes()[..whole.len() - 5]).unwrap_err();
    assert_eq!(files(&dir), before);
    assert!(!dir.join("rebuild.new").exists());

    let done = replaced(whole.as_bytes()).unwrap();
    let kept = done.kept.unwrap();
    assert_eq!(kept, dir.join("replaced-1"));
    assert_eq!(files(&kept), before, "with the key that opens it");
    assert_ne!(fs::read(dir.join("store.key")).unwrap(), before[2]);
    assert_eq!(read(&exported(&dir)).unwrap().messages, 3);

    // It does so too if what is there cannot be read.
    for damage in ["journal/00000001.seg", "store.key"] {
        let path = dir.join(damage);
        let mut bytes = fs::read(&path).unwrap();
        bytes[30] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let refused = imported(&home, whole.as_bytes()).unwrap_err();
        assert_eq!(refused.code(), Code::StoreOwner, "{refused:?}");
        let kept = replaced(whole.as_bytes()).unwrap().kept.unwrap();
        assert_eq!(fs::read(kept.join(damage)).unwrap(), bytes);
        assert_eq!(read(&exported(&dir)).unwrap().messages, 3);
    }
    fs::remove_file(dir.join("store.key")).unwrap();
    assert!(imported(&home, whole.as_bytes()).is_err());
    replaced(whole.as_bytes()).unwrap();
    assert_eq!(read(&exported(&dir)).unwrap().messages, 3);
}

/// Whose it is, is said by the identity of the directory, or one that is given.
#[test]
fn an_archive_is_imported_by_its_owner_only() {
    let home = directory();
    let dir = home.path().join("ann");
    let whole = file(lines(&groups()));
    let as_given =
        |dir: &Path, given| import(dir, &mut whole.as_bytes(), given, false, &mut |_| {});
    let other = as_given(&dir, Some(bob().public())).unwrap_err();
    assert_eq!(
        (name(&other), other.code()),
        ("Owner".into(), Code::StoreOwner)
    );

    // The identity need not be in the directory, nor the directory be there.
    let elsewhere = home.path().join("elsewhere");
    let none = as_given(&elsewhere, None).unwrap_err();
    assert_eq!(name(&none), "NoDirectory");
    DataDir::open(&elsewhere).unwrap();
    let none = as_given(&elsewhere, None).unwrap_err();
    assert_eq!(
        (name(&none), none.code()),
        ("NoIdentity".into(), Code::BadConfig)
    );
    fs::remove_dir_all(&elsewhere).unwrap();
    as_given(&elsewhere, Some(ann().public())).unwrap();
    assert!(!elsewhere.join("identity.key").exists());

    // Without it an export is for readers.
    let mut out = Vec::new();
    let done = upkeep::export(&elsewhere, &mut out, None, &mut |_| {}).unwrap();
    assert!(!done.signed);
    assert_eq!(name(&read(&out).unwrap_err()), "Unsigned");
    let mut out = Vec::new();
    let done = upkeep::export(&elsewhere, &mut out, Some(ann()), &mut |_| {}).unwrap();
    assert!(done.signed);
    read(&out).unwrap();
    let other = upkeep::export(&elsewhere, &mut Vec::new(), Some(bob()), &mut |_| {});
    assert_eq!(other.unwrap_err().code(), Code::StoreOwner);
}

/// A new store that waits to be moved to its place goes first.
#[test]
fn nothing_is_imported_while_a_rebuild_is_unfinished() {
    let home = directory();
    let dir = home.path().join("ann");
    fs::create_dir(dir.join("rebuild")).unwrap();
    let whole = file(lines(&groups()));
    let error = import(&dir, &mut whole.as_bytes(), None, true, &mut |_| {}).unwrap_err();
    assert_eq!(name(&error), "DataDir");
    assert_eq!(error.code(), Code::StoreDamaged);
}

/// D7: a backup is verified in the same way, although only its owner could seal it.
#[test]
fn a_backup_in_which_somebody_else_wrote_what_they_did_not_is_refused() {
    let sealed = |groups: &[KeptGroup]| {
        let (mut writer, mut plain) = (ArchiveWriter::default(), Vec::new());
        writer.start(ann().expose_bytes(), Timestamp::from_millis(7), &mut plain);
        for group in groups {
            writer.group(group, &mut plain).unwrap();
        }
        writer.end(&mut plain);
        let cost = BackupCost {
            memory: 8,
            passes: 1,
            lanes: 1,
        };
        let sealer = BackupSealer::new(&mut UnwrapErr(SysRng), b"passphrase", cost).unwrap();
        let header = *sealer.header();
        [&header[..], &sealer.last(&plain).unwrap()].concat()
    };
    let home = tempfile::tempdir().unwrap();
    let restored = |dir: &str, file: Vec<u8>| {
        upkeep::restore(&home.path().join(dir), &mut &file[..], b"passphrase")
    };
    let whole = restored("whole", sealed(&groups())).unwrap();
    assert_eq!((whole.groups, whole.records), (3, 11));
    let of = |range| vec![group(Some(life(1)), &mut 0, vec![Record::Range { range }])];
    let forged = range(&bob(), &ann(), &bodies().map(Some));
    let apart = whole_range(&bob()).suffix(Position::new(1)).unwrap();
    for (range, why) in [(forged, "Forged"), (apart, "Contradiction")] {
        let error = restored("none", sealed(&of(range))).unwrap_err();
        assert_eq!(
            (name(&error).as_str(), error.code()),
            (why, Code::BackupDamaged)
        );
        for left in ["journal", "identity.key", "rebuild.new", "rebuild"] {
            assert!(!home.path().join("none").join(left).exists(), "{left}");
        }
    }
}
