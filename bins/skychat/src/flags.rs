//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use skychat_api::{RecordId, WaitFor};
use skychat_proto::ids::MessageId;

use crate::target::Target;

/// Skychat: talk to peers directly, end-to-end encrypted, addressed by public key.
///
/// Most commands speak to the daemon (skychatd) of a data directory and find it there by
/// themselves. `send --via`, `keygen`, `backup` and `demo` work without one.
///
/// Exit codes: 0 done, 1 unexpected, 2 usage, 3 unknown, 4 no daemon or not reachable, 5 not in
/// the asked state in time, 6 refused, 7 wrong key, token or passphrase, 8 storage, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "skychat", version, max_term_width = 100)]
pub(crate) struct Flags {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// The data directory of the daemon. Default: the one of the platform.
    #[arg(long, global = true, value_name = "DIR", env = "SKYCHAT_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Print JSON: one document, or one a line for what goes on. Errors too, on stderr.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send a message.
    Send(Send),
    /// Print messages as they come.
    Listen(Listen),
    /// Print everything that happens, a JSON document a line.
    Events(Events),
    /// Print a conversation, oldest message first.
    History(History),
    /// List the conversations.
    Conversations,
    /// Say how the daemon is doing.
    Status,
    /// Make a new identity.
    Keygen(Keygen),
    /// Keep a data directory in one file under a passphrase, or make one from such a file. No
    /// daemon may run on it.
    #[command(subcommand)]
    Backup(Backup),
    /// Show in a few seconds what Skychat does: two nodes on this machine, in a temporary
    /// directory.
    Demo,
}

/// `skychat send`.
#[derive(Debug, Args)]
#[command(override_usage = "skychat send [OPTIONS] <TO> <TEXT|->\n       \
                            skychat send [OPTIONS] --via <tcp://KEY@HOST:PORT> <TEXT|->")]
pub(crate) struct Send {
    /// The recipient, a key of 64 hex digits or a skychat: address (with --via it may be left
    /// out), and the text. `-` reads the text from stdin, without its last line end.
    #[arg(required = true, num_args = 1..=2, value_name = "TO> <TEXT")]
    pub(crate) words: Vec<String>,

    /// Wait until the message is `accepted` on this disk, `acked` by the recipient (what --wait
    /// alone means), or `stored` on the recipient's disk.
    #[arg(long, value_name = "STATE", num_args = 0..=1, require_equals = true,
          default_missing_value = "acked")]
    pub(crate) wait: Option<WaitFor>,

    /// How long to wait, like 5s, 500ms or 2m.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,

    /// The id of the message, 32 hex digits: sending it again stays one message.
    #[arg(long, value_name = "HEX")]
    pub(crate) message_id: Option<MessageId>,

    /// Without a daemon: connect to this peer, hand the message over, wait until it is stored.
    #[arg(long, value_name = "tcp://KEY@HOST:PORT")]
    pub(crate) via: Option<String>,

    #[command(flatten)]
    pub(crate) identity: Identity,
}

/// Whose identity `send --via` uses: the first that is given; else the data directory's.
#[derive(Debug, Args)]
pub(crate) struct Identity {
    /// With --via: the secret key, 64 hex digits. Others on this machine may see it.
    #[arg(long, value_name = "HEX", requires = "via")]
    pub(crate) sk: Option<String>,

    /// With --via: a JSON file; only its `sk`, the secret key, is read.
    #[arg(short = 'c', long = "config", value_name = "FILE", requires = "via")]
    pub(crate) config: Option<PathBuf>,

    /// With --via: a fresh identity for this message only.
    #[arg(long, requires = "via", conflicts_with_all = ["sk", "config"])]
    pub(crate) ephemeral: bool,
}

/// `skychat listen`.
#[derive(Debug, Args)]
pub(crate) struct Listen {
    /// Only messages with this peer.
    #[arg(long, value_name = "KEY")]
    pub(crate) from: Option<Target>,

    /// Own messages too.
    #[arg(long)]
    pub(crate) all: bool,

    /// Begin with the oldest message the node holds.
    #[arg(long)]
    pub(crate) from_start: bool,

    /// Remember in this file what was printed, and go on from there next time.
    #[arg(long, value_name = "FILE", conflicts_with = "from_start")]
    pub(crate) cursor_file: Option<PathBuf>,

    /// Stop after this many messages.
    #[arg(long, short = 'n', value_name = "COUNT")]
    pub(crate) count: Option<u64>,
}

/// `skychat events`.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Begin behind this cursor; `first` begins with the oldest event.
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,

    /// Only these types, like message,state.
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    pub(crate) types: Vec<String>,

    /// Passing notices too: links, progress.
    #[arg(long)]
    pub(crate) notices: bool,

    /// Stop after this many.
    #[arg(long, short = 'n', value_name = "COUNT")]
    pub(crate) count: Option<u64>,
}

/// `skychat history`.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// The other one.
    #[arg(value_name = "KEY")]
    pub(crate) peer: Target,

    /// How many messages at most, the newest ones.
    #[arg(long, short = 'n', default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,

    /// Only messages before this one, as --json names it.
    #[arg(long, value_name = "RECORD")]
    pub(crate) before: Option<RecordId>,
}

/// `skychat backup`.
#[derive(Debug, Subcommand)]
pub(crate) enum Backup {
    /// Write identity, contacts and history to a file that is not there yet.
    Create(BackupFile),
    /// Make the data directory, which is not there yet, from a backup.
    Restore(BackupFile),
}

/// Which backup.
#[derive(Debug, Args)]
pub(crate) struct BackupFile {
    /// The file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Read the passphrase from this file, without its last line end. Without it the terminal is
    /// asked.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// `skychat keygen`.
#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// Write the key file here instead of the data directory. An existing file stays.
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// A time span: a number and `ms`, `s` or `m`; seconds when nothing follows.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" => 60_000,
        _ => 0,
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .filter(|ms| (1..=600_000).contains(ms))
        .map(Duration::from_millis)
        .ok_or_else(|| "expected a time from 1ms to 10m, like 5s, 500ms or 2m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Flags::command().debug_assert();
    }

    #[test]
    fn times() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("5"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for text in [
            "",
            "s",
            "0",
            "-1",
            "1h",
            "11m",
            "99999999999999999999",
            "1 s",
        ] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn wait_may_stand_alone() {
        let wait = |words: &[&str]| match Flags::try_parse_from(words).unwrap().command {
            Command::Send(send) => (send.wait, send.words.len()),
            _ => unreachable!(),
        };
        let send = ["skychat", "send"];
        assert_eq!(
            wait(&[&send[..], &["--wait", "to", "text"]].concat()),
            (Some(WaitFor::Acked), 2)
        );
        assert_eq!(
            wait(&[&send[..], &["to", "text", "--wait=stored"]].concat()),
            (Some(WaitFor::Stored), 2)
        );
        assert_eq!(wait(&[&send[..], &["to", "text"]].concat()), (None, 2));
    }
}
