//! What we say: compose, seal, append (one message, steps 2 to 4).

use rand_core::Rng;
use skychat_direct::EntryContext;
use skychat_feed::replicator::is_row_of;
use skychat_feed::{Named, VerifiedRange};
use skychat_identity::PublicKey;
use skychat_proto::content::Content;
use skychat_proto::entry::{Flags, Kind, Suite};
use skychat_proto::ids::{EntryId, FeedId, LinkId, MessageId, Position, Seq, SpaceId, Stream};
use skychat_proto::limits::{MAX_CONTENT, MAX_CONTINUES, MAX_REISSUES};
use skychat_proto::open::{Open, WriterKind};
use skychat_proto::range::{RangeBuilder, Row, RowLabel};
use skychat_proto::record::tables::{self, Event, Marks, MessageRow};
use skychat_proto::sync::{Kept, Refusal, SyncMessage};
use zeroize::Zeroizing;

use crate::engine::Engine;
use crate::port::{Output, SendRejected, Told};

/// A send.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) request: u64,
    pub(crate) to: PublicKey,
    pub(crate) message: Option<MessageId>,
    pub(crate) content: Content,
}

/// A message that is issued again once its content was read.
#[derive(Debug)]
pub(crate) struct Reissue {
    pub(crate) link: LinkId,
    pub(crate) feed: FeedId,
    pub(crate) seq: Seq,
    pub(crate) member: PublicKey,
    pub(crate) kept: Kept,
    /// Why its place does not count: it came without its body, or lies behind a fork.
    pub(crate) cause: Refusal,
}

/// Our live feed in one space: what is signed, and what waits for the end of the batch.
#[derive(Debug)]
pub(crate) struct Writer {
    feed: FeedId,
    next: Position,
    tip: EntryId,
    builder: Option<RangeBuilder>,
    contents: Vec<(u16, Zeroizing<Vec<u8>>)>,
}

impl Writer {
    pub(crate) fn has_entries(&self) -> bool {
        self.builder.is_some()
    }
}

impl Engine {
    pub(crate) fn send(&mut self, send: Waiting) {
        let request = send.request;
        let reject = |error| Output::Rejected { request, error };
        let Ok(space) = SpaceId::direct(&self.me, &send.to) else {
            self.batches.now(reject(SendRejected::OwnKey));
            return;
        };
        let found = send.content.encode().len();
        let limit = MAX_CONTENT.min(self.config.limits.largest);
        if found > limit {
            self.batches
                .now(reject(SendRejected::TooLarge { found, limit }));
            return;
        }
        if self.full {
            self.batches.now(reject(SendRejected::StoreFull));
            return;
        }
        if self.over_quota {
            self.batches.now(reject(SendRejected::Quota));
            return;
        }
        if self.config.kind == WriterKind::OneShot && !self.continued_heads.contains_key(&space) {
            self.waiting_sends.push_back(send);
            return;
        }
        self.replicator.know_space(space, send.to);
        if self.config.kind != WriterKind::OneShot {
            self.consent(send.to);
        }
        let again = send.message.is_some() || self.config.kind == WriterKind::OneShot;
        let message = match send.message {
            Some(message) => message,
            None => {
                let mut bytes = [0_u8; 16];
                self.rng.fill_bytes(&mut bytes);
                MessageId::from_bytes(bytes)
            }
        };
        match self.append(space, send.to, message, again, &send.content) {
            Ok((feed, seq)) => self.batches.after(Output::Accepted {
                request,
                message,
                feed,
                seq,
            }),
            Err(error) => self.batches.now(reject(error)),
        }
    }

    fn append(
        &mut self,
        space: SpaceId,
        peer: PublicKey,
        message: MessageId,
        again: bool,
        content: &Content,
    ) -> Result<(FeedId, Seq), SendRejected> {
        self.ensure_open(space)?;
        let writer = self.writers.get(&space).ok_or(SendRejected::Seal)?;
        let (feed, seq) = (writer.feed, writer.next.next());
        let context = EntryContext {
            feed,
            seq,
            message,
            recipient: peer,
        };
        let body = self
            .sessions
            .seal(&mut self.rng, self.wall, &context, content)
            .map_err(|_| SendRejected::Seal)?;
        let label = RowLabel {
            time: self.wall,
            kind: Kind::Content,
            suite: Suite::HPKE_X25519,
            flags: if again { Flags::AGAIN } else { Flags::NONE },
            context: Seq::FIRST,
            message,
        };
        let stored = tables::stored_content(Marks::NONE, &content.encode());
        self.write(space, label, &body, Some(stored))?;
        Ok((feed, seq))
    }

