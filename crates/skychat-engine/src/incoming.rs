//! Ranges that come in: authorize, deduplicate, open, store (D7).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sha2::{Digest, Sha256};
use skychat_direct::{EntryContext, precheck};
use skychat_feed::{Offer, VerifiedRange};
use skychat_identity::PublicKey;
use skychat_proto::entry::Kind;
use skychat_proto::ids::{BatchId, EntryId, LinkId, MessageId, Seq, SpaceId};
use skychat_proto::limits::WINDOW_FEED_ENTRIES;
use skychat_proto::open::{Open, WriterKind};
use skychat_proto::record::tables::{self, Event, GapCause, Marks};
use skychat_proto::record::{ContentOf, Record, Taken};
use skychat_proto::sync::Refusal;
use zeroize::Zeroizing;

use crate::engine::Engine;
use crate::port::Output;

/// Ranges of one feed that wait while the store is asked about ids in an earlier one: a window full of them. Further
/// ones are dropped, and asked for again when those were taken.
const MAX_PARKED: usize = WINDOW_FEED_ENTRIES;

/// The SHA-256 of a content.
pub(crate) type ContentHash = [u8; 32];

type MessageKey = (PublicKey, SpaceId, MessageId);

/// Messages taken in batches that the store does not answer for yet.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    known: BTreeMap<MessageKey, ContentHash>,
    order: VecDeque<(BatchId, MessageKey)>,
}

impl Recent {
    fn insert(&mut self, batch: BatchId, key: MessageKey, hash: ContentHash) {
        self.known.insert(key, hash);
        self.order.push_back((batch, key));
    }

    pub(crate) fn forget(&mut self, committed: BatchId) {
        while let Some((batch, key)) = self.order.front() {
            if *batch > committed {
                break;
            }
            self.known.remove(key);
            self.order.pop_front();
        }
    }
}

/// A range that waits for the store to say which of its ids are known, and those behind it.
#[derive(Debug)]
pub(crate) struct Parked {
    link: LinkId,
    range: VerifiedRange,
    asked: Vec<MessageId>,
    behind: VecDeque<(LinkId, VerifiedRange)>,
    /// Where a range was dropped that found no place behind.
    dropped: Option<LinkId>,
}

/// What became of one content.
enum Verdict {
    Shown(Zeroizing<Vec<u8>>),
    Duplicate,
    Refused(Refusal),
}

impl Engine {
    pub(crate) fn range(&mut self, link: LinkId, range: VerifiedRange) {
        let id = range.feed();
        if let Some(parked) = self.parked.get_mut(&id) {
            if parked.behind.len() < MAX_PARKED && parked.dropped.is_none() {
                parked.behind.push_back((link, range));
            } else {
                parked.dropped = Some(link);
            }
            return;
        }
        if self.replicator.offer(link, &range) == Offer::Ignore {
            return;
        }
        let asked = self.ids_to_ask(&range);
        if asked.is_empty() {
            self.take(link, range, &BTreeMap::new());
            return;
        }
        let lookup = self.question();
        self.lookups.insert(lookup, id);
        let messages = asked.clone();
        let (author, space) = (id.author, id.space);
        self.parked.insert(
            id,
            Parked {
                link,
                range,
                asked,
                behind: VecDeque::new(),
                dropped: None,
            },
        );
        self.batches.now(Output::Lookup {
            lookup,
            author,
            space,
            messages,
        });
    }

    /// The ids that may have been used before (ID-4), and that no batch under way answers for.
    fn ids_to_ask(&self, range: &VerifiedRange) -> Vec<MessageId> {
        let id = range.feed();
        if id.author == self.me {
            return Vec::new();
        }
        let late = self.replicator.is_late(&id);
        range
            .headers()
            .iter()
            .map(|(header, _)| header)
            .filter(|header| header.kind == Kind::Content && (late || header.flags.is_again()))
            .map(|header| header.message)
            .collect()
    }

    pub(crate) fn found(&mut self, lookup: u64, found: Vec<Option<Taken>>) {
        let Some(id) = self.lookups.remove(&lookup) else {
            return;
        };
        let Some(parked) = self.parked.remove(&id) else {
            return;
        };
        let known: BTreeMap<MessageId, Taken> = parked
            .asked
            .iter()
            .zip(found)
            .filter_map(|(message, taken)| Some((*message, taken?)))
            .collect();
        // Another link may have brought the same meanwhile.
        if self.replicator.offer(parked.link, &parked.range) == Offer::Take {
            self.take(parked.link, parked.range, &known);
        }
        self.forget_recent();
        for (link, range) in parked.behind {
            self.range(link, range);
        }
        if let Some(link) = parked.dropped {
            match self.parked.get_mut(&id) {
                // Those behind wait once more, and it behind them.
                Some(next) => next.dropped = Some(link),
                None => {
                    self.replicator.ask_again(self.now, link, id);
                    self.drain();
                }
            }
        }
    }

