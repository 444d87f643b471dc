//! The commands, one module each.

pub(crate) mod backup;
mod catch_up;
mod conversations;
mod demo;
mod events;
mod history;
mod keygen;
mod listen;
mod send;
mod status;
mod via;

use std::path::PathBuf;

use skychat_api::Code;
use skychat_client::{Client, Daemon};

use crate::failure::Failure;
use crate::flags::{Command, Common, Flags};
use crate::screen::Screen;

pub(crate) async fn run(flags: Flags) -> Result<(), Failure> {
    let mut screen = Screen::new(flags.common.json);
    let common = &flags.common;
    let outcome = match flags.command {
        Command::Send(send) if send.via.is_some() => via::run(common, send, &mut screen).await,
        Command::Send(send) => send::run(&client(common)?, send, &mut screen).await,
        Command::Listen(listen) => listen::run(&client(common)?, listen, &mut screen).await,
        Command::Events(events) => events::run(&client(common)?, events, &mut screen).await,
        Command::History(history) => history::run(&client(common)?, history, &mut screen).await,
        Command::Conversations => conversations::run(&client(common)?, &mut screen).await,
        Command::Status => status::run(&client(common)?, &mut screen).await,
        Command::Keygen(keygen) => keygen::run(common, &keygen, &mut screen),
        Command::Backup(backup) => backup::run(common, &backup, &mut screen),
        Command::Demo => demo::run(&mut screen).await,
    };
    outcome.and_then(|()| screen.flush())
}

/// A client of the daemon of the data directory.
fn client(common: &Common) -> Result<Client, Failure> {
    Ok(Client::new(Daemon::find(&data_dir(common)?)?))
}

/// The data directory: `--data-dir`, `SKYCHAT_DATA_DIR`, or the one of the platform.
fn data_dir(common: &Common) -> Result<PathBuf, Failure> {
    use etcetera::BaseStrategy;
    if let Some(dir) = &common.data_dir {
        return Ok(dir.clone());
    }
    etcetera::choose_base_strategy()
        .map(|base| base.data_dir().join("skychat"))
        .map_err(|_| {
            Failure::new(
                Code::BadConfig,
                "there is no home directory: say --data-dir",
            )
        })
}
