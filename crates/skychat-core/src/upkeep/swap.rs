//! Putting a new store in the place of another one, whatever interrupts it.
//!
//! The new store is written to `rebuild.new/`. When it is whole and on disk that becomes
//! `rebuild/`, and from then on it is the one that counts: nothing starts before it was moved to
//! its place and the old files to a directory of their own, which every rebuild does first.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::{INDEX, UpkeepError};
use crate::datadir::{DIR_MODE, IDENTITY_KEY, STORE_KEY};

/// The new store, while it is written.
const DRAFT: &str = "rebuild.new";
/// The new store, until it is in its place.
const READY: &str = "rebuild";
/// In it: the name of the directory for the old files.
const KEPT_AS: &str = "kept-as";
/// What is moved, besides checkpoints: the parts of a store, the key that an archive's is under, and
/// last the identity that a backup brings.
const PARTS: [&str; 4] = ["journal", "HEAD", STORE_KEY, IDENTITY_KEY];
const CHECKPOINT: &str = "checkpoint-";
/// Directories of old files there can be.
const MAX_KEPT: u32 = 10_000;

/// Why old files are put aside: what the directory for them is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aside {
    /// They are damaged.
    Damaged,
    /// An archive takes their place.
    Replaced,
}

impl Aside {
    const fn word(self) -> &'static str {
        match self {
            Aside::Damaged => "damaged",
            Aside::Replaced => "replaced",
        }
    }
}

/// Whether a new store waits to be moved to its place.
pub(crate) fn is_pending(dir: &Path) -> bool {
    dir.join(READY).try_exists().unwrap_or(true)
}

/// An empty directory for a new store.
pub(super) fn draft(dir: &Path) -> Result<PathBuf, UpkeepError> {
    let draft = dir.join(DRAFT);
    match fs::remove_dir_all(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(UpkeepError::io("remove", draft)(error));
        }
        _ => {}
    }
    make_dir(&draft)?;
    Ok(draft)
}

/// The new store is whole and synced: it counts from here on. Gives where the old files are, if
/// there were any.
pub(super) fn commit(dir: &Path, aside: Aside) -> Result<Option<PathBuf>, UpkeepError> {
    let draft = dir.join(DRAFT);
    let name = free_name(dir, aside)?;
    let note = draft.join(KEPT_AS);
    fs::write(&note, &name)
        .and_then(|()| File::open(&note)?.sync_all())
        .map_err(UpkeepError::io("write", note))?;
    sync(&draft)?;
    rename(&draft, &dir.join(READY))?;
    sync(dir)?;
    finish(dir)
}

/// Moves the new store to its place, as far as it is not there yet. Gives where the old files
/// are, if there were any.
pub(super) fn finish(dir: &Path) -> Result<Option<PathBuf>, UpkeepError> {
    let ready = dir.join(READY);
    let note = ready.join(KEPT_AS);
    let name = fs::read_to_string(&note).map_err(UpkeepError::io("read", &note))?;
    let kept = dir.join(&name);
    for part in checkpoints(dir)? {
        keep(dir, &part, &kept)?;
    }
    for part in PARTS {
        let (new, place) = (ready.join(part), dir.join(part));
        if !new.exists() {
            continue;
        }
        if place.exists() {
            keep(dir, part, &kept)?;
        }
        rename(&new, &place)?;
    }
    // What is derived from the old journal says nothing of the new one.
    let index = dir.join(INDEX);
    match fs::remove_dir_all(&index) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(UpkeepError::io("remove", index)(error));
        }
        _ => {}
    }
    sync(dir)?;
    fs::remove_dir_all(&ready).map_err(UpkeepError::io("remove", ready))?;
    sync(dir)?;
    Ok(kept.exists().then_some(kept))
}

/// Moves an old file to the directory for those.
fn keep(dir: &Path, part: &str, kept: &Path) -> Result<(), UpkeepError> {
    if !kept.exists() {
        make_dir(kept)?;
    }
    rename(&dir.join(part), &kept.join(part))?;
    sync(kept)
}

fn checkpoints(dir: &Path) -> Result<Vec<String>, UpkeepError> {
    let entries = fs::read_dir(dir).map_err(UpkeepError::io("list", dir))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(UpkeepError::io("list", dir))?;
        let name = entry.file_name().into_string().unwrap_or_default();
        if name.starts_with(CHECKPOINT) {
            names.push(name);
        }
    }
    Ok(names)
}

fn free_name(dir: &Path, aside: Aside) -> Result<String, UpkeepError> {
    (1..=MAX_KEPT)
        .map(|number| format!("{}-{number}", aside.word()))
        .find(|name| !dir.join(name).exists())
        .ok_or_else(|| {
            UpkeepError::io("find a free name in", dir)(io::ErrorKind::AlreadyExists.into())
        })
}

fn make_dir(path: &Path) -> Result<(), UpkeepError> {
    DirBuilder::new()
        .mode(DIR_MODE)
        .create(path)
        .map_err(UpkeepError::io("create", path))
}

fn rename(from: &Path, to: &Path) -> Result<(), UpkeepError> {
    fs::rename(from, to).map_err(UpkeepError::io("move", from))
}

fn sync(dir: &Path) -> Result<(), UpkeepError> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(UpkeepError::io("sync", dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An import that stops after any of its moves is finished by the next look, with nothing lost.
    #[test]
    fn a_move_that_was_interrupted_anywhere_is_finished() {
        let parts = ["journal", "HEAD", STORE_KEY];
        let moves = ["checkpoint-7"].into_iter().map(|part| (part, true)).chain(
            parts
                .into_iter()
                .flat_map(|part| [(part, true), (part, false)]),
        );
        let moves: Vec<(&str, bool)> = moves.collect();
        for done in 0..=moves.len() {
            let home = tempfile::tempdir().unwrap();
            let dir = home.path();
            let (ready, kept) = (dir.join(READY), dir.join("replaced-1"));
            fs::create_dir(&ready).unwrap();
            fs::write(ready.join(KEPT_AS), "replaced-1").unwrap();
            for part in parts {
                fs::write(dir.join(part), format!("old {part}")).unwrap();
                fs::write(ready.join(part), format!("new {part}")).unwrap();
            }
            fs::write(dir.join("checkpoint-7"), "old checkpoint-7").unwrap();
            fs::create_dir(dir.join(INDEX)).unwrap();
            for (part, old) in &moves[..done] {
                if *old {
                    fs::create_dir_all(&kept).unwrap();
                    fs::rename(dir.join(part), kept.join(part)).unwrap();
                } else {
                    fs::rename(ready.join(part), dir.join(part)).unwrap();
                }
            }
            assert!(is_pending(dir));
            assert_eq!(finish(dir).unwrap(), Some(kept.clone()));
            assert!(!is_pending(dir) && !dir.join(INDEX).exists());
            let read = |path: PathBuf| fs::read_to_string(path).unwrap();
            for part in parts {
                assert_eq!(read(dir.join(part)), format!("new {part}"), "{done}");
                assert_eq!(read(kept.join(part)), format!("old {part}"), "{done}");
            }
            assert_eq!(read(kept.join("checkpoint-7")), "old checkpoint-7");
        }
    }
}
