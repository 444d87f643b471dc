//! A data directory as one file that opens with a passphrase, and back.

use std::io::{self, Read, Write};
use std::path::Path;

use getrandom::SysRng;
use rand_core::UnwrapErr;
use skychat_identity::{KeyCache, PublicKey, SecretKey};
use skychat_seal::{
    BACKUP_CHUNK, BACKUP_HEADER_LEN, BACKUP_OVERHEAD, BackupCost, BackupError, BackupOpener,
    BackupSealer,
};
use skychat_store::{
    ArchiveItem, ArchiveReader, ArchiveWriter, CheckOptions, CheckReport, FileDisk, Progress,
};
use zeroize::Zeroizing;

use super::draft::Draft;
use super::rebuild::{identity, read_key};
use super::swap::{self, Aside};
use super::verify::verify;
use super::{UpkeepError, ended, open_dir, random};
use crate::datadir::{DataDir, IDENTITY_KEY};

/// What was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Whose directory it is.
    pub public_key: PublicKey,
    /// Groups of the history.
    pub groups: u64,
    /// Records of it.
    pub records: u64,
}

/// Writes the identity, the contacts and the history of a data directory to `out`, sealed under a
/// passphrase (`docs/protocol/backup.md`). No state of keys is in it, and no settings.
///
/// # Errors
/// [`UpkeepError`]: the store is damaged, or the identity is not in the directory; what was written
/// to `out` is of no use.
pub fn back_up(
    dir: &Path,
    out: &mut dyn Write,
    passphrase: &[u8],
    cost: BackupCost,
    progress: &mut dyn FnMut(Progress),
) -> Result<CheckReport, UpkeepError> {
    let held = open_dir(dir)?;
    ended(dir)?;
    if !held.has_journal() {
        return Err(UpkeepError::Nothing { dir: dir.into() });
    }
    let (secret, key) = (identity(&held)?, read_key(&held)?);
    let options = CheckOptions {
        owner: Some(secret.public()),
        store_key: Some(&key),
        index_mark: None,
    };
    // A system without randomness is an error here, not a panic below.
    random::<1>()?;
    let mut chunks = Chunks::begin(out, passphrase, cost)?;
    let mut archive = ArchiveWriter::default();
    let made = crate::clock::Clock::start().wall();
    archive.start(secret.expose_bytes(), made, &mut chunks.buffer);
    let disk = FileDisk::new(dir);
    let report = skychat_store::gather::<UpkeepError>(&disk, options, progress, &mut |group| {
        archive.group(&group, &mut chunks.buffer)?;
        chunks.flush()
    })?;
    if !report.is_whole() {
        let report = Box::new(report);
        return Err(UpkeepError::Damaged { report });
    }
    archive.end(&mut chunks.buffer);
    chunks.end()?;
    Ok(report)
}

/// Makes a data directory from a backup: under a new store key, with mode 0700. The next start is
/// a new life that goes on from what the backup holds.
///
/// # Errors
/// [`UpkeepError`]: the directory was used before, the passphrase is another one, or the file was
/// changed or cut. Nothing starts on what a restore that failed leaves behind, and the next one
/// goes over it.
pub fn restore(
    dir: &Path,
    input: &mut dyn Read,
    passphrase: &[u8],
) -> Result<Restored, UpkeepError> {
    let mut sealed = Sealed::begin(input, passphrase)?;
    let held = DataDir::open_unfinished(dir).map_err(UpkeepError::DataDir)?;
    let used = held.has_journal() || held.path().join(IDENTITY_KEY).exists();
    if used || swap::is_pending(dir) {
        return Err(UpkeepError::Used { dir: dir.into() });
    }
    let mut archive = ArchiveReader::default();
    let mut writing: Option<(SecretKey, Draft<'_>)> = None;
    let mut keys = KeyCache::new();
    while let Some(plaintext) = sealed.next()? {
        archive.push(&plaintext);
        while let Some(item) = archive.next()? {
            match (item, &mut writing) {
                (ArchiveItem::Start { seed, .. }, None) => {
                    let secret = SecretKey::from_seed(*seed);
                    let draft = Draft::begin(&held, secret.public(), false)?;
                    writing = Some((secret, draft));
                }
                (ArchiveItem::Group(group), Some((_, draft))) => {
                    verify(&group, &mut keys)?;
                    draft.write_of_file(group)?;
                }
                // The reader lets nothing else through but the end.
                _ => {}
            }
        }
    }
    archive.finish()?;
    let Some((secret, draft)) = writing else {
        return Err(skychat_store::ArchiveError::Cut.into());
    };
    draft.add_identity(&secret)?;
    let (groups, records) = draft.counts();
    draft.finish(Aside::Damaged)?;
    Ok(Restored {
        public_key: secret.public(),
        groups,
        records,
    })
}

/// The chunks of a backup as they are written.
struct Chunks<'a> {
    out: &'a mut dyn Write,
    sealer: BackupSealer,
    buffer: Zeroizing<Vec<u8>>,
}

