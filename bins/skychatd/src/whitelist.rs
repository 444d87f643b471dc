//! Who may open a link, as it is written.

use std::collections::BTreeSet;
use std::path::Path;

use skychat_api::Code;
use skychat_identity::PublicKey;

use crate::failure::Failure;

const FLAG: &str = "--tcp-whitelist";
/// The longest whitelist file that is read, in bytes: some hundred thousand keys.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Reads keys separated by commas, or `@` and the name of a file with a key a line.
///
/// Nothing at all is an error, not "everybody" and not "nobody": it is what a variable that was
/// not set leaves behind. An empty *file* admits nobody.
pub(crate) fn read(text: &str) -> Result<BTreeSet<PublicKey>, Failure> {
    if let Some(name) = text.strip_prefix('@') {
        return file(Path::new(name), FLAG);
    }
    if text.trim().is_empty() {
        return Err(Failure::config(
            "--tcp-whitelist is empty: name keys, or @FILE (an empty file admits nobody), or leave \
             it out to admit anybody",
        ));
    }
    keys(text.split(','))
}

/// Keys, each checked.
pub(crate) fn keys<'a>(
    texts: impl Iterator<Item = &'a str>,
) -> Result<BTreeSet<PublicKey>, Failure> {
    texts
        .map(|text| {
            text.trim().parse().map_err(|error| {
                Failure::new(Code::MalformedKey, format!("--tcp-whitelist: {error}"))
            })
        })
        .collect()
}

/// Reads a file with a key a line, as the option `flag` names it. One that others can write is
/// refused, and so is one that cannot be read.
pub(crate) fn file(path: &Path, flag: &str) -> Result<BTreeSet<PublicKey>, Failure> {
    let failed = |what: &dyn std::fmt::Display| {
        Failure::config(format!("{flag}: {}: {what}", path.display()))
    };
    let meta = std::fs::metadata(path).map_err(|error| failed(&error))?;
    if !meta.is_file() {
        return Err(failed(&"not a file"));
    }
    if meta.len() > MAX_FILE {
        return Err(failed(&"longer than 16 MiB"));
    }
    if let Some(mode) = writable_by_others(&meta) {
        return Err(Failure::new(
            Code::LooseFile,
            format!(
                "{flag}: {} can be written by others (mode {mode:03o}): chmod go-w {}",
                path.display(),
                path.display()
            ),
        ));
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    lines(&text, path, flag)
}

/// Keys, one a line; what follows a `#` is left out. `path` and `flag` are for the message.
pub(crate) fn lines(text: &str, path: &Path, flag: &str) -> Result<BTreeSet<PublicKey>, Failure> {
    text.lines()
        .enumerate()
        .map(|(n, line)| (n, line.split('#').next().unwrap_or_default().trim()))
        .filter(|(_, line)| !line.is_empty())
        .map(|(n, line)| {
            line.parse().map_err(|error| {
                let place = n.saturating_add(1);
                Failure::new(
                    Code::MalformedKey,
                    format!("{flag}: {}, line {place}: {error}", path.display()),
                )
            })
        })
        .collect()
}

#[cfg(unix)]
fn writable_by_others(meta: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = meta.permissions().mode() & 0o777;
    (mode & 0o022 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn writable_by_others(_: &std::fs::Metadata) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use skychat_identity::SecretKey;

    fn key(n: u8) -> PublicKey {
        SecretKey::from_seed([n; 32]).public()
    }

    #[test]
    fn keys_in_a_text() {
        let text = format!("{}, {}", key(1), key(2));
        assert_eq!(read(&text).unwrap(), [key(1), key(2)].into());
        for text in ["", " ", ",", "abc", &format!("{},", key(1))] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn keys_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("friends");
        let name = format!("@{}", path.display());
        std::fs::write(
            &path,
            format!("# friends\n\n{}  # ann\r\n{}", key(1), key(2)),
        )
        .unwrap();
        assert_eq!(read(&name).unwrap(), [key(1), key(2)].into());

        std::fs::write(&path, "").unwrap();
        assert_eq!(read(&name).unwrap(), BTreeSet::new(), "empty file: nobody");

        std::fs::write(&path, format!("{}\nxyz\n", key(1))).unwrap();
        let error = read(&name).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");

        assert_eq!(read("@/absent/file").unwrap_err().code(), Code::BadConfig);
    }

    #[cfg(unix)]
    #[test]
    fn c48_a_file_others_may_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("friends");
        let name = format!("@{}", path.display());
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(read(&name).unwrap_err().code(), Code::LooseFile);
    }
}