    /// Judges the entries of a range that is next, and stores what is to be stored of it.
    fn take(&mut self, link: LinkId, range: VerifiedRange, known: &BTreeMap<MessageId, Taken>) {
        let id = range.feed();
        let own = id.author == self.me;
        let late = self.replicator.is_late(&id);
        let stranger = !own && !self.consented.contains(&id.author);
        let mut refused: Vec<(Seq, Refusal)> = Vec::new();
        let mut contents: Vec<(u16, EntryId, Zeroizing<Vec<u8>>)> = Vec::new();
        let mut absent: Option<(Seq, Seq)> = None;
        let mut lives = Vec::new();
        let mut clear = BTreeSet::new();
        let (mut bytes, mut row) = (0_u64, 0_u16);
        for (header, entry, body) in range.entries() {
            if header.kind != Kind::Content {
                clear.insert(header.seq);
            }
            bytes = bytes.saturating_add(header.body_len.into());
            match (header.kind, body) {
                (Kind::Open, Some(body)) if !own => {
                    if let Ok(open) = Open::decode(body)
                        && open.writer == WriterKind::Node
                    {
                        lives.push((id.incarnation, open.parent));
                    }
                }
                (Kind::Content, _) if own => {}
                (Kind::Content, None) => {
                    refused.push((header.seq, Refusal::Absent));
                    let (first, _) = absent.unwrap_or((header.seq, header.seq));
                    absent = Some((first, header.seq));
                }
                (Kind::Content, Some(body)) => {
                    let marks = if late { Marks::LATE } else { Marks::NONE };
                    let marks = if stranger {
                        marks.with(Marks::UNCONSENTED)
                    } else {
                        marks
                    };
                    match self.judge(header, body, marks, late, known) {
                        Verdict::Shown(content) => contents.push((row, *entry, content)),
                        Verdict::Duplicate => {}
                        Verdict::Refused(cause) => refused.push((header.seq, cause)),
                    }
                }
                _ => {}
            }
            row = row.saturating_add(1);
        }
        // What was opened is kept as content, what was refused is not kept: sealed bodies are of no
        // use any more (JRN-3). What others were told by ourselves stays sealed to them.
        let range = if own {
            range
        } else {
            range.without_bodies(|seq| !clear.contains(&seq))
        };
        self.store_range(&range, contents);
        if own {
            let ours = self.line.contains(&id.incarnation);
            self.event(&Event::Recovered {
                feed: id,
                from: range.start(),
                to: range.end(),
                ours,
            });
        }
        if let Some((first, last)) = absent {
            let (from, to) = (first.position(), last.after());
            self.event(&Event::Gap {
                cause: GapCause::Dropped,
                feed: id,
                from,
                to,
            });
        }
        if !lives.is_empty() {
            let mut rows = Vec::new();
            let known = self.lives.entry(id.author).or_default();
            for (life, parent) in lives {
                known.note(life, parent, &mut rows);
            }
            self.store_lives(&id.author, &rows);
        }
        if stranger {
            self.count_stranger(&id.author, range.end().entries_since(range.start()), bytes);
            self.remember(&id.author);
        }
        self.replicator.taken(self.now, link, &range, &refused);
        self.drain();
    }

    fn judge(
        &mut self,
        header: &skychat_proto::entry::Header,
        body: &[u8],
        marks: Marks,
        late: bool,
        known: &BTreeMap<MessageId, Taken>,
    ) -> Verdict {
        if let Err(cause) = precheck(header.feed.stream, header.suite, header.flags, body.len()) {
            return Verdict::Refused(cause);
        }
        let context = EntryContext::of(header, self.me);
        let opened =
            match self
                .sessions
                .open(&self.identity, &context, header.suite, header.flags, body)
            {
                Ok(opened) => opened,
                Err(cause) => return Verdict::Refused(cause),
            };
        let hash: ContentHash = Sha256::digest(&opened.plaintext[..]).into();
        let key = (header.feed.author, header.feed.space, header.message);
        let mut marks = marks;
        if header.flags.is_again() || late {
            let recent = self.recent.known.get(&key).copied().map(Taken::Content);
            match recent.or_else(|| known.get(&header.message).copied()) {
                Some(Taken::Content(before)) if before == hash => return Verdict::Duplicate,
                // Nobody knows any more what it said: it is what it claims to be.
                Some(Taken::Dropped) => return Verdict::Duplicate,
                Some(Taken::Content(_)) => marks = marks.with(Marks::ALTERED),
                None => {}
            }
        }
        self.recent.insert(self.batches.id(), key, hash);
        Verdict::Shown(tables::stored_content(marks, &opened.plaintext))
    }

    /// Adds a range and the contents of its entries to the batch.
    pub(crate) fn store_range(
        &mut self,
        range: &VerifiedRange,
        contents: Vec<(u16, EntryId, Zeroizing<Vec<u8>>)>,
    ) {
        let raw = range.raw().clone();
        let bytes = raw.encoded_len();
        let at = self.batches.push(Record::Range { range: raw }, bytes);
        for (row, id, plaintext) in contents {
            let back = u16::try_from(self.batches.len().saturating_sub(at)).unwrap_or(u16::MAX);
            let bytes = plaintext.len();
            let of = ContentOf::Entry { back, row, id };
            self.batches.push(
                Record::Content {
                    of,
                    event: true,
                    plaintext,
                },
                bytes,
            );
        }
        self.batches.head(range.feed(), range.end());
    }
}