    /// The live feed of a space, opened if it is not yet, and continuing every head of ours that nothing continues.
    fn ensure_open(&mut self, space: SpaceId) -> Result<(), SendRejected> {
        let feed = FeedId {
            author: self.me,
            space,
            stream: Stream::MESSAGES,
            incarnation: self.config.incarnation,
        };
        self.writers.entry(space).or_insert_with(|| Writer {
            feed,
            next: Position::START,
            tip: EntryId::ZERO,
            builder: None,
            contents: Vec::new(),
        });
        loop {
            let fresh = self
                .writers
                .get(&space)
                .is_some_and(|writer| writer.next.is_start());
            let mut names: Vec<Named> = if self.config.kind == WriterKind::OneShot {
                if fresh {
                    self.continued_heads
                        .get(&space)
                        .cloned()
                        .unwrap_or_default()
                } else {
                    Vec::new()
                }
            } else {
                self.replicator.to_continue(&feed)
            };
            if !fresh && names.is_empty() {
                return Ok(());
            }
            names.truncate(MAX_CONTINUES);
            let open = Open {
                writer: self.config.kind,
                parent: self.line.parent(),
                epoch: 0,
                heads: Vec::new(),
                continues: names
                    .iter()
                    .filter_map(|(incarnation, at, hash)| {
                        Some(skychat_proto::open::Continues {
                            incarnation: *incarnation,
                            seq: at.last()?,
                            hash: *hash,
                        })
                    })
                    .collect(),
            };
            let body = open.encode().map_err(|_| SendRejected::Seal)?;
            let label = RowLabel {
                time: self.wall,
                kind: Kind::Open,
                suite: Suite::CLEAR,
                flags: Flags::NONE,
                context: Seq::FIRST,
                message: MessageId::ZERO,
            };
            self.write(space, label, &body, None)?;
            self.replicator
                .named(&feed, open.writer, open.parent, &names);
            self.drain();
        }
    }

