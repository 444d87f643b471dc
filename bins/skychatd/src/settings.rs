//! Settings: flag, then environment, then `config.toml`, then the default. The names are the same
//! everywhere, and the precedence stands here once.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use skychat_api::Code;
use skychat_core::Retention;
use skychat_http::Token;
use skychat_identity::Address;

use crate::failure::Failure;
use crate::listen::{self, Place};
use crate::persist;
use crate::secret::Secret;
use crate::whitelist;

/// Name of the settings file in the data directory.
pub(crate) const FILE: &str = "config.toml";
/// The longest settings file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Declares the layer of settings and what is done with each field, from one list.
macro_rules! layer {
    ($($(#[$doc:meta])* $field:ident: $type:ty = $env:literal,)+) => {
        /// Settings of one source; `None` where it says nothing.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
        #[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
        pub(crate) struct Layer { $($(#[$doc])* pub(crate) $field: Option<$type>,)+ }

        impl Layer {
            /// This layer, and below it the other: what both name is this one's.
            pub(crate) fn over(self, below: Self) -> Self {
                Self { $($field: self.$field.or(below.$field),)+ }
            }

            /// The layer of the environment: `SKYCHAT_` and the name in capitals.
            pub(crate) fn from_env(
                read: &dyn Fn(&str) -> Option<String>,
            ) -> Result<Self, Failure> {
                Ok(Self {
                    $($field: match read($env) {
                        Some(text) => Some(<$type as FromText>::from_text(&text)
                            .map_err(|what| Failure::config(format!("{}: {what}", $env)))?),
                        None => None,
                    },)+
                })
            }
        }
    };
}

layer! {
    /// Addresses to listen on for links.
    tcp_listen: Vec<String> = "SKYCHAT_TCP_LISTEN",
    /// Peers to keep links to.
    tcp_peer: Vec<String> = "SKYCHAT_TCP_PEER",
    /// Who may open a link.
    tcp_whitelist: Whitelist = "SKYCHAT_TCP_WHITELIST",
    /// Whether members of group spaces need the whitelist too.
    tcp_whitelist_strict: bool = "SKYCHAT_TCP_WHITELIST_STRICT",
    /// Accepted and always on.
    cxo: bool = "SKYCHAT_CXO",
    /// Further addresses to listen on.
    cxo_listen: Vec<String> = "SKYCHAT_CXO_LISTEN",
    /// Further peers to keep links to.
    cxo_peer: Vec<String> = "SKYCHAT_CXO_PEER",
    /// Where HTTP listens.
    addr: String = "SKYCHAT_ADDR",
    /// Further Hosts HTTP answers to.
    http_host: Vec<String> = "SKYCHAT_HTTP_HOST",
    /// Origins HTTP takes requests from.
    http_origin: Vec<String> = "SKYCHAT_HTTP_ORIGIN",
    /// A second secret of HTTP.
    internal_token: Secret = "SKYCHAT_INTERNAL_TOKEN",
    /// Whether HTTP may listen beyond loopback.
    i_know: bool = "SKYCHAT_I_KNOW",
    /// Accepted, and the default.
    persist: bool = "SKYCHAT_PERSIST",
    /// Memory instead of disk.
    no_persist: bool = "SKYCHAT_NO_PERSIST",
    /// Bytes of the largest message.
    persist_max_size: u64 = "SKYCHAT_PERSIST_MAX_SIZE",
    /// Messages a minute of one peer.
    persist_per_peer_rate: u32 = "SKYCHAT_PERSIST_PER_PEER_RATE",
    /// Messages that are kept of a conversation.
    persist_per_peer_cap: u64 = "SKYCHAT_PERSIST_PER_PEER_CAP",
    /// Size of the journal, in MB.
    persist_total_cap: u64 = "SKYCHAT_PERSIST_TOTAL_CAP",
    /// Days that text is kept.
    persist_ttl: u32 = "SKYCHAT_PERSIST_TTL",
    /// The file of those whose text is kept.
    persist_whitelist: String = "SKYCHAT_PERSIST_WHITELIST",
    /// Refused: the store is a directory.
    persist_db: String = "SKYCHAT_PERSIST_DB",
    /// The log filter.
    log_level: String = "SKYCHAT_LOG_LEVEL",
    /// Logs as JSON.
    json: bool = "SKYCHAT_JSON",
}

/// A whitelist as it is written: one text as on the command line, or in the file a list of keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Whitelist {
    /// Keys separated by commas, or `@` and the name of a file.
    Text(String),
    /// Keys. An empty list admits nobody.
    Keys(Vec<String>),
}

/// The form of a setting in the environment.
trait FromText: Sized {
    fn from_text(text: &str) -> Result<Self, String>;
}

impl FromText for String {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl FromText for Vec<String> {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text
            .split(',')
            .map(|part| part.trim().to_owned())
            .filter(|p| !p.is_empty())
            .collect())
    }
}

impl FromText for u64 {
    fn from_text(text: &str) -> Result<Self, String> {
        number(text)
    }
}

impl FromText for u32 {
    fn from_text(text: &str) -> Result<Self, String> {
        number(text)
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    let read = text.trim().parse();
    read.map_err(|_| format!("found {text:?}, expected a number"))
}

impl FromText for bool {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "1" | "true" | "yes" | "on" => Ok(true),
            "" | "0" | "false" | "no" | "off" => Ok(false),
            other => Err(format!("found {other:?}, expected true or false")),
        }
    }
}

impl FromText for Secret {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self::new(text))
    }
}

