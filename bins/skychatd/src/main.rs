//! Skychat: the daemon.
//!
//! Text forms are resolved here (flags, environment, `config.toml`); what runs is a
//! `skychat_core::Node` with the HTTP surface of `skychat-http` in front of it.

mod announce;
mod failure;
mod flags;
#[cfg(test)]
mod fuzz;
mod identity;
mod listen;
mod logs;
mod persist;
mod secret;
mod settings;
mod signals;
mod start;
mod store;
mod whitelist;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::flags::Flags;

fn main() -> ExitCode {
    let flags = Flags::parse();
    let json = flags.json;
    let outcome = match flags.command.clone() {
        Some(flags::Command::Store(command)) => store::run(&flags, &command),
        None => start::run(flags),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let mut err = std::io::stderr().lock();
            // If stderr is gone too, the exit code is all there is.
            let _ = if json {
                serde_json::to_string(&failure.body())
                    .map_or(Ok(()), |body| writeln!(err, "{body}"))
            } else {
                writeln!(err, "skychatd: {failure}")
            };
            ExitCode::from(failure.code().exit())
        }
    }
}
