//! What drives a node's engine: it does what comes out, writes, and dies.

use sha2::{Digest, Sha256};
use skychat_engine::{CloseLink, Input, Output, Payload, Recovered, Tip};
use skychat_identity::PublicKey;
use skychat_proto::ids::{BatchId, FeedId, LinkId, MessageId, Moment, SpaceId, Timestamp};
use skychat_proto::record::{Taken, tables};
use skychat_store::{MemoryDisk, StoreReader};

use super::memory::Step;
use super::node::SimNode;
use super::tear::tear;
use super::{Planted, WriterSpec, planted};

/// What came out: whether that is all, frames, links to close, problems.
type Work = (
    bool,
    Vec<(LinkId, Payload)>,
    Vec<(LinkId, CloseLink)>,
    Vec<String>,
);

impl SimNode {
    /// Stops it at once. Of the write under way all, a part, or nothing reaches the disk.
    pub(crate) fn crash(&mut self, written: bool, torn: bool) {
        let Some(mut up) = self.up.take() else { return };
        self.requests.clear();
        if self.spec != WriterSpec::Node {
            self.disk = MemoryDisk::new();
            return;
        }
        let Some(mut batch) = up.committing.take() else {
            return;
        };
        let before = self.disk.files();
        if self.planted == Some(Planted::HalfGroup) {
            batch.records.truncate(batch.records.len().div_ceil(2));
        }
        // Whether it goes well does not matter: nobody is told.
        let _ = up.writer.commit(vec![batch]);
        let after = self.disk.files();
        if self.planted == Some(Planted::OutOfOrder) && up.engine.has_batch() {
            let _ = up.writer.commit(vec![up.engine.take_batch()]);
            let files = planted::without(&before, &after, self.disk.files());
            self.disk = MemoryDisk::with_files(files);
            return;
        }
        let files = match (written, torn) {
            (true, _) => after,
            _ if self.planted == Some(Planted::HalfGroup) => after,
            (false, true) => tear(before, &after, up.life),
            (false, false) => before,
        };
        self.disk = MemoryDisk::with_files(files);
    }

    pub(crate) fn handle(&mut self, now: Moment, wall: Timestamp, input: Input) {
        if let Some(up) = &mut self.up {
            up.tape(|| Step::Handle(now, wall, Box::new(input.clone())));
            up.engine.handle(now, wall, input);
        }
    }

    /// Fresh bytes of the system for the generator (INC-8).
    pub(crate) fn mix(&mut self, fresh: [u8; 32]) {
        if let Some(up) = &mut self.up {
            up.tape(|| Step::Mix(fresh));
            up.engine.mix(&fresh);
        }
    }