impl FromText for Whitelist {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self::Text(text.to_owned()))
    }
}

/// Reads `config.toml` of a data directory; one that is not there says nothing.
pub(crate) fn read_file(dir: &Path) -> Result<Layer, Failure> {
    let path = dir.join(FILE);
    let failed = |what: &dyn std::fmt::Display| {
        Failure::config(format!("settings file {}: {what}", path.display()))
    };
    let text = match std::fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Layer::default()),
        Err(error) => return Err(failed(&error)),
        Ok(meta) if meta.len() > MAX_FILE => return Err(failed(&"longer than 1 MiB")),
        Ok(_) => std::fs::read_to_string(&path).map_err(|error| failed(&error))?,
    };
    parse(&text, dir).map_err(|error| failed(&error))
}

/// Reads the text of a settings file that stands in `dir`.
pub(crate) fn parse(text: &str, dir: &Path) -> Result<Layer, toml::de::Error> {
    let mut layer: Layer = toml::from_str(text)?;
    if let Some(Whitelist::Text(text)) = &mut layer.tcp_whitelist
        && let Some(name) = text.strip_prefix('@')
    {
        // A file the settings name is looked for beside them.
        *text = format!("@{}", dir.join(name).display());
    }
    if let Some(name) = layer
        .persist_whitelist
        .as_mut()
        .filter(|name| !name.is_empty())
    {
        *name = dir.join(&*name).display().to_string();
    }
    if let Some(secret) = layer.internal_token.take() {
        if secret.file().is_none() {
            // Others may read the settings.
            return Err(serde::de::Error::custom(
                "internal-token: expected @ and the name of a file that only its owner may read",
            ));
        }
        layer.internal_token = Some(secret.beside(dir));
    }
    Ok(layer)
}

/// What the daemon runs with.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where links are taken.
    pub(crate) links: Vec<Place>,
    /// Where HTTP listens.
    pub(crate) http: Place,
    /// Peers to keep links to.
    pub(crate) peers: Vec<Address>,
    /// Who may open a link; `None`: anybody.
    pub(crate) whitelist: Option<std::collections::BTreeSet<skychat_identity::PublicKey>>,
    /// Whether nobody but the whitelist is admitted.
    pub(crate) strict: bool,
    /// Further Hosts of HTTP.
    pub(crate) http_hosts: Vec<String>,
    /// Origins of HTTP.
    pub(crate) http_origins: Vec<String>,
    /// A second secret of HTTP, for a program in front of it.
    pub(crate) internal_token: Option<Token>,
    /// Memory instead of disk.
    pub(crate) memory: bool,
    /// What is kept, and for how long.
    pub(crate) retention: Retention,
    /// Logs and the first lines as JSON.
    pub(crate) json: bool,
}

