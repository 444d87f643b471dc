//! `skychatd store`: a data directory that no daemon uses is looked at, mended, written out or made
//! from what was written out.

mod shown;

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::Serialize;
use skychat_api::Code;
use skychat_core::datadir;
use skychat_core::upkeep::{self, Progress, UpkeepError};

use self::shown::{ShownCheck, ShownExport, ShownImport, ShownRebuild, UNSIGNED};
use crate::failure::Failure;
use crate::flags::{Flags, StoreCommand};
use crate::identity::Given;
use crate::settings;

/// Runs one of the commands.
pub(crate) fn run(flags: &Flags, command: &StoreCommand) -> Result<(), Failure> {
    datadir::tighten_umask();
    let dir = settings::data_dir(flags.data_dir.clone())?;
    match command {
        StoreCommand::Check => check(&dir, flags.json),
        StoreCommand::Export { file } => export(flags, &dir, file),
        StoreCommand::Import { file, replace } => import(flags, &dir, file, *replace),
        StoreCommand::Rebuild { accept_loss } => rebuild(&dir, *accept_loss, flags.json),
    }
}

fn check(dir: &Path, json: bool) -> Result<(), Failure> {
    let mut meter = Meter::new("reading");
    let found = upkeep::check(dir, &mut |progress| meter.show(progress));
    meter.clear();
    let found = found.map_err(failed)?;
    let shown = ShownCheck::of(&found);
    print(&shown, json)?;
    match found.code() {
        None => Ok(()),
        Some(code) => Err(Failure::new(code, shown.verdict())),
    }
}

fn rebuild(dir: &Path, accept_loss: bool, json: bool) -> Result<(), Failure> {
    let mut meter = Meter::new("rebuilding");
    let done = upkeep::rebuild(dir, accept_loss, &mut |progress| meter.show(progress));
    meter.clear();
    let done = done.map_err(failed)?;
    print(&ShownRebuild::of(&done), json)
}

fn export(flags: &Flags, dir: &Path, file: &Path) -> Result<(), Failure> {
    let given = Given::read(flags)?.secret()?;
    let mut meter = Meter::new("exporting");
    if file == Path::new("-") {
        let mut out = BufWriter::new(std::io::stdout().lock());
        // Without a meter: what is written may be on the same terminal.
        return match upkeep::export(dir, &mut out, given, &mut |_| {}) {
            // Whoever read it has gone.
            Err(UpkeepError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(failed(error)),
            Ok(done) => {
                if !done.signed {
                    // Whether it is seen does not matter.
                    let _ = writeln!(std::io::stderr(), "skychatd: {UNSIGNED}");
                }
                Ok(())
            }
        };
    }
    let refused = |error: std::io::Error| {
        let code = match error.kind() {
            ErrorKind::AlreadyExists => Code::BadRequest,
            _ => Code::StoreFailed,
        };
        Failure::new(code, format!("writing {}: {error}", file.display()))
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut out = BufWriter::new(options.open(file).map_err(refused)?);
    let done = upkeep::export(dir, &mut out, given, &mut |progress| meter.show(progress));
    meter.clear();
    let synced = done.map_err(failed).and_then(|done| {
        out.get_ref().sync_all().map_err(refused)?;
        Ok(done)
    });
    match synced {
        Ok(done) => print(&ShownExport::of(file, &done), flags.json),
        Err(failure) => {
            // A part of it is of no use.
            let _ = std::fs::remove_file(file);
            Err(failure)
        }
    }
}

fn import(flags: &Flags, dir: &Path, file: &Path, replace: bool) -> Result<(), Failure> {
    let given = Given::read(flags)?.secret()?;
    let given = given.map(|secret| secret.public());
    let unread = |error: std::io::Error| {
        let code = match error.kind() {
            ErrorKind::NotFound => Code::BadRequest,
            _ => Code::StoreFailed,
        };
        Failure::new(code, format!("reading {}: {error}", file.display()))
    };
    let mut meter = Meter::new("importing");
    let (mut input, total): (Box<dyn Read>, _) = if file == Path::new("-") {
        // Nobody knows how much is to come.
        (Box::new(std::io::stdin().lock()), None)
    } else {
        let opened = File::open(file).map_err(unread)?;
        let length = opened.metadata().map_err(unread)?.len();
        (Box::new(opened), Some(length))
    };
    let done = upkeep::import(dir, &mut *input, given, replace, &mut |read| {
        if let Some(total) = total {
            meter.show(Progress { read, total });
        }
    });
    meter.clear();
    print(&ShownImport::of(dir, &done.map_err(failed)?), flags.json)
}

fn failed(error: UpkeepError) -> Failure {
    Failure::caused(error.code(), &error)
}

/// Prints a document for programs, or lines for people.
fn print<T: Serialize + std::fmt::Display>(shown: &T, json: bool) -> Result<(), Failure> {
    let text = if json {
        serde_json::to_string(shown)
            .map_err(|error| Failure::new(Code::Internal, format!("writing JSON: {error}")))?
    } else {
        shown.to_string()
    };
    match writeln!(std::io::stdout().lock(), "{text}") {
        // Whoever read it has gone.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written
            .map_err(|error| Failure::new(Code::Internal, format!("writing the output: {error}"))),
    }
}

/// How far it has come, on a terminal only.
struct Meter {
    what: &'static str,
    shown: Option<u64>,
    on: bool,
}

impl Meter {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            shown: None,
            on: std::io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, progress: Progress) {
        let parts = progress.read.saturating_mul(100);
        let percent = parts.checked_div(progress.total).unwrap_or(100);
        if self.on && self.shown != Some(percent) {
            self.shown = Some(percent);
            let mib = progress.total >> 20;
            // Whether it is seen does not matter.
            let _ = write!(
                std::io::stderr(),
                "\r{} {percent} % of {mib} MiB ",
                self.what
            );
        }
    }

    fn clear(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
