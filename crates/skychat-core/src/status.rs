//! How the node is doing: put together from counters and snapshots, without I/O.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use skychat_api::{
    Admission as ApiAdmission, Direction, LinkStatus, ListenStatus, PeerStatus, Status,
    StoreStatus, V1, WaitReason,
};
use skychat_engine::PeerStatus as EnginePeer;
use skychat_identity::PublicKey;
use skychat_transport::{CloseReason, Link};

use crate::Admission;
use crate::links::{KeptPeer, LastLink};
use crate::shared::{CARRIER, Shared};
use crate::words::{limit_cause, writer_kind};

pub(crate) fn status(shared: &Shared) -> Status {
    let links = shared.config.links.all();
    let listening = shared.listening.states(shared.clock.now());
    Status {
        v: V1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        public_key: shared.public_key,
        identity: shared.identity_source,
        incarnation: shared.hello.load().incarnation,
        writer: writer_kind(shared.writer),
        uptime_ms: millis(shared.clock.now().elapsed()),
        pid: std::process::id(),
        tasks: tokio::runtime::Handle::try_current()
            .map_or(0, |runtime| runtime.metrics().num_alive_tasks() as u64),
        listen: listening
            .iter()
            .map(|(addr, up)| ListenStatus {
                carrier: CARRIER.to_owned(),
                addr: addr.to_string(),
                up: *up,
            })
            .collect(),
        admission: match (&**shared.admission.load(), shared.strict) {
            (Admission::Anyone, _) => ApiAdmission::Open,
            (Admission::Only(_), false) => ApiAdmission::Whitelist,
            (Admission::Only(_), true) => ApiAdmission::WhitelistStrict,
        },
        peers: peers(shared, &links),
        links: links.iter().map(|link| link_status(shared, link)).collect(),
        store: StoreStatus {
            path: shared
                .store
                .path
                .as_ref()
                .map(|path| path.display().to_string()),
            bytes: shared.store.bytes(),
            used: shared.room.held(),
            cap: shared.total,
            holds_back: shared.room.is_over(),
            commits: shared.store.commits(),
            last_event: shared.last_event(),
            index_opening: shared.store.is_indexing(),
        },
        degraded: degraded(shared, &listening),
    }
}

/// What is wrong, for people.
fn degraded(shared: &Shared, listening: &[(SocketAddr, bool)]) -> Vec<String> {
    let mut degraded = shared.store.warnings.clone();
    if shared.stopper.requested().is_cancelled() {
        degraded.push("stopping".to_owned());
        return degraded;
    }
    if shared.snapshot.borrow().store_full {
        degraded.push("the disk is full: nothing new is taken until there is room".to_owned());
    }
    if shared.room.is_over() {
        degraded.push(
            "the store holds as much as it may: nothing new is taken until text was given away"
                .to_owned(),
        );
    }
    let lost = listening.iter().filter(|(_, up)| !up);
    degraded.extend(lost.map(|(addr, _)| format!("no links are accepted at {addr}; trying again")));
    degraded
}

fn link_status(shared: &Shared, link: &Link) -> LinkStatus {
    let stats = link.stats();
    LinkStatus {
        peer: link.peer(),
        addr: Some(link.remote_addr().to_string()),
        direction: if link.inbound() {
            Direction::In
        } else {
            Direction::Out
        },
        incarnation: link.hello().incarnation,
        since: shared.clock.wall().saturating_sub(stats.age),
        received: stats.received_bytes,
        sent: stats.sent_bytes,
    }
}

/// Everybody the node has something to do with: configured, linked or owed something.
fn peers(shared: &Shared, links: &[Link]) -> Vec<PeerStatus> {
    let snapshot = shared.snapshot.borrow();
    let mut known: BTreeMap<PublicKey, (Option<&KeptPeer>, Option<&EnginePeer>)> = BTreeMap::new();
    for kept in &shared.kept {
        known.entry(kept.peer).or_default().0 = Some(kept);
    }
    for peer in &snapshot.peers {
        known.entry(peer.peer).or_default().1 = Some(peer);
    }
    for link in links {
        known.entry(link.peer()).or_default();
    }
    let admission = shared.admission.load();
    known
        .into_iter()
        .map(|(peer, (kept, engine))| {
            let linked = links.iter().any(|link| link.peer() == peer);
            let named = matches!(&**admission, Admission::Only(keys) if keys.contains(&peer));
            let dial = kept.map(KeptPeer::state).unwrap_or_default();
            let owed = engine.map_or(0, |engine| engine.owed);
            let waits = (owed > 0).then(|| {
                let held = engine.and_then(|engine| engine.held);
                let last = shared.presence.last_of(&peer);
                match held {
                    Some(cause) => WaitReason::Limited {
                        cause: limit_cause(cause),
                    },
                    None if linked => WaitReason::InFlight,
                    None if dial.refused => WaitReason::NotAdmitted,
                    None => absent(kept.is_some(), last),
                }
            });
            PeerStatus {
                peer,
                configured: kept.is_some() || named,
                linked,
                addresses: kept
                    .map(|kept| kept.hints.iter().map(ToString::to_string).collect())
                    .unwrap_or_default(),
                owed,
                waits,
                last_error: if linked { None } else { dial.error },
            }
        })
        .collect()
}

/// Why somebody is not here.
fn absent(kept: bool, last: Option<LastLink>) -> WaitReason {
    use skychat_proto::link::Goodbye;
    match last {
        Some(last) if last.reason == CloseReason::Remote(Goodbye::NotAdmitted) => {
            WaitReason::NotAdmitted
        }
        Some(last) => WaitReason::Offline {
            since: Some(last.ended),
        },
        None if kept => WaitReason::Offline { since: None },
        None => WaitReason::NoAddress,
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
