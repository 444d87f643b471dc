//! The machine: what it holds, and how inputs are shared out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU32;

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};
use skychat_direct::Sessions;
use skychat_feed::replicator::{self, Config as FeedConfig};
use skychat_feed::{Checked, OwnLine, PeerLives, Replicator, Violation};
use skychat_identity::{PublicKey, SecretKey};
use skychat_proto::DecodeError;
use skychat_proto::ids::{
    BatchId, FeedId, Incarnation, LinkId, MessageId, Moment, ServiceId, SpaceId, Timestamp,
};
use skychat_proto::limits::MAX_CONTENT;
use skychat_proto::link::{Goodbye, Hello};
use skychat_proto::open::WriterKind;
use skychat_proto::record::Batch;
use skychat_proto::record::tables::{self, Event, MessageRow, PeerRow};
use skychat_proto::sync::{HoldCause, Kept, Refusal};

use crate::batch::Batches;
use crate::closed::Closed;
use crate::incoming::{Parked, Recent};
use crate::outgoing::{Reissue, Waiting, Writer};
use crate::peers::{LinkSide, Suspicion};
use crate::port::{CloseLink, Input, Notice, Output, Payload, PeerStatus, Told};
use crate::rates::Rates;
use crate::recovered::Recovered;
use crate::resumed::LeftBehind;

/// How much is taken from a peer, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the largest content that is taken or sent; at most [`MAX_CONTENT`].
    pub largest: usize,
    /// Messages of one peer that are taken in a minute; `None`: as many as come. Beyond it the
    /// peer is told to wait, and nothing is lost. It begins anew with each life.
    pub per_minute: Option<NonZeroU32>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            largest: MAX_CONTENT,
            per_minute: None,
        }
    }
}

/// What an engine is told once.
#[derive(Clone, Debug)]
pub struct Config {
    /// What kind of writer it is.
    pub kind: WriterKind,
    /// This life: 8 random bytes, drawn by the driver when the store is opened.
    pub incarnation: Incarnation,
    /// Name and version of the program, for the hello.
    pub agent: String,
    /// Keys that are no strangers: kept links and the whitelist.
    pub consented: BTreeSet<PublicKey>,
    /// How much is taken, and how fast.
    pub limits: Limits,
}

/// A whole node as one pure machine. The contract is in [`port`](crate::port).
pub struct Engine {
    pub(crate) config: Config,
    pub(crate) identity: SecretKey,
    pub(crate) me: PublicKey,
    pub(crate) line: OwnLine,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) now: Moment,
    pub(crate) wall: Timestamp,
    pub(crate) batches: Batches,
    pub(crate) replicator: Replicator,
    pub(crate) sessions: Sessions,
    pub(crate) writers: BTreeMap<SpaceId, Writer>,
    pub(crate) links: BTreeMap<LinkId, LinkSide>,
    pub(crate) lives: BTreeMap<PublicKey, PeerLives>,
    pub(crate) peers: BTreeMap<PublicKey, PeerRow>,
    pub(crate) consented: BTreeSet<PublicKey>,
    pub(crate) suspicions: Vec<Suspicion>,
    pub(crate) messages: BTreeMap<MessageId, MessageRow>,
    pub(crate) recent: Recent,
    pub(crate) parked: BTreeMap<FeedId, Parked>,
    pub(crate) lookups: BTreeMap<u64, FeedId>,
    pub(crate) reissues: BTreeMap<u64, Reissue>,
    pub(crate) waiting_sends: VecDeque<Waiting>,
    pub(crate) continued_heads: BTreeMap<SpaceId, Vec<skychat_feed::Named>>,
    pub(crate) next_question: u64,
    pub(crate) left_behind: LeftBehind,
    pub(crate) closed: Closed,
    /// The number of the next life of this store.
    pub(crate) life_number: u64,
    pub(crate) events: u64,
    pub(crate) rates: Rates,
    /// There is no room on the disk.
    pub(crate) full: bool,
    /// The store holds as much as it may.
    pub(crate) over_quota: bool,
}

/// Records that wait while the disk is full; beyond it the engine takes nothing new.
const MAX_ROWS_WHILE_FULL: usize = 4 * crate::batch::MAX_BATCH_RECORDS;

/// Questions of the engine itself have this bit, those of the replicator do not.
pub(crate) const OWN_QUESTION: u64 = 1 << 63;

