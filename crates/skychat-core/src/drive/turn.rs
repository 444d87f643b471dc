//! The loop: our own work before more from outside, and never a wait for one slow peer or disk.

use std::collections::BTreeMap;
use std::time::Duration;

use skychat_engine::{CloseLink, Engine, Input, Output, SendRejected, Told};
use skychat_proto::ids::{LinkId, Moment};
use skychat_proto::link::Goodbye;
use skychat_proto::record::Batch;
use skychat_transport::CloseReason;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, trace, warn};

use super::loads::{Done, Load, Loads};
use super::outlet::{Outlet, Sent};
use super::ports::{Command, Placed, Ports, Snapshot};
use crate::clock::wake_at;
use crate::events::render_notice;
use crate::journal::{STOPPED, StoreReply};
use crate::links::Arrival;
use crate::stop::StopError;

/// Commands, and messages of links, that are taken in one turn: neither starves the other.
const TURN: usize = 64;
/// How often `status` learns of changes at most.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(100);
/// Links that have room again and wait to be looked at.
const READY: usize = 256;

/// Why the driver ended, if not because it was told to.
pub(crate) type Ended = Result<(), StopError>;

/// Drives the engine.
pub(crate) struct Driver {
    engine: Engine,
    ports: Ports,
    links: BTreeMap<LinkId, Outlet>,
    loads: Loads,
    loaded: mpsc::Receiver<Done>,
    ready: mpsc::Receiver<LinkId>,
    announce: mpsc::Sender<LinkId>,
    /// Sends that are under way, by the number of the request.
    answers: BTreeMap<u64, oneshot::Sender<Result<Placed, SendRejected>>>,
    /// The same of what is given away.
    given: BTreeMap<u64, oneshot::Sender<()>>,
    requests: u64,
    /// Why the link is over of which the engine is being told.
    leaving: Option<CloseReason>,
    /// When the last snapshot was made.
    snapshot: Moment,
    /// Something happened since.
    stale: bool,
}

/// The first thing that came from outside in a turn.
enum First {
    Command(Command),
    Arrival(Arrival),
}

impl Driver {
    pub(crate) fn new(engine: Engine, ports: Ports) -> Self {
        let (loads, loaded) = Loads::new(ports.reader.clone());
        let (announce, ready) = mpsc::channel(READY);
        Driver {
            engine,
            ports,
            links: BTreeMap::new(),
            loads,
            loaded,
            ready,
            announce,
            answers: BTreeMap::new(),
            given: BTreeMap::new(),
            requests: 0,
            leaving: None,
            snapshot: Moment::START,
            stale: true,
        }
    }

    /// Runs until it is told to stop, and then until everything under way is on disk.
    pub(crate) async fn run(mut self) -> Ended {
        match self.turns().await {
            // The store has stopped: why, it says before it ends.
            Err(StopError::Panicked { .. }) => {
                while let Some(reply) = self.ports.replies.recv().await {
                    if let StoreReply::Failed(error) = reply {
                        return Err(error);
                    }
                }
                Err(STOPPED)
            }
            ended => ended,
        }
    }

