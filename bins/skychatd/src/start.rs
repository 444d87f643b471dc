//! The life of the daemon: start, serve, stop.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use skychat_api::{Admission as ApiAdmission, Code, ControlFile, IdentitySource as Source, V1};
use skychat_core::datadir::{self, DataDir, IdentitySource, IdentitySources};
use skychat_core::{Admission, Config, Node};
use skychat_http::{Caps, Gate, Listener, Token};
use skychat_identity::SecretKey;
use skychat_proto::ids::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::announce::{self, Announcement};
use crate::failure::Failure;
use crate::flags::Flags;
use crate::identity::{self, Given};
use crate::logs;
use crate::settings::{self, Layer, Settings};
use crate::signals::Signals;

/// How long a stop in order may take. With it the process ends well within five seconds.
const STOP: Duration = Duration::from_secs(4);
/// How long the last answers may take to leave after the node has stopped.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Runs the daemon to its end.
pub(crate) fn run(flags: Flags) -> Result<(), Failure> {
    datadir::tighten_umask();
    let usual_dir = flags.data_dir.is_none();
    let dir = settings::data_dir(flags.data_dir.clone())?;
    let environment = |name: &str| std::env::var_os(name).map(|v| v.to_string_lossy().into_owned());
    let layer = flags
        .layer()
        .over(Layer::from_env(&environment)?)
        .over(settings::read_file(&dir)?);
    logs::start(layer.log_level.as_deref(), layer.json.unwrap_or(false))?;
    let settings = Settings::resolve(layer)?;
    no_core_dumps();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::Internal, format!("starting threads: {error}")))?;
    let outcome = runtime.block_on(serve(&flags, settings, &dir, usual_dir));
    // What did not end by its deadline is left behind.
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

async fn serve(
    flags: &Flags,
    mut settings: Settings,
    dir: &Path,
    usual_dir: bool,
) -> Result<(), Failure> {
    let started = now();
    let mut signals = Signals::listen()
        .map_err(|error| Failure::new(Code::Internal, format!("taking signals: {error}")))?;
    let dir = Arc::new(DataDir::open(dir).map_err(|error| Failure::caused(error.code(), &error))?);
    let (identity, source) = identity_of(flags, &dir)?;
    let public_key = identity.public();
    let token = dir
        .token()
        .map_err(|error| Failure::caused(error.code(), &error))?;
    let listener = listen_http(&settings).await?;
    let http = listener.local_addr();
    let internal = settings.internal_token.take();
    let gate = gate(&settings, internal, &listener, token.expose_text())?;
    let admission = shown_admission(&settings);
    let admitted = settings
        .whitelist
        .as_ref()
        .map(std::collections::BTreeSet::len);
    let memory = settings.memory || flags.ephemeral;

    let builder = Node::builder(identity).config(config(&settings, &source));
    let builder = if memory {
        builder.memory()
    } else {
        builder.opened(Arc::clone(&dir))
    };
    let node = builder
        .spawn()
        .await
        .map_err(|error| Failure::caused(error.code(), &error))?;

    let stop = CancellationToken::new();
    let router = skychat_http::routes(node.clone(), http, stop.clone());
    let server = tokio::spawn(listener.serve(gate, router, Caps::default(), stop.clone()));
    let links = node.listen_addrs();
    let control = ControlFile {
        v: V1,
        pid: std::process::id(),
        key: public_key,
        started,
        http: Some(http),
        links: links.clone(),
        socket: None,
    };
    dir.publish(&control)
        .map_err(|error| Failure::caused(error.code(), &error))?;
    let spoken = flags.internal_token.as_deref();
    if spoken.is_some_and(|text| !text.starts_with('@')) {
        tracing::warn!(
            "the internal token was given as an argument, which other programs can see; @FILE is \
             safer"
        );
    }
    if let Some(warning) = source.warning() {
        tracing::warn!("{warning}");
    }
    if differs_from_skywire(&source) {
        tracing::warn!(
            "the bytes of the secret key are taken as an Ed25519 seed: the public key differs from \
             the secp256k1 one that Skywire derives"
        );
    }
    Announcement {
        v: V1,
        kind: "ready",
        public_key,
        identity: source.to_string(),
        new_identity: matches!(source, IdentitySource::KeyFile { new: true, .. }),
        addresses: announce::addresses(public_key, &links),
        links,
        http,
        admission,
        admitted,
        data_dir: dir.path(),
        memory,
        usual_dir,
    }
    .print(settings.json);
    tracing::info!(key = %public_key.short(), %http, "ready");

    wait_and_stop(node, server, stop, &mut signals, &dir).await
}