impl Engine {
    /// A new life on what an earlier one left. `seed` feeds the generator; the driver adds fresh bytes by
    /// [`mix`](Self::mix) with every batch.
    ///
    /// # Errors
    /// [`DecodeError`]: a recovered row is damaged.
    pub fn new(
        config: Config,
        identity: SecretKey,
        seed: [u8; 32],
        recovered: Recovered,
        now: Moment,
        wall: Timestamp,
    ) -> Result<Self, DecodeError> {
        let facts = recovered.read()?;
        let me = identity.public();
        let (ancestors, number) = facts.own_line();
        let line = OwnLine::new(config.incarnation, ancestors);
        let feed_config = FeedConfig {
            me,
            kind: config.kind,
            live: config.incarnation,
        };
        let mut lives = BTreeMap::new();
        for (peer, parents) in facts.peer_lives {
            let row = facts.peers.get(&peer);
            let newest = row.and_then(|row| Incarnation::from_slice(&row.newest));
            let clones = row
                .into_iter()
                .flat_map(|row| &row.clones)
                .filter_map(|pair| {
                    let (one, other) = pair.split_at_checked(8)?;
                    Some((
                        Incarnation::from_slice(one)?,
                        Incarnation::from_slice(other)?,
                    ))
                })
                .collect();
            lives.insert(peer, PeerLives::restore(parents, newest, clones));
        }
        let mut consented = config.consented.clone();
        consented.extend(
            facts
                .peers
                .iter()
                .filter(|(_, row)| row.consented)
                .map(|(peer, _)| *peer),
        );
        let mut engine = Engine {
            identity,
            me,
            rng: ChaCha20Rng::from_seed(seed),
            now,
            wall,
            batches: Batches::new(),
            replicator: Replicator::new(
                feed_config,
                facts.feeds,
                facts.spaces,
                facts.proofs,
                recovered.closed,
            ),
            sessions: Sessions::new(),
            writers: BTreeMap::new(),
            links: BTreeMap::new(),
            lives,
            peers: facts.peers,
            consented,
            suspicions: Vec::new(),
            messages: facts.messages,
            recent: Recent::default(),
            parked: BTreeMap::new(),
            lookups: BTreeMap::new(),
            reissues: BTreeMap::new(),
            waiting_sends: VecDeque::new(),
            continued_heads: BTreeMap::new(),
            next_question: OWN_QUESTION,
            left_behind: LeftBehind::default(),
            closed: Closed::default(),
            life_number: number,
            events: 0,
            rates: Rates::new(config.limits.per_minute),
            full: false,
            over_quota: false,
            line,
            config,
        };
        engine.store_own_life();
        engine.resume_left_behind();
        engine.drain();
        Ok(engine)
    }

    /// Takes in one fact. Drain [`poll_output`](Self::poll_output) afterwards.
    pub fn handle(&mut self, now: Moment, wall: Timestamp, input: Input) {
        self.now = now;
        self.wall = wall;
        if let Some(input) = self.in_turn(input) {
            self.work(input);
        }
        self.drain();
    }

    /// Does what follows from a fact.
    pub(crate) fn work(&mut self, input: Input) {
        let now = self.now;
        match input {
            Input::LinkUp { link, peer, hello } => self.link_up(link, peer, hello),
            Input::LinkDown { link } => self.link_down(link),
            Input::Link { link, message } => {
                self.heard(link);
                self.link_message(link, message);
            }
            Input::Sync { link, message } => {
                self.heard(link);
                self.note_have(link, &message);
                if let Err(violation) = self.replicator.handle(now, link, message) {
                    self.violation(link, violation);
                }
                self.drain();
                self.one_shot_go(link);
            }
            Input::Checked { link, checked } => {
                self.heard(link);
                match checked {
                    Checked::Range(range) => self.range(link, range),
                    Checked::Misfit {
                        feed,
                        start,
                        end,
                        prev,
                    } => self.replicator.misfit(link, feed, (start, end), prev),
                }
            }
            Input::Send {
                request,
                to,
                message,
                content,
            } => self.send(Waiting {
                request,
                to,
                message,
                content,
            }),
            Input::Consent { peer } => self.consent(peer),
            Input::Found { lookup, found } => self.found(lookup, found),
            Input::Loaded { load, range } => self.replicator.loaded(now, load, range),
            Input::LoadedContent { load, content } => self.loaded_content(load, content),
            Input::LoadedFeed { load, found } => self.loaded_feed(load, found),
            Input::Committed { batch } => self.committed(batch),
            Input::StoreFull { full } => {
                self.full = full;
                self.halt();
            }
            Input::OverQuota { over } => {
                self.over_quota = over;
                self.halt();
            }
            Input::GiveAway {
                request,
                drops,
                rows,
            } => self.give_away(request, drops, rows),
            Input::LinkFull { link } => self.replicator.pause(now, link, true),
            Input::LinkReady { link } => self.replicator.pause(now, link, false),
            Input::Timeout => {
                self.replicator.timeout(now);
                self.refill();
            }
        }
        self.drain();
    }

