//! Copies of data directories.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, symlink},
    path::Path,
};

use anyhow::{Context, Result};
use serde_json::json;

use super::super::{
    daemon::Daemon,
    proxy::Proxy,
    record::Record,
    stage::{self, Wires},
};

/// Copies the directory of a daemon that does not run.
pub(super) fn directory(from: &Path, to: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .mode(0o700)
        .create(to)
        .with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let there = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            directory(&entry.path(), &there)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, there)?;
        } else {
            fs::copy(entry.path(), there)?;
        }
    }
    Ok(())
}

/// A second daemon of the same identity beside the first of these, in a directory that is not there yet. It reaches
/// the others over wires of its own; theirs lead to whichever of the two was ready last.
pub(super) fn second(
    daemons: &mut Vec<Daemon>,
    wires: &mut Wires,
    dir: &Path,
    record: &Record,
) -> Result<()> {
    let original = daemons.first().context("nobody to copy")?;
    let name = format!("{}2", original.name);
    let copied = original.copied(&name, dir.join(&name));
    record.line("copy", json!({ "node": name, "of": original.name }));
    let others: Vec<&Daemon> = daemons.iter().collect();
    let more: Vec<(String, Proxy)> = stage::introduce(&copied, &others)?;
    wires.extend(more);
    daemons.push(copied);
    Ok(())
}
