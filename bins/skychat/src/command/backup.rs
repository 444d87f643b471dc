//! `skychat backup`: a data directory as one file, and back.

use std::io::{BufReader, BufWriter, ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use skychat_api::{Code, V1};
use skychat_core::datadir;
use skychat_core::upkeep::{self, BackupCost, Progress, UpkeepError};
use skychat_identity::PublicKey;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::flags::{Backup, BackupFile, Common};
use crate::screen::{GREEN, Screen};

/// Bytes of a passphrase at most.
const MAX_PASSPHRASE: usize = 1024;

/// What was done, for programs.
#[derive(Serialize)]
struct Done {
    v: V1,
    file: PathBuf,
    data_dir: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<PublicKey>,
    groups: String,
    records: String,
}

/// Runs one of the commands; it blocks.
pub(crate) fn run(common: &Common, backup: &Backup, screen: &mut Screen) -> Result<(), Failure> {
    datadir::tighten_umask();
    let dir = super::data_dir(common)?;
    let (done, sentence) = match backup {
        Backup::Create(given) => {
            let done = create(&dir, given, &bar(screen, "backing up"))?;
            let what = format!("{} is backed up in", dir.display());
            (done, format!("{what} {}", given.file.display()))
        }
        Backup::Restore(given) => {
            let done = restore(&dir, given, &bar(screen, "restoring"))?;
            let what = format!("{} is made from", dir.display());
            (done, format!("{what} {}", given.file.display()))
        }
    };
    if screen.is_json() {
        return screen.document(&done);
    }
    screen.line(format_args!(
        "{}: {} records in {} groups",
        GREEN.of(sentence),
        done.records,
        done.groups
    ))
}

/// How far it is, in bytes, on standard error, if that is a terminal and nobody wants documents.
fn bar(screen: &Screen, what: &'static str) -> ProgressBar {
    let is_shown = !screen.is_json() && std::io::stderr().is_terminal();
    let target = if is_shown {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(0), target);
    if let Ok(style) = ProgressStyle::with_template(
        "{prefix} [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
    ) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.with_prefix(what)
}

fn create(dir: &Path, given: &BackupFile, bar: &ProgressBar) -> Result<Done, Failure> {
    let file = &given.file;
    let refused = |error: std::io::Error| {
        let code = match error.kind() {
            ErrorKind::AlreadyExists => Code::BadRequest,
            ErrorKind::StorageFull => Code::StoreFull,
            _ => Code::StoreFailed,
        };
        Failure::new(code, format!("writing {}: {error}", file.display()))
    };
    if file.exists() {
        return Err(refused(ErrorKind::AlreadyExists.into()));
    }
    let passphrase = passphrase(given, true)?;
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // It gets its name when it is whole: a part of a backup is none.
    let draft = tempfile::NamedTempFile::new_in(folder).map_err(refused)?;
    let mut out = BufWriter::new(draft);
    let cost = BackupCost::default();
    let mut show = |progress: Progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.read);
    };
    let report = upkeep::back_up(dir, &mut out, &passphrase, cost, &mut show);
    bar.finish_and_clear();
    let report = report.map_err(failed)?;
    let draft = out
        .into_inner()
        .map_err(|error| refused(error.into_error()))?;
    draft.as_file().sync_all().map_err(refused)?;
    draft
        .persist_noclobber(file)
        .map_err(|error| refused(error.error))?;
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(refused)?;
    Ok(Done {
        v: V1,
        file: file.clone(),
        data_dir: dir.into(),
        public_key: report.owner,
        groups: report.groups.to_string(),
        records: report.records.to_string(),
    })
}

fn restore(dir: &Path, given: &BackupFile, bar: &ProgressBar) -> Result<Done, Failure> {
    let file = std::fs::File::open(&given.file).map_err(|error| {
        let code = match error.kind() {
            ErrorKind::NotFound => Code::BadRequest,
            _ => Code::StoreFailed,
        };
        Failure::new(code, format!("reading {}: {error}", given.file.display()))
    })?;
    let passphrase = passphrase(given, false)?;
    bar.set_length(file.metadata().map_or(0, |facts| facts.len()));
    let mut input = bar.wrap_read(BufReader::new(file));
    let restored = upkeep::restore(dir, &mut input, &passphrase);
    bar.finish_and_clear();
    let restored = restored.map_err(failed)?;
    Ok(Done {
        v: V1,
        file: given.file.clone(),
        data_dir: dir.into(),
        public_key: Some(restored.public_key),
        groups: restored.groups.to_string(),
        records: restored.records.to_string(),
    })
}

fn failed(error: UpkeepError) -> Failure {
    Failure::caused(error.code(), &error)
}

/// The passphrase, from the file or from the terminal; asked for twice if it is a new one.
fn passphrase(given: &BackupFile, new: bool) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let usage = |what: &str| Failure::new(Code::BadRequest, what);
    let passphrase = match &given.passphrase_file {
        Some(path) => {
            let text = datadir::read_private(path, MAX_PASSPHRASE + 2)
                .map_err(|error| Failure::caused(error.code(), &error))?;
            let line = text.strip_suffix(b"\n").unwrap_or(&text);
            Zeroizing::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
        }
        None if !std::io::stdin().is_terminal() => {
            return Err(usage(
                "there is no terminal to ask for the passphrase: say --passphrase-file",
            ));
        }
        None => {
            let first = ask("Passphrase: ")?;
            if new && ask("The same again: ")? != first {
                return Err(usage("these were two passphrases"));
            }
            first
        }
    };
    match passphrase.len() {
        0 => Err(usage("the passphrase is empty")),
        1..=MAX_PASSPHRASE => Ok(passphrase),
        _ => Err(usage("the passphrase has more than 1024 bytes")),
    }
}

fn ask(prompt: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    match rpassword::prompt_password(prompt) {
        Ok(text) => Ok(Zeroizing::new(text.into_bytes())),
        Err(error) => Err(Failure::new(
            Code::Internal,
            format!("asking for the passphrase: {error}"),
        )),
    }
}