    /// The next thing to do, `None` if there is nothing more for now.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.batches.poll()
    }

    /// Whether there is something to write.
    pub fn has_batch(&self) -> bool {
        !self.batches.is_empty() || self.writers.values().any(Writer::has_entries)
    }

    /// Whether more may be handed in from outside (receipts and answers always may).
    pub fn has_room(&self) -> bool {
        // While the disk is full sends are to be rejected and links to be answered: what that
        // takes is a few rows.
        let batches =
            self.batches.has_room() || (self.full && self.batches.len() < MAX_ROWS_WHILE_FULL);
        batches && self.closed.has_room()
    }

    /// Whether there is no room on the disk.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Whether the store holds as much as it may.
    pub fn is_over_quota(&self) -> bool {
        self.over_quota
    }

    /// What is to be committed next, as one.
    pub fn take_batch(&mut self) -> Batch {
        self.close_writers();
        self.replicator.flush_acks();
        self.drain();
        self.batches.take()
    }

    /// When [`Input::Timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Moment> {
        let refill = self.refills().map(|(_, at)| at).min();
        let replicator = self.replicator.poll_timeout();
        replicator.into_iter().chain(refill).min()
    }

    /// Peers that are linked and wait for their rate, and until when.
    fn refills(&self) -> impl Iterator<Item = (PublicKey, Moment)> {
        let links = self.rates.are_kept().then_some(&self.links);
        links.into_iter().flatten().filter_map(|(_, side)| {
            let at = self.rates.refilled_at(&side.peer)?;
            Some((side.peer, at))
        })
    }

    /// Lets peers go on whose rate allows it again.
    fn refill(&mut self) {
        let now = self.now;
        let due: BTreeSet<PublicKey> = self
            .refills()
            .filter(|(_, at)| *at <= now)
            .map(|(peer, _)| peer)
            .collect();
        for peer in due {
            self.rates.told(&peer);
            self.allow(&peer);
        }
    }

    /// Nothing is taken while there is no room, whatever the reason.
    fn halt(&mut self) {
        let cause = match (self.full, self.over_quota) {
            (true, _) => Some(HoldCause::Disk),
            (false, true) => Some(HoldCause::Quota),
            (false, false) => None,
        };
        self.replicator.halt(self.now, cause);
    }

    /// What a new link is told first.
    pub fn hello(&self) -> Hello {
        let (line, line_complete) = self.line.hello_line();
        Hello {
            incarnation: self.config.incarnation,
            line,
            line_complete,
            writer: self.config.kind,
            services: vec![ServiceId::LINK, ServiceId::SYNC, ServiceId::RANGE],
            agent: self.config.agent.clone(),
            statements: Vec::new(),
        }
    }

    /// Stirs fresh random bytes into the generator (INC-8).
    pub fn mix(&mut self, fresh: &[u8; 32]) {
        let mut own = [0_u8; 32];
        self.rng.fill_bytes(&mut own);
        let mut hash = Sha256::new();
        hash.update(own);
        hash.update(fresh);
        self.rng = ChaCha20Rng::from_seed(hash.finalize().into());
    }

    /// How every direct peer stands.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.replicator
            .peers()
            .map(|(peer, space, links, owed, held)| PeerStatus {
                peer,
                space,
                links: u32::try_from(links).unwrap_or(u32::MAX),
                owed,
                held,
                consented: self.consented.contains(&peer),
            })
            .collect()
    }

    /// Feeds held, how many of them are known in memory, and how many are not closed.
    pub fn feed_counts(&self) -> (usize, usize, usize) {
        self.replicator.counts()
    }

    fn committed(&mut self, batch: BatchId) {
        let heads = self.batches.committed(batch);
        self.replicator.committed(self.now, &heads);
        self.forget_recent();
    }

    pub(crate) fn forget_recent(&mut self) {
        if self.lookups.is_empty() {
            self.recent.forget(self.batches.committed_id());
        }
    }

    pub(crate) fn question(&mut self) -> u64 {
        let number = self.next_question;
        self.next_question = number.wrapping_add(1) | OWN_QUESTION;
        number
    }

    /// Writes a durable event that is no message.
    pub(crate) fn event(&mut self, event: &Event) {
        self.events = self.events.saturating_add(1);
        let key = [
            &self.config.incarnation.as_bytes()[..],
            &self.events.to_be_bytes()[..],
        ]
        .concat();
        self.batches.put(tables::EVENT, key, event.encode(), true);
    }

    pub(crate) fn violation(&mut self, link: LinkId, violation: Violation) {
        self.batches.now(Output::Close {
            link,
            reason: CloseLink::Violation(violation),
        });
    }

    pub(crate) fn goodbye(&mut self, link: LinkId, goodbye: Goodbye) {
        self.batches.now(Output::Close {
            link,
            reason: CloseLink::Goodbye(goodbye),
        });
    }

    /// Passes on what the replicator says.
    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.replicator.poll_output() {
            match output {
                replicator::Output::Send { link, message } => {
                    self.batches.after(Output::Send {
                        link,
                        payload: Payload::Sync(message),
                    });
                }
                replicator::Output::Push { link, range } => {
                    let signed = if range.feed().author == self.me
                        && range.signature().as_bytes() == &[0; 64]
                    {
                        match range.last_header() {
                            Some(header) => range.with_signature(header.sign(&self.identity)),
                            None => range,
                        }
                    } else {
                        range
                    };
                    self.batches.in_turn(
                        link,
                        Output::Send {
                            link,
                            payload: Payload::Range(signed),
                        },
                    );
                }
                replicator::Output::Expect {
                    link,
                    feed,
                    position,
                    tip,
                } => {
                    self.batches.after(Output::Expect {
                        link,
                        feed,
                        position,
                        tip,
                    });
                }
                replicator::Output::Load {
                    load,
                    feed,
                    from,
                    max_entries,
                    max_bytes,
                    any_end,
                } => {
                    self.batches.now(Output::Load {
                        load,
                        feed,
                        from,
                        max_entries,
                        max_bytes,
                        any_end,
                    });
                }
                replicator::Output::Put { table, key, value } => {
                    self.batches.put(table, key, value, false)
                }
                replicator::Output::Event(event) => self.event(&event),
                replicator::Output::Acked {
                    link,
                    feed,
                    member,
                    from,
                    head,
                    kept,
                    refused,
                } => {
                    if kept == Kept::Disk {
                        self.drop_acknowledged(feed, from, head, &refused);
                    }
                    let (absent, refused): (Vec<_>, Vec<_>) = refused
                        .into_iter()
                        .partition(|(_, cause)| *cause == Refusal::Absent);
                    for (seq, _) in &absent {
                        self.load_for_reissue(link, feed, *seq, member, kept);
                    }
                    let reissued = Vec::new();
                    // What will be issued again is told of when it is: its waiters move first.
                    if absent.is_empty() {
                        self.batches.now(Output::Told(Told {
                            feed,
                            member,
                            from,
                            head,
                            kept,
                            refused,
                            reissued,
                            link,
                        }));
                    } else {
                        let told = Told {
                            feed,
                            member,
                            from,
                            head,
                            kept,
                            refused,
                            reissued,
                            link,
                        };
                        self.told_around(told, &absent);
                    }
                }
                replicator::Output::LiveElsewhere { life } => self.new_life(life),
                replicator::Output::SignFork { header, theirs } => self.sign_fork(header, theirs),
                replicator::Output::Forked { feed, common } => self.leave_behind(feed, common),
                replicator::Output::Held { link, cause } => {
                    if let Some(side) = self.links.get(&link) {
                        self.batches.now(Output::Notice(Notice::Held {
                            peer: side.peer,
                            cause,
                        }));
                    }
                }
                replicator::Output::Progress { feed, done, total } => {
                    self.batches
                        .now(Output::Notice(Notice::Progress { feed, done, total }));
                }
            }
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("me", &self.me)
            .field("incarnation", &self.config.incarnation)
            .field("links", &self.links.len())
            .finish_non_exhaustive()
    }
}