/// The port links are taken on when nothing is said.
const LINKS: u16 = 8801;
/// The port of HTTP when nothing is said.
const HTTP: u16 = 8002;

impl Settings {
    /// Resolves the text forms.
    pub(crate) fn resolve(layer: Layer) -> Result<Self, Failure> {
        let retention = persist::resolve(&layer)?;
        let given = [layer.tcp_listen, layer.cxo_listen]
            .into_iter()
            .flatten()
            .flatten();
        let mut links = given
            .map(|text| listen::links(&text).map(Place::explicit))
            .collect::<Result<Vec<_>, _>>()?;
        if links.is_empty() {
            links.push(Place::default_at(SocketAddr::from(([0, 0, 0, 0], LINKS))));
        }
        let http = match &layer.addr {
            Some(text) => Place::explicit(listen::http(text)?),
            None => Place::default_at(SocketAddr::from(([127, 0, 0, 1], HTTP))),
        };
        if !http.addr.ip().is_loopback() && layer.i_know != Some(true) {
            return Err(Failure::config(format!(
                "--addr {}: HTTP is not encrypted, and this address is not loopback; use a \
                 tunnel, or --i-know if the network is trusted",
                http.addr
            )));
        }
        let peers = layer
            .tcp_peer
            .into_iter()
            .flatten()
            .map(|text| peer(&text, "--tcp-peer", false))
            .chain(
                layer
                    .cxo_peer
                    .into_iter()
                    .flatten()
                    .map(|text| peer(&text, "--cxo-peer", true)),
            )
            .collect::<Result<Vec<_>, _>>()?;
        let whitelist = match layer.tcp_whitelist {
            None => None,
            Some(Whitelist::Keys(keys)) => Some(whitelist::keys(keys.iter().map(String::as_str))?),
            Some(Whitelist::Text(text)) => Some(whitelist::read(&text)?),
        };
        let strict = layer.tcp_whitelist_strict.unwrap_or(false);
        if strict && whitelist.is_none() {
            return Err(Failure::config(
                "--tcp-whitelist-strict needs --tcp-whitelist",
            ));
        }
        let memory = layer.no_persist.unwrap_or(false);
        if memory && layer.persist == Some(true) {
            return Err(Failure::config(
                "found both --persist and --no-persist, expected one of them",
            ));
        }
        let internal_token = layer
            .internal_token
            .map(|secret| secret.token("--internal-token"))
            .transpose()?;
        Ok(Self {
            links,
            http,
            peers,
            whitelist,
            strict,
            http_hosts: layer.http_host.unwrap_or_default(),
            http_origins: layer.http_origin.unwrap_or_default(),
            internal_token,
            memory,
            retention,
            json: layer.json.unwrap_or(false),
        })
    }
}

/// A peer's address; it needs a place to be reached at.
fn peer(text: &str, flag: &str, scheme_optional: bool) -> Result<Address, Failure> {
    let full = if scheme_optional && is_bare(text) {
        format!("tcp://{text}")
    } else {
        text.to_owned()
    };
    let address: Address = full
        .parse()
        .map_err(|error| Failure::caused(Code::MalformedAddress, &error).about(flag))?;
    if address.hints().is_empty() {
        return Err(Failure::new(
            Code::MalformedAddress,
            format!("{flag}: {address} names no host and port to reach it at"),
        ));
    }
    Ok(address)
}

/// Whether it is `<key>@host:port`, without a scheme.
fn is_bare(text: &str) -> bool {
    text.split_once('@').is_some_and(|(key, _)| {
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// The data directory: the flag (or `SKYCHAT_DATA_DIR`), or the one of the platform.
pub(crate) fn data_dir(flag: Option<PathBuf>) -> Result<PathBuf, Failure> {
    use etcetera::BaseStrategy;
    match flag {
        Some(dir) if dir.as_os_str().is_empty() => Err(Failure::config(
            "--data-dir: the name of the directory is empty",
        )),
        Some(dir) => Ok(dir),
        None => etcetera::choose_base_strategy()
            .map(|base| base.data_dir().join("skychat"))
            .map_err(|_| Failure::config("there is no home directory: say --data-dir")),
    }
}

#[cfg(test)]
#[path = "settings/tests.rs"]
mod tests;
