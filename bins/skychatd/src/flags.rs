//! The command line of the daemon.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::secret::Secret;
use crate::settings::{Layer, Whitelist};

/// The Skychat daemon: talks to peers directly, end-to-end encrypted, addressed by public key.
///
/// Settings are looked for as a flag, then in the environment (SKYCHAT_TCP_LISTEN for
/// --tcp-listen, and so on), then in config.toml of the data directory, then there is a default.
#[derive(Debug, Parser)]
#[command(name = "skychatd", version, max_term_width = 100)]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Where everything is kept: identity, journal, token, config.toml.
    #[arg(long, global = true, value_name = "DIR", env = "SKYCHAT_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// The daemon always runs by itself; accepted and changes nothing.
    #[arg(long)]
    pub(crate) standalone: bool,

    /// Listen for links here; `:PORT` means every address. May be given several times. Default
    /// :8801, or a free port when that is taken.
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    pub(crate) tcp_listen: Vec<String>,

    /// Keep a link to this peer. May be given several times.
    #[arg(long, value_name = "tcp://KEY@HOST:PORT", value_delimiter = ',')]
    pub(crate) tcp_peer: Vec<String>,

    /// Admit links from these keys only: keys separated by commas, or @FILE with a key a line (an
    /// empty file admits nobody). Without it anybody may open a link.
    #[arg(long, value_name = "KEYS|@FILE", allow_hyphen_values = true)]
    pub(crate) tcp_whitelist: Option<String>,

    /// Admit nobody but the whitelist, not even members of group spaces.
    #[arg(long)]
    pub(crate) tcp_whitelist_strict: bool,

    /// Accepted: feeds always run.
    #[arg(long)]
    pub(crate) cxo: bool,

    /// A further address to listen for links.
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    pub(crate) cxo_listen: Vec<String>,

    /// A further peer to keep a link to; the scheme may be left out.
    #[arg(long, value_name = "KEY@HOST:PORT", value_delimiter = ',')]
    pub(crate) cxo_peer: Vec<String>,

    /// Where the HTTP control surface listens; `:PORT` means loopback, `*:PORT` every address.
    /// Default 127.0.0.1:8002, or a free port when that is taken.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) addr: Option<String>,

    /// Answer HTTP requests to this Host too, beside loopback names. May be given several times.
    #[arg(long, value_name = "NAME[:PORT]", value_delimiter = ',')]
    pub(crate) http_host: Vec<String>,

    /// Take HTTP requests from pages of this origin. May be given several times.
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    pub(crate) http_origin: Vec<String>,

    /// A second secret that opens HTTP, in the header X-Skychat-Internal-Token: for a program in
    /// front of it. Its text (others on this machine may see that) or @FILE.
    #[arg(long, value_name = "TOKEN|@FILE", allow_hyphen_values = true)]
    pub(crate) internal_token: Option<String>,

    /// Listen for HTTP beyond loopback although nothing encrypts it: I know what I do.
    #[arg(long)]
    pub(crate) i_know: bool,

    /// A JSON file; only its `sk`, the secret key, is read.
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// The secret key, 64 hex digits. Others on this machine may see it; prefer the key file.
    #[arg(long, value_name = "HEX")]
    pub(crate) sk: Option<String>,

    /// A fresh identity and a store in memory, for this run only.
    #[arg(long)]
    pub(crate) ephemeral: bool,

    /// The default: keep messages on disk.
    #[arg(long)]
    pub(crate) persist: bool,

    /// Keep messages in memory only.
    #[arg(long)]
    pub(crate) no_persist: bool,

    /// The largest message that is sent or taken, in bytes with what stands beside its text.
    /// Default 65536; larger ones are refused.
    #[arg(long, value_name = "BYTES")]
    pub(crate) persist_max_size: Option<u64>,

    /// Messages a minute that are taken from one peer; beyond it the peer waits, and nothing is
    /// lost. 0 or left out: as many as come.
    #[arg(long, value_name = "MESSAGES")]
    pub(crate) persist_per_peer_rate: Option<u32>,

    /// Messages of one conversation of which the text is kept; of the oldest it is given away. 0 or
    /// left out: all.
    #[arg(long, value_name = "MESSAGES")]
    pub(crate) persist_per_peer_cap: Option<u64>,

    /// Size of the journal in MB, at least 8; beyond it the oldest text is given away. Default
    /// 2048.
    #[arg(long, value_name = "MB")]
    pub(crate) persist_total_cap: Option<u64>,

    /// Days for which text is kept from when it came. 0 or left out: forever.
    #[arg(long, value_name = "DAYS")]
    pub(crate) persist_ttl: Option<u32>,

    /// Keep text only of conversations with the keys in this file, a key a line; an empty file
    /// keeps nobody's. Of others it is given away as soon as it may be.
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub(crate) persist_whitelist: Option<String>,

    /// Refused: the store is not one file; --data-dir says where it is.
    #[arg(long, value_name = "FILE", hide = true, allow_hyphen_values = true)]
    pub(crate) persist_db: Option<String>,

    /// What to log: error, warn, info, debug, trace, or filters like `info,skychat_core=debug`.
    #[arg(long, value_name = "FILTER")]
    pub(crate) log_level: Option<String>,

    /// Log as JSON, and say where the daemon listens as one JSON document on stdout. Of `store`
    /// commands: print JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What to do instead of running.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Look at, mend, write out or take back the store of a data directory that no daemon uses.
    #[command(subcommand)]
    Store(StoreCommand),
}

