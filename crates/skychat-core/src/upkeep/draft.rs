//! A new store on its way to its place.

use std::fs;
use std::path::PathBuf;

use skychat_identity::{PublicKey, SecretKey, keyfile};
use skychat_proto::ids::Incarnation;
use skychat_seal::StoreKey;
use skychat_store::{FileDisk, KeptGroup, OpenOptions, Rewriter, WriteError};

use super::check::refusal;
use super::swap::{self, Aside};
use super::{UpkeepError, random};
use crate::datadir::{DataDir, IDENTITY_KEY, create_private, keys};

/// A store that is written beside the one it replaces. Dropped before it is finished, it is gone.
pub(super) struct Draft<'a> {
    held: &'a DataDir,
    owner: PublicKey,
    /// It brings a key of its own; else it is under that of the directory.
    own_key: bool,
    rewriter: Rewriter,
    place: Place,
    groups: u64,
    records: u64,
}

/// Its directory, removed with it; nothing is there any more once it has moved on.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        // What stays is gone over by the next one.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl<'a> Draft<'a> {
    /// Begins an empty store of `owner`; one that was begun before is gone over.
    pub(super) fn begin(
        held: &'a DataDir,
        owner: PublicKey,
        own_key: bool,
    ) -> Result<Self, UpkeepError> {
        let place = Place(swap::draft(held.path())?);
        let life = Incarnation::from_bytes(random()?);
        let key = key(held, &place, own_key)?;
        let options = OpenOptions::new(owner, key, life, random()?);
        let rewriter = Rewriter::create(FileDisk::new(&place.0), options)?;
        Ok(Draft {
            held,
            owner,
            own_key,
            rewriter,
            place,
            groups: 0,
            records: 0,
        })
    }

    /// Writes a group of a store.
    pub(super) fn write(&mut self, group: KeptGroup) -> Result<(), UpkeepError> {
        self.groups = self.groups.saturating_add(1);
        self.records = self.records.saturating_add(group.records.len() as u64);
        Ok(self.rewriter.write(group)?)
    }

    /// Writes a group of a file, which may say what no store does.
    pub(super) fn write_of_file(&mut self, group: KeptGroup) -> Result<(), UpkeepError> {
        self.write(group).map_err(|error| match error {
            UpkeepError::Write(
                source @ (WriteError::Refused { .. } | WriteError::TooLarge { .. }),
            ) => UpkeepError::Contradiction(source),
            other => other,
        })
    }

    /// Groups and records so far.
    pub(super) const fn counts(&self) -> (u64, u64) {
        (self.groups, self.records)
    }

    /// The identity that comes with it.
    pub(super) fn add_identity(&self, secret: &SecretKey) -> Result<(), UpkeepError> {
        create_private(&self.place.0, IDENTITY_KEY, &keyfile::encode(secret))
            .map_err(|error| UpkeepError::Identity(error.into()))
    }

    /// All is written: if a start would take it, it is moved to its place, and what is there is put
    /// aside. Gives where that is, if there was something.
    pub(super) fn finish(self, aside: Aside) -> Result<Option<PathBuf>, UpkeepError> {
        let synced = self.rewriter.finish();
        synced.map_err(UpkeepError::io("sync", &self.place.0))?;
        let key = key(self.held, &self.place, self.own_key)?;
        if let Some(error) = refusal(&self.place.0, self.owner, key)? {
            return Err(error.into());
        }
        swap::commit(self.held.path(), aside)
    }
}

/// The key that the new store is sealed under.
fn key(held: &DataDir, place: &Place, own: bool) -> Result<StoreKey, UpkeepError> {
    let key = if own {
        keys::store_key(&place.0, false)
    } else {
        held.store_key()
    };
    key.map_err(UpkeepError::StoreKey)
}
