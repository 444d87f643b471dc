//! Taking an exported history back in.

use std::io::Read;
use std::path::{Path, PathBuf};

use skychat_identity::PublicKey;
use skychat_store::{CheckOptions, FileDisk, Progress};

use super::archive::{ArchiveFile, ArchiveRead};
use super::draft::Draft;
use super::rebuild::owner;
use super::swap::Aside;
use super::{UpkeepError, ended, open_dir};
use crate::datadir::{DataDir, IDENTITY_KEY};

/// What was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// What the archive held.
    pub archive: ArchiveRead,
    /// Where the store is that was there before; `None`: there was none.
    pub kept: Option<PathBuf>,
}

/// Makes the store of a data directory from an archive that [`export`](super::export) wrote. The
/// archive has to be of the identity of the directory: the one that is `given`, as a start would be,
/// or that of its `identity.key`. The next start is a new life that goes on from what the archive
/// holds.
///
/// All of it is verified before it takes its place. A store that is there is left as it is; with
/// `replace` it is put aside, damaged or not, and nothing of it is taken over. `progress` is told how
/// many bytes were read.
///
/// # Errors
/// [`UpkeepError`]; the directory is as it was. After an error while files are moved, `rebuild` goes
/// on with that, and nothing starts before.
pub fn import(
    dir: &Path,
    input: &mut dyn Read,
    given: Option<PublicKey>,
    replace: bool,
    progress: &mut dyn FnMut(u64),
) -> Result<Imported, UpkeepError> {
    let mut archive = ArchiveFile::begin(input)?;
    if let Some(given) = given {
        archive.is_of(given)?;
    }
    let held = match given {
        // Whoever has an identity elsewhere may begin here.
        Some(_) => DataDir::open_unfinished(dir).map_err(UpkeepError::DataDir)?,
        None => open_dir(dir)?,
    };
    ended(dir)?;
    let owner = match given {
        Some(given) => given,
        None => owner(&held)?.ok_or_else(|| UpkeepError::NoIdentity {
            path: held.path().join(IDENTITY_KEY),
        })?,
    };
    archive.is_of(owner)?;
    if held.has_journal() && !replace {
        return Err(occupied(&held));
    }
    // A store that is put aside takes its key with it, which may be what is wrong with it.
    let mut draft = Draft::begin(&held, owner, replace)?;
    while let Some(group) = archive.next(progress)? {
        draft.write_of_file(group)?;
    }
    let kept = draft.finish(Aside::Replaced)?;
    let archive = archive.found();
    Ok(Imported { archive, kept })
}

/// What is there already, as far as it can be read.
fn occupied(held: &DataDir) -> UpkeepError {
    let disk = FileDisk::new(held.path());
    // Messages are counted whether or not they can be opened.
    let found = skychat_store::check(&disk, CheckOptions::default(), &mut |_: Progress| {});
    UpkeepError::Occupied {
        dir: held.path().into(),
        messages: found.ok().map(|report| report.messages),
    }
}