    async fn turns(&mut self) -> Ended {
        let stop = self.ports.stop.clone();
        self.drain()?;
        loop {
            self.submit()?;
            self.publish();
            let room = self.engine.has_room();
            let wake = self.engine.poll_timeout();
            let refresh = self.stale.then(|| self.snapshot + SNAPSHOT_EVERY);
            let clock = self.ports.clock;
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                reply = self.ports.replies.recv() => match reply {
                    Some(reply) => self.reply(reply)?,
                    None => return Err(STOPPED),
                },
                Some(done) = self.loaded.recv() => self.loaded(done)?,
                Some(link) = self.ready.recv() => self.ready(link)?,
                () = wake_at(&clock, wake) => self.handle(Input::Timeout)?,
                () = wake_at(&clock, refresh) => {}
                first = first(&mut self.ports.commands, &mut self.ports.arrivals), if room => {
                    match first {
                        Some(first) => self.outside(first)?,
                        // Every handle is gone, and with them everybody who could stop us.
                        None => break,
                    }
                }
            }
        }
        self.settle().await
    }

    /// Brings what is under way to disk. Nothing more is taken from outside.
    async fn settle(&mut self) -> Ended {
        self.ports.commands.close();
        loop {
            self.submit()?;
            if self.ports.store.is_idle() && !self.engine.has_batch() {
                return Ok(());
            }
            match self.ports.replies.recv().await {
                Some(reply) => self.reply(reply)?,
                None => return Err(STOPPED),
            }
        }
    }

    /// Takes at most [`TURN`] commands and as many messages.
    fn outside(&mut self, first: First) -> Ended {
        let (mut commands, mut arrivals) = (0, 0);
        match first {
            First::Command(command) => {
                commands = 1;
                self.command(command)?;
            }
            First::Arrival(arrival) => {
                arrivals = 1;
                self.arrival(arrival)?;
            }
        }
        while commands < TURN && self.engine.has_room() {
            let Ok(command) = self.ports.commands.try_recv() else {
                break;
            };
            commands += 1;
            self.command(command)?;
        }
        while arrivals < TURN && self.engine.has_room() {
            let Ok(arrival) = self.ports.arrivals.try_recv() else {
                break;
            };
            arrivals += 1;
            self.arrival(arrival)?;
        }
        Ok(())
    }

    fn command(&mut self, command: Command) -> Ended {
        match command {
            Command::Send {
                to,
                message,
                content,
                answer,
            } => {
                let request = self.requests;
                self.requests = self.requests.wrapping_add(1);
                self.answers.insert(request, answer);
                self.handle(Input::Send {
                    request,
                    to,
                    message,
                    content,
                })
            }
            Command::Consent { peer, done } => {
                self.handle(Input::Consent { peer })?;
                // Whoever asked may have left.
                let _ = done.send(());
                Ok(())
            }
            Command::OverQuota { over } => self.handle(Input::OverQuota { over }),
            Command::GiveAway { drops, rows, done } => {
                let request = self.requests;
                self.requests = self.requests.wrapping_add(1);
                self.given.insert(request, done);
                self.handle(Input::GiveAway {
                    request,
                    drops,
                    rows,
                })
            }
            #[cfg(test)]
            Command::Panic => panic!("asked for by a test"),
        }
    }

    fn arrival(&mut self, arrival: Arrival) -> Ended {
        match arrival {
            Arrival::Up { link, verifier } => {
                let input = Input::LinkUp {
                    link: link.id(),
                    peer: link.peer(),
                    hello: link.hello().clone(),
                };
                self.links.insert(link.id(), Outlet::new(link, verifier));
                self.handle(input)
            }
            Arrival::Message { input, room } => {
                drop(room);
                self.handle(input)
            }
            Arrival::Down { link, reason } => {
                self.leaving = Some(reason);
                let handled = self.handle(Input::LinkDown { link });
                self.leaving = None;
                self.links.remove(&link);
                handled
            }
        }
    }

    fn reply(&mut self, reply: StoreReply) -> Ended {
        match reply {
            StoreReply::Committed(receipts) => {
                for receipt in receipts {
                    self.ports.store.committed(&receipt);
                    if let Some(last) = receipt.last_event() {
                        self.ports.events.committed(last);
                    }
                    self.handle(Input::Committed {
                        batch: receipt.batch,
                    })?;
                }
                Ok(())
            }
            StoreReply::Found { lookup, found } => {
                self.ports.store.ask()?;
                self.handle(Input::Found { lookup, found })
            }
            StoreReply::Full(full) => self.handle(Input::StoreFull { full }),
            StoreReply::Failed(error) => Err(error),
        }
    }

    fn loaded(&mut self, done: Done) -> Ended {
        self.loads.ended(&done);
        self.handle(done.input)
    }

    fn ready(&mut self, link: LinkId) -> Ended {
        let Some(outlet) = self.links.get_mut(&link) else {
            return Ok(());
        };
        if outlet.flush() {
            return self.handle(Input::LinkReady { link });
        }
        outlet.announce(&self.announce, &self.ports.tracker);
        Ok(())
    }

    /// Hands one fact to the engine and does everything it says.
    fn handle(&mut self, input: Input) -> Ended {
        let (now, wall) = (self.ports.clock.now(), self.ports.clock.wall());
        if input.draws() {
            self.refresh_randomness();
        }
        self.engine.handle(now, wall, input);
        self.stale = true;
        self.drain()
    }

    fn drain(&mut self) -> Ended {
        while let Some(output) = self.engine.poll_output() {
            self.act(output)?;
        }
        Ok(())
    }

    fn act(&mut self, output: Output) -> Ended {
        match output {
            Output::Send { link, payload } => {
                let Some(outlet) = self.links.get_mut(&link) else {
                    return Ok(());
                };
                if outlet.send(payload) == Sent::Full {
                    trace!(link = link.get(), "full");
                    outlet.announce(&self.announce, &self.ports.tracker);
                    // What comes out of it is drained by the loop we are in.
                    let (now, wall) = (self.ports.clock.now(), self.ports.clock.wall());
                    self.engine.handle(now, wall, Input::LinkFull { link });
                }
            }
            Output::Expect {
                link,
                feed,
                position,
                tip,
            } => {
                if let Some(outlet) = self.links.get(&link) {
                    let verifier = outlet.verifier.lock();
                    verifier
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .expect(feed, position, tip);
                }
            }
            Output::Close { link, reason } => self.close(link, &reason),
            Output::Lookup {
                lookup,
                author,
                space,
                messages,
            } => self.ports.store.lookup(lookup, author, space, messages)?,
            Output::Load {
                load,
                feed,
                from,
                max_entries,
                max_bytes,
                any_end,
            } => self.loads.ask(Load::Range {
                load,
                feed,
                from,
                max_entries,
                max_bytes,
                any_end,
            }),
            Output::LoadContent { load, feed, seq } => {
                self.loads.ask(Load::Content { load, feed, seq });
            }
            Output::LoadFeed { load, feed } => self.loads.ask(Load::Feed { load, feed }),
            Output::Accepted {
                request,
                message,
                feed,
                seq,
            } => self.answer(request, Ok(Placed { message, feed, seq })),
            Output::Rejected { request, error } => self.answer(request, Err(error)),
            Output::GivenAway { request } => {
                if let Some(done) = self.given.remove(&request) {
                    // Whoever asked may have left.
                    let _ = done.send(());
                }
            }
            Output::Told(told) => self.told(&told),
            Output::Notice(notice) => {
                let link = |link| self.links.get(&link).map(Outlet::link);
                if let Some(event) = render_notice(notice, link, self.leaving) {
                    // Nobody may be listening.
                    let _ = self.ports.notices.send(event);
                }
            }
        }
        Ok(())
    }

    fn answer(&mut self, request: u64, answer: Result<Placed, SendRejected>) {
        if let Some(waiting) = self.answers.remove(&request) {
            // Whoever asked may have left.
            let _ = waiting.send(answer);
        }
    }

    fn told(&self, told: &Told) {
        trace!(feed = %told.feed.short(), head = told.head.get(), "acknowledged");
        self.ports.waiters.told(told);
    }

    fn close(&mut self, link: LinkId, reason: &CloseLink) {
        let Some(outlet) = self.links.get(&link) else {
            return;
        };
        let peer = outlet.link().peer();
        match reason {
            CloseLink::Violation(violation) => {
                warn!(peer = %peer.short(), %violation, "the peer broke a rule: closing");
                outlet.link().close(Goodbye::Violation);
            }
            CloseLink::Goodbye(goodbye) => {
                debug!(peer = %peer.short(), ?goodbye, "closing");
                outlet.link().close(*goodbye);
            }
        }
    }

    /// Hands what is to be written to the store, as far as it takes it.
    fn submit(&mut self) -> Ended {
        while self.engine.has_batch() && self.ports.store.has_room() {
            self.refresh_randomness();
            let batch: Batch = self.engine.take_batch();
            self.ports.store.commit(batch)?;
        }
        Ok(())
    }

    /// A machine that was resumed from a snapshot of its memory must not draw the same again
    /// (INC-8).
    fn refresh_randomness(&mut self) {
        let mut fresh = [0; 32];
        match getrandom::fill(&mut fresh) {
            Ok(()) => self.engine.mix(&fresh),
            Err(error) => warn!(%error, "the system gave no random bytes"),
        }
    }

    /// Tells `status` how things stand, from time to time.
    fn publish(&mut self) {
        let now = self.ports.clock.now();
        if self.stale && now >= self.snapshot + SNAPSHOT_EVERY {
            self.stale = false;
            self.snapshot = now;
            self.ports.snapshot.send_replace(Snapshot {
                peers: self.engine.peers(),
                store_full: self.engine.is_full(),
            });
            let hello = self.engine.hello();
            if **self.ports.hello.load() != hello {
                self.ports.hello.store(std::sync::Arc::new(hello));
            }
        }
    }
}

async fn first(
    commands: &mut mpsc::Receiver<Command>,
    arrivals: &mut mpsc::Receiver<Arrival>,
) -> Option<First> {
    tokio::select! {
        Some(command) = commands.recv() => Some(First::Command(command)),
        Some(arrival) = arrivals.recv() => Some(First::Arrival(arrival)),
        else => None,
    }
}