    fn write(
        &mut self,
        space: SpaceId,
        label: RowLabel,
        body: &[u8],
        stored: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<(), SendRejected> {
        let row = Row::of_body(label, body).map_err(|_| SendRejected::Seal)?;
        let full = self
            .writers
            .get(&space)
            .and_then(|writer| writer.builder.as_ref())
            .is_some_and(|builder| !builder.fits(body.len()));
        if full {
            self.close_writer(space);
        }
        let writer = self.writers.get_mut(&space).ok_or(SendRejected::Seal)?;
        let mut builder = match writer.builder.take() {
            Some(builder) => builder,
            None => {
                let (first, prev) = (writer.next.next(), writer.tip);
                RangeBuilder::with_capacity(writer.feed, first, prev, 1, body.len())
                    .map_err(|_| SendRejected::Seal)?
            }
        };
        let index = u16::try_from(builder.len()).map_err(|_| SendRejected::Seal)?;
        let pushed = builder.push(&row, Some(body));
        if !builder.is_empty() {
            writer.builder = Some(builder);
        }
        pushed.map_err(|_| SendRejected::Seal)?;
        self.batches.appended();
        writer.next = writer.next.saturating_add(1);
        if let Some(stored) = stored {
            writer.contents.push((index, stored));
        }
        Ok(())
    }

    /// Signs what was appended since the last batch (RANGE-2).
    pub(crate) fn close_writers(&mut self) {
        let open: Vec<SpaceId> = self
            .writers
            .iter()
            .filter(|(_, writer)| writer.has_entries())
            .map(|(space, _)| *space)
            .collect();
        for space in open {
            self.close_writer(space);
        }
    }

    fn close_writer(&mut self, space: SpaceId) {
        if let Some(mut writer) = self.writers.remove(&space) {
            self.finish(&mut writer);
            self.writers.insert(space, writer);
        }
    }

    /// Signs and stores what a writer has appended.
    pub(crate) fn finish(&mut self, writer: &mut Writer) {
        let Some(builder) = writer.builder.take() else {
            return;
        };
        let contents = std::mem::take(&mut writer.contents);
        let Ok(range) = VerifiedRange::sign(builder, &self.identity) else {
            return;
        };
        writer.tip = range.tip();
        let contents = contents
            .into_iter()
            .filter_map(|(row, plaintext)| {
                Some((row, range.headers().get(usize::from(row))?.1, plaintext))
            })
            .collect();
        self.store_range(&range, contents);
        self.replicator.appended(&range);
    }

    // -- one-shot ----------------------------------------------------------------------------

    /// A one-shot learns from the have-list of the peer which feeds of ours it continues.
    pub(crate) fn note_have(&mut self, link: LinkId, message: &SyncMessage) {
        if self.config.kind != WriterKind::OneShot {
            return;
        }
        let Some(side) = self.links.get_mut(&link) else {
            return;
        };
        match message {
            SyncMessage::HaveHash(have) if have.space == side.space && have.rows == 0 => {
                side.have_seen = true
            }
            SyncMessage::Have(have) if have.space == side.space => {
                side.have_seen |= !have.more;
                let heads = self.continued_heads.entry(have.space).or_default();
                for row in &have.rows {
                    if heads.len() < MAX_CONTINUES && is_row_of(row, &self.me) {
                        heads.push((row.incarnation, row.head, row.hash));
                    }
                }
            }
            _ => {}
        }
    }

    pub(crate) fn one_shot_go(&mut self, link: LinkId) {
        let Some(side) = self.links.get(&link).filter(|side| side.have_seen) else {
            return;
        };
        if self.config.kind != WriterKind::OneShot {
            return;
        }
        let (peer, space) = (side.peer, side.space);
        self.continued_heads.entry(space).or_default();
        for send in std::mem::take(&mut self.waiting_sends) {
            if send.to == peer {
                self.send(send);
            } else {
                self.waiting_sends.push_back(send);
            }
        }
    }

    // -- issued again --------------------------------------------------------------------------

    pub(crate) fn load_for_reissue(
        &mut self,
        link: LinkId,
        feed: FeedId,
        seq: Seq,
        member: PublicKey,
        kept: Kept,
    ) {
        let load = self.question();
        self.reissues.insert(
            load,
            Reissue {
                link,
                feed,
                seq,
                member,
                kept,
                cause: Refusal::Absent,
            },
        );
        self.batches.now(Output::LoadContent { load, feed, seq });
    }

    pub(crate) fn loaded_content(
        &mut self,
        load: u64,
        content: Option<(MessageId, Zeroizing<Vec<u8>>)>,
    ) {
        let Some(reissue) = self.reissues.remove(&load) else {
            return;
        };
        let Reissue {
            link,
            feed,
            seq,
            member,
            kept,
            cause,
        } = reissue;
        let forked = cause == Refusal::Forked;
        let mut told = Told {
            feed,
            member,
            // Of a place behind a fork nothing is acknowledged.
            from: if forked { seq.after() } else { seq.position() },
            head: seq.after(),
            kept,
            refused: Vec::new(),
            reissued: Vec::new(),
            link,
        };
        let issued = self.issue_again(&feed, seq, member, content, cause);
        if forked {
            self.left_behind_read();
        }
        match issued {
            Some((new_feed, new_seq)) => told.reissued.push((seq, new_feed, new_seq)),
            None if forked => return,
            None => told.refused.push((seq, Refusal::Absent)),
        }
        self.batches.now(Output::Told(told));
    }

    fn issue_again(
        &mut self,
        feed: &FeedId,
        seq: Seq,
        member: PublicKey,
        content: Option<(MessageId, Zeroizing<Vec<u8>>)>,
        cause: Refusal,
    ) -> Option<(FeedId, Seq)> {
        let forked = cause == Refusal::Forked;
        let (message, stored) = content?;
        let (_, plain) = tables::split_stored(&stored)?;
        let content = Content::decode(plain).ok()?;
        let row = self.messages.get(&message).cloned().unwrap_or_default();
        let moved = !row.feed.is_empty() && (row.feed != feed.to_bytes() || row.seq != seq.get());
        if (row.tries >= MAX_REISSUES && !forked) || moved {
            return None;
        }
        let (new_feed, new_seq) = self
            .append(feed.space, member, message, true, &content)
            .ok()?;
        let row = MessageRow {
            feed: new_feed.to_bytes().to_vec(),
            seq: new_seq.get(),
            tries: row.tries.saturating_add(u32::from(!forked)),
        };
        self.batches.put(
            tables::MESSAGE,
            message.as_bytes().to_vec(),
            tables::encode_row(&row),
            false,
        );
        self.messages.insert(message, row);
        self.event(&Event::Reissued {
            message,
            feed: new_feed,
            seq: new_seq,
            cause,
        });
        Some((new_feed, new_seq))
    }

    /// Tells of an acknowledged span around the entries that are issued again.
    pub(crate) fn told_around(&mut self, told: Told, absent: &[(Seq, Refusal)]) {
        let mut from = told.from;
        let ends = absent.iter().map(|(seq, _)| (seq.position(), seq.after()));
        for (to, next) in ends.chain([(told.head, told.head)]) {
            if to > from {
                let inside = |seq: &Seq| to.covers(*seq) && !from.covers(*seq);
                let refused = told
                    .refused
                    .iter()
                    .filter(|(seq, _)| inside(seq))
                    .copied()
                    .collect();
                self.batches.now(Output::Told(Told {
                    from,
                    head: to,
                    refused,
                    ..told.clone()
                }));
            }
            from = next;
        }
    }
}
