//! Data directories of Ann, and why an archive was not taken in there.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test that panics is a test that fails"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use skychat_core::datadir::DataDir;
use skychat_core::upkeep::{self, ArchiveFileError, UpkeepError, import};
use skychat_identity::keyfile;

use crate::archives::ann;

/// A directory of Ann's in which nothing was ever stored.
pub fn directory() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("ann");
    DataDir::open(&dir).unwrap();
    let key = dir.join("identity.key");
    fs::write(&key, keyfile::encode(&ann())).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    home
}

pub fn imported(home: &tempfile::TempDir, file: &[u8]) -> Result<upkeep::Imported, UpkeepError> {
    let (dir, mut file) = (home.path().join("ann"), file);
    import(&dir, &mut file, None, false, &mut |_| {})
}

/// `Hash` of `ArchiveFile(Hash { .. })`, and `Item(Record)` of what is wrong with an item.
pub fn name(error: &UpkeepError) -> String {
    let word = |text: String| -> String {
        text.chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect()
    };
    match error {
        UpkeepError::ArchiveFile(ArchiveFileError::Item { source, .. }) => {
            format!("Item({})", word(format!("{source:?}")))
        }
        UpkeepError::ArchiveFile(error) => word(format!("{error:?}")),
        error => word(format!("{error:?}")),
    }
}
