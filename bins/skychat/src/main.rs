//! Skychat: the command line.

mod command;
mod failure;
mod flags;
mod screen;
mod target;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use skychat_api::{Code, ErrorBody};

use crate::failure::Failure;
use crate::flags::{Command, Flags};

fn main() -> ExitCode {
    let flags = Flags::parse();
    let json = flags.common.json;
    match run(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::PipeClosed) => ExitCode::SUCCESS,
        Err(Failure::Said(body)) => {
            // Who pressed Ctrl-C knows.
            if body.code != Code::Interrupted {
                complain(&body, json);
            }
            ExitCode::from(body.code.exit())
        }
    }
}

fn run(flags: Flags) -> Result<(), Failure> {
    if let Command::Backup(backup) = &flags.command {
        // It asks the terminal and works on files: a Ctrl-C ends it as the system does.
        let mut screen = screen::Screen::new(flags.common.json);
        command::backup::run(&flags.common, backup, &mut screen)?;
        return screen.flush();
    }
    // One thread serves a client; the demo runs two nodes and has a runtime of its own.
    let runtime = match flags.command {
        Command::Demo => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build(),
        _ => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build(),
    };
    let runtime =
        runtime.map_err(|error| Failure::new(Code::Internal, format!("starting: {error}")))?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = command::run(flags) => outcome,
            _ = tokio::signal::ctrl_c() => Err(Failure::new(Code::Interrupted, "interrupted")),
        }
    });
    // A thread that still reads stdin must not hold up the end.
    runtime.shutdown_background();
    outcome
}

/// Says on stderr what went wrong. If that is gone too, the exit code is all there is.
fn complain(body: &ErrorBody, json: bool) {
    let mut err = anstream::stderr();
    let _ = if json {
        serde_json::to_string(body).map_or(Ok(()), |body| writeln!(err, "{body}"))
    } else {
        let mut message = screen::lines(&body.message);
        if body.code == Code::TimedOut
            && let Some(id) = body.message_id
        {
            message.push_str(&format!(" (message {id})"));
        }
        writeln!(err, "\x1b[1;31merror\x1b[0m: {message}")
    };
}
