//! Making the index of a store again, and a store from what damage has left of one.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use skychat_identity::{PublicKey, SecretKey, keyfile};
use skychat_proto::ids::Incarnation;
use skychat_seal::StoreKey;
use skychat_store::{
    CheckOptions, CheckReport, FileDisk, OpenOptions, Progress, Store, spawn_indexed_writer,
};

use super::draft::Draft;
use super::swap::{self, Aside};
use super::{INDEX, UpkeepError, open_dir, optional, random};
use crate::datadir::{
    DataDir, IDENTITY_KEY, IdentityError, SecretFileError, keys::KEY_FILE_LIMIT, read_private,
};

/// How often it is looked whether the index is whole, and how often at most: for half an hour. A
/// disk that is full, or fails, keeps it from ever being.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: u32 = 90_000;

/// What a rebuild did.
#[derive(Debug)]
pub struct Rebuilt {
    /// What was found before; `None`: an earlier rebuild was finished.
    pub report: Option<CheckReport>,
    /// Where the damaged files are; `None`: there are none.
    pub kept: Option<PathBuf>,
}

/// Makes the index of a store again. If the store is damaged that is an error, unless
/// `accept_loss`: then a new store is made from what is left of it, in a life of its own, and the
/// damaged files are kept in a directory beside it. A rebuild that was interrupted is finished.
///
/// # Errors
/// [`UpkeepError`]; the store is as it was. After an error while files are moved, the next rebuild
/// goes on with that, and nothing starts before.
pub fn rebuild(
    dir: &Path,
    accept_loss: bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Rebuilt, UpkeepError> {
    let held = open_dir(dir)?;
    if swap::is_pending(dir) {
        let kept = swap::finish(dir)?;
        return Ok(Rebuilt { report: None, kept });
    }
    if !held.has_journal() {
        return Err(UpkeepError::Nothing { dir: dir.into() });
    }
    let key = || read_key(&held);
    let store_key = key()?;
    let options = CheckOptions {
        owner: owner(&held)?,
        store_key: Some(&store_key),
        index_mark: None,
    };
    let disk = FileDisk::new(dir);
    let report = skychat_store::check(&disk, options, progress)?;
    let owner = options.owner.or(report.owner);
    if report.is_whole() {
        let owner = owner.ok_or(UpkeepError::Nothing { dir: dir.into() })?;
        make_index(dir, owner, key()?)?;
        let report = Some(report);
        return Ok(Rebuilt { report, kept: None });
    }
    // Without one header there is nobody to ask whether this is the right key; if it opens
    // nothing, it is not.
    if report.owner.is_none() && report.records > 0 && report.events == 0 && report.messages == 0 {
        return Err(UpkeepError::Store(skychat_store::OpenError::StoreKey));
    }
    if !accept_loss {
        let report = Box::new(report);
        return Err(UpkeepError::Damaged { report });
    }
    let owner = owner.ok_or_else(|| {
        let path = dir.join(IDENTITY_KEY);
        UpkeepError::Identity(IdentityError::KeyFileLost { path })
    })?;
    let mut draft = Draft::begin(&held, owner, false)?;
    let report = skychat_store::gather::<UpkeepError>(&disk, options, progress, &mut |group| {
        draft.write(group)
    })?;
    Ok(Rebuilt {
        report: Some(report),
        kept: draft.finish(Aside::Damaged)?,
    })
}

pub(super) fn read_key(held: &DataDir) -> Result<StoreKey, UpkeepError> {
    let found = held.store_key_if_there().and_then(|found| {
        let path = held.path().join(crate::datadir::STORE_KEY);
        found.ok_or(SecretFileError::StoreKeyLost { path })
    });
    found.map_err(UpkeepError::StoreKey)
}

/// Whose directory it is, if it says so itself.
pub(super) fn owner(held: &DataDir) -> Result<Option<PublicKey>, UpkeepError> {
    Ok(identity_if_there(held)?.map(|secret| secret.public()))
}

/// The identity of the directory, which has to be in it.
pub(super) fn identity(held: &DataDir) -> Result<SecretKey, UpkeepError> {
    identity_if_there(held)?.ok_or_else(|| {
        let path = held.path().join(IDENTITY_KEY);
        UpkeepError::Identity(IdentityError::KeyFileLost { path })
    })
}

/// The identity of the directory, if it is in it.
pub(super) fn identity_if_there(held: &DataDir) -> Result<Option<SecretKey>, UpkeepError> {
    let path = held.path().join(IDENTITY_KEY);
    let file = optional(read_private(&path, KEY_FILE_LIMIT));
    let Some(file) = file.map_err(|error| UpkeepError::Identity(error.into()))? else {
        return Ok(None);
    };
    match keyfile::decode(&file) {
        Ok(secret) => Ok(Some(secret)),
        Err(source) => Err(UpkeepError::Identity(IdentityError::KeyFile {
            path,
            source,
        })),
    }
}

/// Takes the index away and makes it from the journal.
fn make_index(dir: &Path, owner: PublicKey, key: StoreKey) -> Result<(), UpkeepError> {
    let index = dir.join(INDEX);
    match std::fs::remove_dir_all(&index) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(UpkeepError::io("remove", index)(error));
        }
        _ => {}
    }
    let options = OpenOptions {
        // Whatever is to be found is then found in the index.
        tail: Some(0),
        ..OpenOptions::new(owner, key, Incarnation::from_bytes(random()?), random()?)
    };
    let (writer, reader, _) = Store::open(FileDisk::new(dir), options)?;
    let handle = spawn_indexed_writer(writer, &index, |_| {})
        .map_err(UpkeepError::io("start the thread of", &index))?;
    let mut looks = 0;
    while reader.is_indexing() && looks < LOOKS {
        thread::sleep(LOOK);
        looks += 1;
    }
    // Ends the threads; the mark is written last of all.
    handle.join();
    if looks == LOOKS {
        let late = std::io::ErrorKind::TimedOut.into();
        return Err(UpkeepError::io("make, within half an hour,", index)(late));
    }
    Ok(())
}
