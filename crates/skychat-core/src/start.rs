//! Starting, in order: the directory and its lock, the store, the engine, the store's thread, the
//! engine's task, listeners, dialling.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use skychat_api as api;
use skychat_engine::{Engine, Limits};
use skychat_identity::{Address, HostPort, PublicKey, SecretKey};
use skychat_proto::ids::Incarnation;
use skychat_proto::limits::{COMMANDS, MAX_AGENT, NOTICES};
use skychat_proto::link::Hello;
use skychat_proto::open::WriterKind;
use skychat_transport::backend::Backend;
use skychat_transport::{BindError, LinkConfig, LinkIdentity, Listener, ListenerLimits};
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::builder::Place;
use crate::clock::Clock;
use crate::drive::{Driver, Ports, Snapshot};
use crate::events::{EventLog, Renderer};
use crate::links::{KeptPeer, Listening, Presence, Services, inlet, keep};
use crate::messages::Messages;
use crate::retention::{Room, Sweeper};
use crate::sends::UnderWay;
use crate::shared::Shared;
use crate::stop::{DEFAULT_DEADLINE, Stopper, Supervisor};
use crate::waiters::Waiters;
use crate::{Admission, Config, Node, NodeBuilder, Retention, StartError, journal};

pub(crate) async fn start(builder: NodeBuilder) -> Result<Node, StartError> {
    let writer = match builder.place {
        Place::Memory => WriterKind::Memory,
        Place::Path(_) | Place::Opened(_) => WriterKind::Node,
        #[cfg(test)]
        Place::Disk(_) => WriterKind::Node,
    };
    start_as(builder, writer).await
}

/// Starts a node of this kind.
pub(crate) async fn start_as(builder: NodeBuilder, writer: WriterKind) -> Result<Node, StartError> {
    let NodeBuilder {
        identity,
        place,
        config,
    } = builder;
    let own = identity.public();
    let kept = kept_peers(&config.peers, &own)?;
    let clock = Clock::start();
    let incarnation = Incarnation::from_bytes(random()?);
    let journal::Opened {
        writer: store_writer,
        reader,
        recovered,
        facts,
        last_event,
        dir,
    } = journal::open(
        place,
        own,
        incarnation,
        random()?,
        config.retention.segments(),
    )
    .await?;

    // The engine signs with one copy of the identity, links prove themselves with the other.
    let for_links = Arc::new(SecretKey::from_seed(*identity.expose_bytes()));
    let engine_config = skychat_engine::Config {
        kind: writer,
        incarnation,
        agent: agent(&config.agent),
        consented: consented(&config),
        limits: Limits {
            largest: config.retention.largest,
            per_minute: config.retention.per_peer_rate,
        },
    };
    let (now, wall) = (clock.now(), clock.wall());
    let engine = Engine::new(engine_config, identity, random()?, recovered, now, wall)
        .map_err(journal::damaged)?;
    let (store, replies, store_thread) = journal::spawn(store_writer, dir)?;

    let stopper = Stopper::new();
    let ended = CancellationToken::new();
    let waiters = Arc::new(Waiters::default());
    let kept_where = match writer {
        WriterKind::Node => api::Kept::Disk,
        WriterKind::Memory | WriterKind::OneShot => api::Kept::Memory,
    };
    let messages = Messages::new(
        reader.clone(),
        own,
        kept_where,
        incarnation,
        Arc::clone(&waiters),
    );
    let messages = Arc::new(messages);
    let renderer = Renderer(Arc::clone(&messages));
    let events = EventLog::new(renderer, last_event, ended.clone());
    let (notices, _) = broadcast::channel(NOTICES);
    let (snapshot, snapshots) = watch::channel(Snapshot::default());
    let (commands, command_queue) = mpsc::channel(COMMANDS);
    let (inlet, arrivals) = inlet();
    let hello = Arc::new(ArcSwap::from_pointee(engine.hello()));
    let admission = Arc::new(ArcSwap::from_pointee(config.admission.clone()));
    let links = link_config(for_links, &hello, &admission, &stopper);
    let presence = Arc::new(Presence::new(clock));
    let services = Arc::new(Services {
        inlet,
        presence: Arc::clone(&presence),
        tracker: links.tracker.clone(),
    });
    let tasks = TaskTracker::new();
    let engine_stop = CancellationToken::new();
    let driver = Driver::new(
        engine,
        Ports {
            clock,
            commands: command_queue,
            arrivals,
            store,
            replies,
            reader,
            events: Arc::clone(&events),
            waiters: Arc::clone(&waiters),
            notices: notices.clone(),
            snapshot,
            hello: Arc::clone(&hello),
            tracker: links.tracker.clone(),
            stop: engine_stop.clone(),
        },
    );
    let engine = tokio::spawn(driver.run());

    let (listeners, refused) = bind(&config.listen, &links, &services);
    let listener_lost = CancellationToken::new();
    for listener in &listeners {
        let (listener, lost) = (Arc::clone(listener), listener_lost.clone());
        tasks.spawn(async move {
            listener.ended().await;
            if !listener.is_stopped() {
                lost.cancel();
            }
        });
    }
    let dialling = CancellationToken::new();
    let room = Arc::new(Room::default());
    let total = config.retention.total.max(Retention::MIN_TOTAL);
    let sweeper = Sweeper {
        rules: config.retention,
        clock,
        messages: Arc::clone(&messages),
        events: Arc::clone(&events),
        store: Arc::clone(&facts),
        room: Arc::clone(&room),
        pressure: store_thread.pressure(),
        commands: commands.clone(),
    };
    let shared = Arc::new(Shared {
        public_key: own,
        incarnation,
        hello,
        writer,
        clock,
        identity_source: config.identity_source,
        strict: config.strict,
        admission,
        listening: Listening::new(listeners.clone()),
        kept,
        config: links.clone(),
        services,
        presence,
        commands,
        under_way: UnderWay::default(),
        waiters,
        messages,
        events,
        notices: notices.clone(),
        snapshot: snapshots,
        store: facts,
        room: Arc::clone(&room),
        total,
        tracker: tasks.clone(),
        stopper: Arc::clone(&stopper),
    });
    let supervisor = Supervisor {
        stopper,
        engine,
        engine_stop,
        dialling: dialling.clone(),
        listeners,
        listener_lost,
        config: links,
        tasks: tasks.clone(),
        store: store_thread,
        notices,
        ended,
    };
    tokio::spawn(supervisor.run());
    let node = Node::new(Arc::clone(&shared));
    if let Some(refused) = refused {
        // Nothing is left behind when the caller learns of it.
        node.shutdown(DEFAULT_DEADLINE).await;
        return Err(refused);
    }
    let sweeping = dialling.clone();
    tasks.spawn(async move { sweeping.run_until_cancelled(sweeper.run()).await });
    for peer in &shared.kept {
        let keeping = keep(
            Arc::clone(peer),
            shared.config.clone(),
            Arc::clone(&shared.services),
        );
        let dialling = dialling.clone();
        tasks.spawn(async move { dialling.run_until_cancelled(keeping).await });
    }
    info!(
        key = %own.short(),
        incarnation = %incarnation.short(),
        listening = ?shared.listening.addrs(),
        "started",
    );
    Ok(node)
}

