//! What is in a data directory, and what is not as it was written.

use std::path::{Path, PathBuf};

use skychat_api::Code;
use skychat_identity::{PublicKey, keyfile};
use skychat_proto::ids::Incarnation;
use skychat_seal::StoreKey;
use skychat_store::{
    CheckOptions, CheckReport, FileDisk, OpenError, OpenOptions, Progress, ReadOnly, Store,
};

use super::{INDEX, UpkeepError, open_dir, optional, random, swap};
use crate::datadir::{
    DataDir, IDENTITY_KEY, SecretFileError, TOKEN, Token, keys::KEY_FILE_LIMIT, read_private,
};
use crate::journal::open_code;

/// Bytes of the mark of the index that are read; a right one is far shorter.
const MARK_LIMIT: u64 = 4096;

/// What was found in a data directory.
#[derive(Debug)]
pub struct Checked {
    /// The directory.
    pub dir: PathBuf,
    /// Its `identity.key`.
    pub identity: FileState,
    /// Whose that is.
    pub public_key: Option<PublicKey>,
    /// Its `store.key`.
    pub store_key: FileState,
    /// Its `token`.
    pub token: FileState,
    /// A rebuild was interrupted; only the next one looks at what there is.
    pub unfinished: bool,
    /// Its journal; `None`: nothing was ever stored, or it could not be looked at.
    pub store: Option<CheckReport>,
    /// What a start says of the store; `None`: it starts.
    pub refusal: Option<OpenError>,
}

/// How a file of the directory is.
#[derive(Debug)]
pub enum FileState {
    /// As it was written.
    Whole,
    /// Not there.
    Absent,
    /// There, and of no use.
    Bad {
        /// What is wrong, and what mends it.
        why: String,
        /// Which code that is.
        code: Code,
    },
}

impl FileState {
    fn code(&self) -> Option<Code> {
        match self {
            FileState::Bad { code, .. } => Some(*code),
            FileState::Whole | FileState::Absent => None,
        }
    }
}

impl Checked {
    /// What keeps a node from starting here, or was lost; `None`: all is in order.
    pub fn code(&self) -> Option<Code> {
        let lost = self.store.as_ref().is_some_and(|store| !store.is_whole());
        let damaged = (lost || self.unfinished).then_some(Code::StoreDamaged);
        self.refusal
            .as_ref()
            .map(open_code)
            .or(damaged)
            .or(self.identity.code())
            .or(self.store_key.code())
            .or(self.token.code())
    }
}

/// Looks at a data directory: key files, `HEAD`, every segment and body of the journal, the mark of
/// the index. Nothing is altered. What is wrong in it is no error but found.
///
/// # Errors
/// [`UpkeepError`]: it is in use, open to others, or cannot be read.
pub fn check(dir: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Checked, UpkeepError> {
    let held = open_dir(dir)?;
    let (identity, public_key) = identity(&held)?;
    let (store_key, key) = store_key(&held);
    let mut found = Checked {
        dir: dir.into(),
        identity,
        public_key,
        store_key,
        token: token(&held),
        unfinished: swap::is_pending(dir),
        store: None,
        refusal: None,
    };
    if found.unfinished || !held.has_journal() {
        return Ok(found);
    }
    let mark = index_mark(dir);
    let options = CheckOptions {
        owner: public_key,
        store_key: key.as_ref(),
        index_mark: mark.as_deref(),
    };
    match skychat_store::check(&FileDisk::new(dir), options, progress) {
        Ok(report) => found.store = Some(report),
        Err(error @ OpenError::Disk { .. }) => return Err(error.into()),
        Err(error) => found.refusal = Some(error),
    }
    let owner = found.store.as_ref().and_then(|store| store.owner);
    if let (Some(owner), Some(key)) = (public_key.or(owner), key) {
        found.refusal = found.refusal.or(refusal(dir, owner, key)?);
    }
    Ok(found)
}

/// What a start would say, without one.
pub(super) fn refusal(
    dir: &Path,
    owner: PublicKey,
    key: StoreKey,
) -> Result<Option<OpenError>, UpkeepError> {
    let life = Incarnation::from_bytes(random()?);
    let options = OpenOptions {
        tail: Some(0),
        ..OpenOptions::new(owner, key, life, random()?)
    };
    Ok(Store::open(ReadOnly(FileDisk::new(dir)), options).err())
}

fn identity(held: &DataDir) -> Result<(FileState, Option<PublicKey>), UpkeepError> {
    let path = held.path().join(IDENTITY_KEY);
    let file = match optional(read_private(&path, KEY_FILE_LIMIT)) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok((FileState::Absent, None)),
        Err(error) => {
            let why = error.to_string();
            let code = error.code();
            return Ok((FileState::Bad { why, code }, None));
        }
    };
    Ok(match keyfile::decode(&file) {
        Ok(secret) => (FileState::Whole, Some(secret.public())),
        Err(error) => {
            let why = format!("{error}; restore it from a backup, nothing else has this identity");
            let code = Code::StoreDamaged;
            (FileState::Bad { why, code }, None)
        }
    })
}

fn store_key(held: &DataDir) -> (FileState, Option<StoreKey>) {
    match held.store_key_if_there() {
        Ok(Some(key)) => (FileState::Whole, Some(key)),
        Ok(None) if !held.has_journal() => (FileState::Absent, None),
        Ok(None) => {
            let path = held.path().join(crate::datadir::STORE_KEY);
            (bad(&SecretFileError::StoreKeyLost { path }), None)
        }
        Err(error) => (bad(&error), None),
    }
}

fn token(held: &DataDir) -> FileState {
    match Token::read(held.path()) {
        Ok(_) => FileState::Whole,
        Err(_) if !held.path().join(TOKEN).exists() => FileState::Absent,
        Err(error) => bad(&error),
    }
}

fn bad(error: &SecretFileError) -> FileState {
    let mut why = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        why = format!("{why}: {source}");
    }
    FileState::Bad {
        why,
        code: error.code(),
    }
}

/// The mark of the index. What cannot be read does not fit either.
pub(super) fn index_mark(dir: &Path) -> Option<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(dir.join(INDEX).join("mark")).ok()?;
    // What was read until an error is no mark.
    let _ = file.take(MARK_LIMIT).read_to_end(&mut bytes);
    Some(bytes)
}
