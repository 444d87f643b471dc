//! `skychatd store`: a data directory that no daemon uses is looked at, mended or written out.

mod shown;

use std::io::{IsTerminal, Write};
use std::path::Path;

use serde::Serialize;
use skychat_api::Code;
use skychat_core::datadir;
use skychat_core::upkeep::{self, Progress, UpkeepError};

use self::shown::{ShownCheck, ShownRebuild};
use crate::failure::Failure;
use crate::flags::{Flags, StoreCommand};
use crate::settings;

/// Runs one of the commands.
pub(crate) fn run(flags: &Flags, command: &StoreCommand) -> Result<(), Failure> {
    datadir::tighten_umask();
    let dir = settings::data_dir(flags.data_dir.clone())?;
    match command {
        StoreCommand::Check => check(&dir, flags.json),
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