impl<'a> Chunks<'a> {
    fn begin(
        out: &'a mut dyn Write,
        passphrase: &[u8],
        cost: BackupCost,
    ) -> Result<Self, UpkeepError> {
        let sealer = BackupSealer::new(&mut UnwrapErr(SysRng), passphrase, cost)?;
        out.write_all(sealer.header())
            .map_err(UpkeepError::Output)?;
        Ok(Chunks {
            out,
            sealer,
            buffer: Zeroizing::default(),
        })
    }

    /// Writes what is more than a chunk: the last one is never written here.
    fn flush(&mut self) -> Result<(), UpkeepError> {
        let mut done = 0_usize;
        while let Some((chunk, rest)) = self
            .buffer
            .get(done..)
            .and_then(|rest| rest.split_at_checked(BACKUP_CHUNK))
            && !rest.is_empty()
        {
            let sealed = self.sealer.chunk(chunk)?;
            self.out.write_all(&sealed).map_err(UpkeepError::Output)?;
            done = done.saturating_add(BACKUP_CHUNK);
        }
        let rest = self.buffer.get(done..).unwrap_or_default().to_vec();
        self.buffer = Zeroizing::new(rest);
        Ok(())
    }

    fn end(mut self) -> Result<(), UpkeepError> {
        self.flush()?;
        let sealed = self.sealer.last(&self.buffer)?;
        self.out.write_all(&sealed).map_err(UpkeepError::Output)?;
        self.out.flush().map_err(UpkeepError::Output)
    }
}

/// The chunks of a backup as they are read.
struct Sealed<'a> {
    input: &'a mut dyn Read,
    opener: Option<BackupOpener>,
    /// The next chunk; whether it is the last one is known by what follows.
    ahead: Vec<u8>,
}

impl<'a> Sealed<'a> {
    fn begin(input: &'a mut dyn Read, passphrase: &[u8]) -> Result<Self, UpkeepError> {
        let header = fill(input, BACKUP_HEADER_LEN)?;
        let opener = BackupOpener::new(&header, passphrase)?;
        let ahead = fill(input, SEALED_CHUNK)?;
        Ok(Sealed {
            input,
            opener: Some(opener),
            ahead,
        })
    }

    /// The plaintext of the next chunk; `None`: that was the last one.
    fn next(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, UpkeepError> {
        let Some(mut opener) = self.opener.take() else {
            return Ok(None);
        };
        let behind = fill(self.input, SEALED_CHUNK)?;
        let chunk = std::mem::replace(&mut self.ahead, behind);
        if self.ahead.is_empty() {
            return Ok(Some(opener.last(&chunk)?));
        }
        let opened = opener.chunk(&chunk)?;
        self.opener = Some(opener);
        Ok(Some(opened))
    }
}

const SEALED_CHUNK: usize = BACKUP_CHUNK + BACKUP_OVERHEAD;

/// So many bytes, or as many as there are.
fn fill(input: &mut dyn Read, length: usize) -> Result<Vec<u8>, UpkeepError> {
    let mut bytes = Vec::with_capacity(length);
    let most = u64::try_from(length).unwrap_or(u64::MAX);
    let read = input.take(most).read_to_end(&mut bytes);
    read.map_err(|error: io::Error| UpkeepError::Input(error))?;
    Ok(bytes)
}

impl From<BackupError> for UpkeepError {
    fn from(error: BackupError) -> Self {
        UpkeepError::Backup(error)
    }
}

impl From<skychat_store::ArchiveError> for UpkeepError {
    fn from(error: skychat_store::ArchiveError) -> Self {
        UpkeepError::Archive(error)
    }
}