/// Waits for the end, whatever brings it, and stops in order.
async fn wait_and_stop(
    node: Node,
    mut server: JoinHandle<()>,
    stop: CancellationToken,
    signals: &mut Signals,
    dir: &DataDir,
) -> Result<(), Failure> {
    let outcome = tokio::select! {
        signal = signals.next() => {
            tracing::info!(signal, "stopping");
            Ok(())
        }
        stopped = node.stopped() => {
            stopped.map_err(|error| Failure::caused(error.code(), &error))
        }
        _ = &mut server => {
            Err(Failure::new(Code::Internal, "the HTTP listener ended by itself"))
        }
    };
    let in_order = async {
        // Streams end first; then nothing holds the connections, and the node can settle.
        stop.cancel();
        // Nobody is to look for it any more. What cannot be removed is found to be stale.
        let _ = dir.withdraw();
        let report = node.shutdown(STOP).await;
        if !server.is_finished() {
            let _ = tokio::time::timeout(LAST_ANSWERS, server).await;
        }
        report
    };
    tokio::select! {
        report = in_order => {
            if report.aborted.is_empty() {
                tracing::info!(took_ms = report.took.as_millis(), "stopped");
            } else {
                tracing::warn!(aborted = report.aborted.join(", "), "stopped by the deadline");
            }
            outcome
        }
        signal = signals.next() => {
            tracing::warn!(signal, "stopping at once");
            Err(Failure::new(Code::Interrupted, format!("a second signal, {signal}: stopped at once")))
        }
    }
}

/// The identity: the flag, the environment, `-c`, the key file of the directory.
fn identity_of(flags: &Flags, dir: &DataDir) -> Result<(SecretKey, IdentitySource), Failure> {
    let given = Given::read(flags)?;
    let ephemeral = if flags.ephemeral {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| Failure::new(Code::Internal, format!("drawing a key: {error}")))?;
        Some(seed.into())
    } else {
        None
    };
    dir.identity(IdentitySources {
        ephemeral,
        ..given.sources()
    })
    .map_err(|error| identity::failed(&error))
}

fn config(settings: &Settings, source: &IdentitySource) -> Config {
    Config {
        listen: settings.links.iter().map(|place| place.free()).collect(),
        peers: settings.peers.clone(),
        admission: settings
            .whitelist
            .clone()
            .map_or(Admission::Anyone, Admission::Only),
        strict: settings.strict,
        retention: settings.retention.clone(),
        agent: concat!("skychatd/", env!("CARGO_PKG_VERSION")).into(),
        identity_source: shown_source(source),
    }
}

fn shown_source(source: &IdentitySource) -> Source {
    match source {
        IdentitySource::Flag => Source::Flag,
        IdentitySource::Environment => Source::Environment,
        IdentitySource::Config { .. } => Source::File,
        IdentitySource::Ephemeral => Source::Ephemeral,
        _ => Source::DataDir,
    }
}

/// Whether the key is one a Skywire configuration may share with us.
fn differs_from_skywire(source: &IdentitySource) -> bool {
    matches!(
        source,
        IdentitySource::Flag | IdentitySource::Environment | IdentitySource::Config { .. }
    )
}

fn shown_admission(settings: &Settings) -> ApiAdmission {
    match (&settings.whitelist, settings.strict) {
        (None, _) => ApiAdmission::Open,
        (Some(_), false) => ApiAdmission::Whitelist,
        (Some(_), true) => ApiAdmission::WhitelistStrict,
    }
}

async fn listen_http(settings: &Settings) -> Result<Listener, Failure> {
    Listener::bind(settings.http.free())
        .await
        .map_err(|error| Failure::caused(Code::PortInUse, &error))
}

fn gate(
    settings: &Settings,
    internal: Option<Token>,
    listener: &Listener,
    token: &str,
) -> Result<Gate, Failure> {
    let token = Token::new(token).map_err(|error| Failure::caused(Code::BadConfig, &error))?;
    let mut gate = Gate::new(listener.local_addr(), token);
    if let Some(internal) = internal {
        gate.allow_internal(internal);
    }
    for host in &settings.http_hosts {
        gate.allow_host(host)
            .map_err(|error| Failure::config(format!("--http-host: {error}")))?;
    }
    for origin in &settings.http_origins {
        gate.allow_origin(origin)
            .map_err(|error| Failure::config(format!("--http-origin: {error}")))?;
    }
    Ok(gate)
}

/// A crash must not leave secrets in a file. Where the system refuses, it stays as it is.
fn no_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::debug!(%error, "core dumps could not be switched off");
    }
}

fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "the daemon notes when it started"
    )]
    let now = std::time::SystemTime::now();
    let since = now
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