    /// Drains the engine once.
    pub(crate) fn work(&mut self) -> Work {
        let (mut sends, mut closes, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        let me = self.key();
        let Some(up) = &mut self.up else {
            return (true, sends, closes, problems);
        };
        while let Some(output) = up.engine.poll_output() {
            match output {
                Output::Send { link, payload } => sends.push((link, payload)),
                Output::Expect {
                    link,
                    feed,
                    position,
                    tip,
                } => {
                    if let Some(verifier) = up.verifiers.get_mut(&link) {
                        verifier.expect(feed, position, tip);
                    }
                }
                Output::Close { link, reason } => {
                    closes.push((link, reason));
                }
                Output::Lookup {
                    lookup,
                    author,
                    space,
                    messages,
                } => {
                    up.lookups.push((lookup, author, space, messages));
                }
                Output::Load {
                    load,
                    feed,
                    from,
                    max_entries,
                    max_bytes,
                    any_end,
                } => {
                    let range = up.reader.range(feed, from, max_entries, max_bytes, any_end);
                    let range = range.unwrap_or_else(|error| {
                        problems.push(format!("{}: {error}", self.name));
                        None
                    });
                    let range = match self.planted {
                        Some(Planted::UnverifiedMiddle) => {
                            range.map(|range| planted::cut(range, &me))
                        }
                        _ => range,
                    };
                    up.answers.push_back(Input::Loaded { load, range });
                }
                Output::LoadContent { load, feed, seq } => {
                    let content = up.reader.content(feed, seq).ok().flatten();
                    let content = content.and_then(|found| Some((found.message, found.content?)));
                    up.answers.push_back(Input::LoadedContent { load, content });
                }
                Output::LoadFeed { load, feed } => {
                    let found = Some(facts(&up.reader, feed));
                    up.answers.push_back(Input::LoadedFeed { load, found });
                }
                Output::Accepted {
                    request, message, ..
                } => {
                    if let Some(mut accepted) = self.requests.remove(&request) {
                        accepted.message = message;
                        self.accepted.push(accepted);
                    }
                }
                Output::Rejected { error, .. } => problems.push(format!("{}: {error}", self.name)),
                Output::Told(_) | Output::Notice(_) => {}
            }
        }
        if up.committing.is_none() {
            for (lookup, author, space, messages) in std::mem::take(&mut up.lookups) {
                // No batch is under way: the answer is behind every earlier one. What the engine has not handed over
                // yet it answers for itself.
                let found = messages
                    .iter()
                    .map(|message| {
                        taken(&up.reader, author, space, *message)
                            .filter(|_| self.planted != Some(Planted::NoDeduplication))
                    })
                    .collect();
                up.answers.push_back(Input::Found { lookup, found });
            }
        }
        let done = up.answers.is_empty();
        (done, sends, closes, problems)
    }

    /// Hands the answers that are ready to the engine.
    pub(crate) fn answer(&mut self, now: Moment, wall: Timestamp, fresh: [u8; 32]) {
        self.mix(fresh);
        if let Some(up) = &mut self.up {
            while let Some(answer) = up.answers.pop_front() {
                up.tape(|| Step::Handle(now, wall, Box::new(answer.clone())));
                up.engine.handle(now, wall, answer);
            }
        }
    }

    /// The batch whose write begins, if one does.
    pub(crate) fn begin_commit(&mut self, fresh: &[u8; 32]) -> Option<BatchId> {
        let up = self.up.as_mut()?;
        if up.committing.is_some() || !up.engine.has_batch() {
            return None;
        }
        up.tape(|| Step::Mix(*fresh));
        up.engine.mix(fresh);
        up.tape(|| Step::Take);
        let batch = up.engine.take_batch();
        let id = batch.id;
        up.committing = Some(batch);
        Some(id)
    }

    pub(crate) fn synced(&mut self) -> Result<Vec<Input>, String> {
        let Some(up) = &mut self.up else {
            return Ok(Vec::new());
        };
        let Some(batch) = up.committing.take() else {
            return Ok(Vec::new());
        };
        let drops = match self.planted {
            Some(Planted::DroppedEarly) => planted::drops(&batch),
            _ => None,
        };
        let (receipts, _) = up
            .writer
            .commit(vec![batch])
            .map_err(|error| format!("{}: commit: {error}", self.name))?;
        if let Some(drops) = drops {
            up.writer
                .commit(vec![drops])
                .map_err(|error| format!("{}: drop: {error}", self.name))?;
        }
        if self.planted == Some(Planted::AckBeforeSync) {
            return Ok(Vec::new());
        }
        Ok(receipts
            .into_iter()
            .map(|receipt| Input::Committed {
                batch: receipt.batch,
            })
            .collect())
    }

    pub(crate) fn timer(&mut self) -> Option<Moment> {
        let up = self.up.as_mut()?;
        let at = up.engine.poll_timeout();
        if at == up.timer {
            return None;
        }
        up.timer = at;
        at
    }

    pub(crate) fn timer_due(&mut self, now: Moment) -> bool {
        let Some(up) = &mut self.up else { return false };
        let due = up.engine.poll_timeout().is_some_and(|at| at <= now);
        if due {
            up.timer = None;
        }
        due
    }
}

/// What a store knows of a feed: its end and its rows.
fn facts(reader: &StoreReader, feed: FeedId) -> Recovered {
    let mut found = Recovered::default();
    if let Some(tip) = reader.tip(feed) {
        let (head, hash) = (tip.head, tip.hash);
        found.tips.insert(feed, Tip { head, hash });
    }
    for table in [tables::FEED, tables::ACKED, tables::REFUSED] {
        let rows = reader.rows(table, &feed.to_bytes()).unwrap_or_default();
        let rows = rows.into_iter().map(|(key, row)| ((table, key), row));
        found.tables.extend(rows);
    }
    found
}

/// The hash of the content that was taken under an id.
fn taken(
    reader: &StoreReader,
    author: PublicKey,
    space: SpaceId,
    message: MessageId,
) -> Option<Taken> {
    let at = reader.find(author, space, message).ok()??;
    let Some(stored) = reader.content(at.feed, at.seq).ok()??.content else {
        return Some(Taken::Dropped);
    };
    let (_, content) = tables::split_stored(&stored)?;
    Some(Taken::Content(Sha256::digest(content).into()))
}