/// `skychatd store`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Read everything: key files, HEAD, every segment and body, the mark of the index. Alters
    /// nothing. Ends with 0 if all is in order, 8 if something is damaged.
    Check,
    /// Make the index again. If the store is damaged, say so and end with 8, or go on as asked.
    Rebuild {
        /// Make a new store from what damage has left; the damaged files are kept in damaged-N.
        #[arg(long)]
        accept_loss: bool,
    },
    /// Write out all messages, a JSON document a line, and behind them the history that an import
    /// takes back. Nothing of it is sealed.
    Export {
        /// A file that is not there yet, or `-` for stdout.
        #[arg(value_name = "FILE|-")]
        file: PathBuf,
    },
    /// Make the store of a data directory from an export of the same identity. All of it is verified
    /// before it counts.
    Import {
        /// What was exported, or `-` for stdin.
        #[arg(value_name = "FILE|-")]
        file: PathBuf,
        /// Put a store that is there already aside, in replaced-N. Nothing of it is taken over.
        #[arg(long)]
        replace: bool,
    },
}

impl Flags {
    /// What was said on the command line, as a layer of settings.
    pub(crate) fn layer(&self) -> Layer {
        let list = |values: &[String]| (!values.is_empty()).then(|| values.to_vec());
        let flag = |given: bool| given.then_some(true);
        Layer {
            tcp_listen: list(&self.tcp_listen),
            tcp_peer: list(&self.tcp_peer),
            tcp_whitelist: self.tcp_whitelist.clone().map(Whitelist::Text),
            tcp_whitelist_strict: flag(self.tcp_whitelist_strict),
            cxo: flag(self.cxo),
            cxo_listen: list(&self.cxo_listen),
            cxo_peer: list(&self.cxo_peer),
            addr: self.addr.clone(),
            http_host: list(&self.http_host),
            http_origin: list(&self.http_origin),
            internal_token: self.internal_token.as_deref().map(Secret::new),
            i_know: flag(self.i_know),
            persist: flag(self.persist),
            no_persist: flag(self.no_persist),
            persist_max_size: self.persist_max_size,
            persist_per_peer_rate: self.persist_per_peer_rate,
            persist_per_peer_cap: self.persist_per_peer_cap,
            persist_total_cap: self.persist_total_cap,
            persist_ttl: self.persist_ttl,
            persist_whitelist: self.persist_whitelist.clone(),
            persist_db: self.persist_db.clone(),
            log_level: self.log_level.clone(),
            json: flag(self.json),
        }
    }
}