/// What all links of this node share.
fn link_config(
    identity: Arc<SecretKey>,
    hello: &Arc<ArcSwap<Hello>>,
    admission: &Arc<ArcSwap<Admission>>,
    stopper: &Arc<Stopper>,
) -> LinkConfig {
    let (hello, admission, stopper) = (
        Arc::clone(hello),
        Arc::clone(admission),
        Arc::clone(stopper),
    );
    LinkConfig::new(
        LinkIdentity::new(identity, Backend::default()),
        move || Hello::clone(&hello.load()),
        move |peer: &PublicKey| {
            !stopper.requested().is_cancelled() && admission.load().admits(peer)
        },
    )
}

/// Binds every listener, up to the first that cannot be bound.
fn bind(
    addrs: &[SocketAddr],
    config: &LinkConfig,
    services: &Arc<Services>,
) -> (Vec<Arc<Listener>>, Option<StartError>) {
    let mut listeners = Vec::new();
    for addr in addrs {
        let limits = ListenerLimits::default();
        match Listener::bind(*addr, config, Arc::clone(services), limits) {
            Ok(listener) => listeners.push(Arc::new(listener)),
            Err(error) => return (listeners, Some(error.into())),
        }
    }
    (listeners, None)
}

impl From<BindError> for StartError {
    fn from(error: BindError) -> Self {
        match error {
            BindError::Bind { addr, source } => StartError::Bind { addr, source },
            BindError::Thread(source) => StartError::System {
                what: "the thread for handshakes",
                source,
            },
            _ => StartError::System {
                what: "a listener",
                source: std::io::ErrorKind::Other.into(),
            },
        }
    }
}

/// Bytes of the operating system's.
fn random<const N: usize>() -> Result<[u8; N], StartError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| StartError::System {
        what: "the source of random bytes",
        source: match error.raw_os_error() {
            Some(code) => std::io::Error::from_raw_os_error(code),
            None => std::io::ErrorKind::Unsupported.into(),
        },
    })?;
    Ok(bytes)
}

/// The name of the program, cut to what a hello carries.
fn agent(name: &str) -> String {
    let mut end = name.len().min(MAX_AGENT);
    while !name.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    name.get(..end).unwrap_or_default().to_owned()
}

/// Who is no stranger from the start: whom the configuration names (D12).
fn consented(config: &Config) -> BTreeSet<PublicKey> {
    let mut consented: BTreeSet<_> = config.peers.iter().map(Address::key).collect();
    if let Admission::Only(keys) = &config.admission {
        consented.extend(keys);
    }
    consented
}

/// Peers to keep links to, each once, with all the addresses that were given for it.
fn kept_peers(peers: &[Address], own: &PublicKey) -> Result<Vec<Arc<KeptPeer>>, StartError> {
    let mut kept: BTreeMap<PublicKey, Vec<HostPort>> = BTreeMap::new();
    for address in peers {
        let peer = address.key();
        if peer == *own {
            return Err(StartError::OwnKey);
        }
        if address.hints().is_empty() {
            return Err(StartError::NoAddress { peer });
        }
        let hints = kept.entry(peer).or_default();
        for hint in address.hints() {
            if !hints.contains(hint) {
                hints.push(hint.clone());
            }
        }
    }
    let kept = kept
        .into_iter()
        .map(|(peer, hints)| Arc::new(KeptPeer::new(peer, hints)));
    Ok(kept.collect())
}
