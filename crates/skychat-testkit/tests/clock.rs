//! F9: wall clocks that jump at every step, on two whole nodes with their journals. Time on the wall is a label: it
//! orders nothing, and nothing waits for it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use rand_core::SeedableRng;
use skychat_engine::verify::Verifier;
use skychat_engine::{Config, Engine, Input, Limits, Output, Payload, Recovered, Told};
use skychat_identity::SecretKey;
use skychat_proto::content::Content;
use skychat_proto::ids::{EventSeq, Incarnation, LinkId, Moment, Timestamp};
use skychat_proto::open::WriterKind;
use skychat_proto::record::tables;
use skychat_seal::StoreKey;
use skychat_store::{EventView, MemoryDisk, OpenOptions, Store, StoreReader, StoreWriter};

const LINK: LinkId = LinkId::new(1);
/// 2027, in milliseconds.
const NOW: u64 = 1_800_000_000_000;
const YEAR: u64 = 365 * 24 * 3_600_000;
/// What a clock says next: an hour, a year, all of time, forwards and back.
const WALLS: [u64; 9] = [
    NOW,
    NOW + YEAR,
    NOW - YEAR,
    NOW + 3_600_000,
    0,
    NOW - 3_600_000,
    u64::MAX,
    NOW,
    1,
];

struct Jumpy {
    secret: SecretKey,
    engine: Engine,
    writer: StoreWriter,
    reader: StoreReader,
    verifier: Verifier,
    sent: VecDeque<Payload>,
    accepted: usize,
    told: Vec<Told>,
    steps: usize,
    /// Monotonic time: it only goes forward, a millisecond a step.
    now: Duration,
}

fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

impl Jumpy {
    fn start(n: u8, life: u8, disk: &MemoryDisk, now: Duration) -> Self {
        let incarnation = Incarnation::from_bytes([life; 8]);
        let mut rng = chacha20::ChaCha20Rng::from_seed([n; 32]);
        let key = StoreKey::generate(&mut rng);
        let options = OpenOptions::new(secret(n).public(), key, incarnation, [life; 32]);
        let (writer, reader, recovered) = Store::open(disk.clone(), options).unwrap();
        let recovered = Recovered {
            tables: recovered.tables,
            tips: recovered
                .tips
                .into_iter()
                .map(|(feed, tip)| {
                    let (head, hash) = (tip.head, tip.hash);
                    (feed, skychat_engine::Tip { head, hash })
                })
                .collect(),
            closed: BTreeSet::new(),
        };
        let config = Config {
            kind: WriterKind::Node,
            incarnation,
            agent: "jumpy".into(),
            consented: BTreeSet::new(),
            limits: Limits::default(),
        };
        let at = Moment::since_start(now);
        let wall = Timestamp::from_millis(WALLS[usize::from(life) % WALLS.len()]);
        let engine = Engine::new(config, secret(n), [life; 32], recovered, at, wall).unwrap();
        Jumpy {
            secret: secret(n),
            engine,
            writer,
            reader,
            verifier: Verifier::new(),
            sent: VecDeque::new(),
            accepted: 0,
            told: Vec::new(),
            steps: usize::from(life),
            now,
        }
    }

    /// Hands an input over, with another wall clock each time, and does what comes out.
    fn hand(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.steps += 1;
            self.now += Duration::from_millis(1);
            let wall = Timestamp::from_millis(WALLS[self.steps % WALLS.len()]);
            let now = Moment::since_start(self.now);
            self.engine.handle(now, wall, input);
            while let Some(output) = self.engine.poll_output() {
                match output {
                    Output::Send { payload, .. } => self.sent.push_back(payload),
                    Output::Expect {
                        feed,
                        position,
                        tip,
                        ..
                    } => self.verifier.expect(feed, position, tip),
                    Output::Load {
                        load,
                        feed,
                        from,
                        max_entries,
                        max_bytes,
                        any_end,
                    } => {
                        let range = self
                            .reader
                            .range(feed, from, max_entries, max_bytes, any_end);
                        let range = range.unwrap();
                        inputs.push_back(Input::Loaded { load, range });
                    }
                    Output::Accepted { .. } => self.accepted += 1,
                    Output::Told(told) => self.told.push(told),
                    Output::Notice(_) => {}
                    other => panic!("{other:?}"),
                }
            }
            if self.engine.has_batch() {
                let (receipts, _) = self.writer.commit(vec![self.engine.take_batch()]).unwrap();
                inputs.extend(receipts.into_iter().map(|receipt| Input::Committed {
                    batch: receipt.batch,
                }));
            }
        }
    }

    fn say(&mut self, to: u8, text: &str) {
        self.hand(Input::Send {
            request: 1,
            to: secret(to).public(),
            message: None,
            content: Content::text(text.to_owned()).unwrap(),
        });
    }

    fn arrive(&mut self, payload: Payload) {
        let link = LINK;
        let input = match payload {
            Payload::Link(message) => Input::Link { link, message },
            Payload::Sync(message) => Input::Sync { link, message },
            Payload::Range(range) => {
                let checked = self.verifier.check(range.to_bytes()).unwrap();
                Input::Checked { link, checked }
            }
        };
        self.hand(input);
    }

    /// Lets monotonic time pass, timers included.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.engine.poll_timeout() {
            let at = at.elapsed();
            if at > until {
                break;
            }
            self.now = self.now.max(at);
            self.hand(Input::Timeout);
        }
        self.now = self.now.max(until);
    }

    /// Texts of others, in the order in which they are shown, and how often each state of ours was told.
    fn shown(&self) -> Vec<String> {
        let events = self.reader.events(EventSeq::new(1), usize::MAX).unwrap();
        let me = self.secret.public();
        events
            .into_iter()
            .filter_map(|event| match event.view {
                EventView::Message {
                    header, plaintext, ..
                } if header.feed.author != me => {
                    let plaintext = plaintext?;
                    let (_, content) = tables::split_stored(&plaintext)?;
                    match Content::decode(content).ok()? {
                        Content::Text(text) => Some(text.as_str().to_owned()),
                        _ => None,
                    }
                }
                _ => None,
            })
            .collect()
    }
}

fn link(a: &mut Jumpy, b: &mut Jumpy) {
    let to_a = (b.secret.public(), b.engine.hello());
    let to_b = (a.secret.public(), a.engine.hello());
    for (node, (peer, hello)) in [(&mut *a, to_a), (&mut *b, to_b)] {
        node.verifier = Verifier::new();
        node.sent.clear();
        node.hand(Input::LinkUp {
            link: LINK,
            peer,
            hello,
        });
    }
    exchange(a, b);
}

/// Carries over what was sent until nothing more is.
fn exchange(a: &mut Jumpy, b: &mut Jumpy) {
    for _ in 0..10_000 {
        if let Some(payload) = a.sent.pop_front() {
            b.arrive(payload);
        } else if let Some(payload) = b.sent.pop_front() {
            a.arrive(payload);
        } else {
            return;
        }
    }
    panic!("they never come to rest");
}

fn apart(a: &mut Jumpy, b: &mut Jumpy) {
    for node in [a, b] {
        node.sent.clear();
        node.hand(Input::LinkDown { link: LINK });
        node.sent.clear();
    }
}

#[test]
fn f9_a_clock_that_jumps_changes_no_order_and_loses_nothing() {
    let disks = [MemoryDisk::new(), MemoryDisk::new()];
    let mut ann = Jumpy::start(1, 11, &disks[0], Duration::ZERO);
    let mut bob = Jumpy::start(2, 12, &disks[1], Duration::ZERO);
    for (node, peer) in [(&mut ann, 2), (&mut bob, 1)] {
        let peer = secret(peer).public();
        node.hand(Input::Consent { peer });
    }
    let mut said = Vec::new();
    for round in 0..6_u8 {
        // A message while they are linked, and some while they are not.
        link(&mut ann, &mut bob);
        for n in 0..5 {
            said.push(format!("{round} {n}"));
            ann.say(2, said.last().unwrap());
            bob.say(1, said.last().unwrap());
            exchange(&mut ann, &mut bob);
        }
        apart(&mut ann, &mut bob);
        for n in 5..8 {
            said.push(format!("{round} {n}"));
            ann.say(2, said.last().unwrap());
            bob.say(1, said.last().unwrap());
        }
        ann.pass(Duration::from_secs(100));
        bob.pass(Duration::from_secs(100));
        if round % 2 == 1 {
            // A life that begins long before the one that it follows, as the wall says.
            let (accepted, now) = (ann.accepted, ann.now);
            ann = Jumpy::start(1, 20 + round, &disks[0], now);
            ann.accepted = accepted;
        }
    }
    link(&mut ann, &mut bob);
    ann.pass(Duration::from_secs(100));
    bob.pass(Duration::from_secs(100));
    exchange(&mut ann, &mut bob);

    assert_eq!(bob.shown(), said, "all of Ann's, once, in the order said");
    assert_eq!(ann.shown(), said, "and all of Bob's");
    assert_eq!((ann.accepted, bob.accepted), (said.len(), said.len()));
    for node in [&ann, &bob] {
        assert!(node.told.iter().all(|told| told.refused.is_empty()));
        assert!(node.engine.peers().iter().all(|peer| peer.owed == 0));
    }
}
