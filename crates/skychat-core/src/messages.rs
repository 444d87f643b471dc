//! Messages as they are stored, read for the application. Everything here blocks on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skychat_api::{
    Body, Conversation, Conversations, Cursor, Delivery, Direction, History, Kept, Mark, Message,
    Missing, Place, RecordId, V1,
};
use skychat_identity::{KeyCache, PublicKey};
use skychat_proto::content::Content;
use skychat_proto::entry::Header;
use skychat_proto::ids::{
    BodyHash, EventSeq, FeedId, Incarnation, MessageId, Position, Seq, SpaceId,
};
use skychat_proto::range::RawRange;
use skychat_proto::record::tables::{self, AckedRow, Marks, MessageRow, RefusedRow, SpaceRow};
use skychat_store::StoreReader;

use crate::ReadError;
use crate::read::{store_failed, unread};
use crate::waiters::{Outcome, Waiters};
use crate::words::fail_cause;

/// Spaces of which it is remembered who the other one is.
const MAX_SPACES: usize = 4096;
/// Messages on one page of history.
const MAX_PAGE: usize = 256;

/// Reads messages of this node.
pub(crate) struct Messages {
    reader: StoreReader,
    own: PublicKey,
    /// Where this node keeps what it takes.
    kept: Kept,
    life: Incarnation,
    waiters: Arc<Waiters>,
    peers: Mutex<BTreeMap<SpaceId, PublicKey>>,
    keys: Mutex<KeyCache>,
}

/// A message of ours that is stored.
pub(crate) struct Earlier {
    pub(crate) feed: FeedId,
    pub(crate) seq: Seq,
    /// The hash of its content; `None` if that was dropped.
    pub(crate) content: Option<[u8; 32]>,
    pub(crate) state: Delivery,
}

/// What a message says is compared by this.
pub(crate) fn content_hash(content: &[u8]) -> [u8; 32] {
    BodyHash::of(content).to_bytes()
}

/// The state of a message of ours that is in our feed.
pub(crate) fn delivery(outcome: Option<Outcome>) -> Delivery {
    match outcome {
        None => Delivery::Accepted,
        Some(Outcome::Stored { kept, .. }) => Delivery::Stored { kept },
        Some(Outcome::Failed { cause }) => Delivery::Failed { cause },
    }
}

impl Messages {
    pub(crate) fn new(
        reader: StoreReader,
        own: PublicKey,
        kept: Kept,
        life: Incarnation,
        waiters: Arc<Waiters>,
    ) -> Self {
        Messages {
            reader,
            own,
            kept,
            life,
            waiters,
            peers: Mutex::default(),
            keys: Mutex::new(KeyCache::new()),
        }
    }

    pub(crate) const fn reader(&self) -> &StoreReader {
        &self.reader
    }

    /// The state of a message as its event tells it: what comes after is told by later events.
    pub(crate) fn at_first(&self, author: PublicKey) -> Delivery {
        if author == self.own {
            Delivery::Accepted
        } else {
            Delivery::Stored { kept: self.kept }
        }
    }

    /// The cursor of an event that is in the log.
    pub(crate) fn cursor(&self, seq: EventSeq) -> Cursor {
        Cursor::new(self.reader.life_of(seq).unwrap_or(self.life), seq)
    }

    /// Where a message of ours with this id stands, if there is one in this space.
    pub(crate) fn place(
        &self,
        space: SpaceId,
        message: MessageId,
    ) -> Result<Option<(FeedId, Seq)>, ReadError> {
        let found = self.reader.find(self.own, space, message).map_err(unread)?;
        let Some(found) = found else { return Ok(None) };
        Ok(Some(self.latest(message, found.feed, found.seq)?))
    }

    /// The same with what it says and how far it has come.
    pub(crate) fn earlier(
        &self,
        space: SpaceId,
        message: MessageId,
    ) -> Result<Option<Earlier>, ReadError> {
        let Some((feed, seq)) = self.place(space, message)? else {
            return Ok(None);
        };
        let content = self.reader.content(feed, seq).map_err(unread)?;
        let content = content
            .as_ref()
            .and_then(|found| tables::split_stored(found.content.as_deref()?));
        Ok(Some(Earlier {
            feed,
            seq,
            content: content.map(|(_, content)| content_hash(content)),
            state: delivery(self.outcome(feed, seq)?),
        }))
    }

    /// How far a message has come by now.
    pub(crate) fn now(&self, header: &Header) -> Result<Delivery, ReadError> {
        if header.feed.author != self.own {
            return Ok(Delivery::Stored { kept: self.kept });
        }
        let (feed, seq) = self.latest(header.message, header.feed, header.seq)?;
        Ok(delivery(self.outcome(feed, seq)?))
    }

    /// Where a message that was issued again stands now.
    fn latest(
        &self,
        message: MessageId,
        feed: FeedId,
        seq: Seq,
    ) -> Result<(FeedId, Seq), ReadError> {
        let row = self.row(tables::MESSAGE, message.as_bytes())?;
        let Some(row) = row else {
            return Ok((feed, seq));
        };
        let row: MessageRow = tables::decode_row(&row).map_err(store_failed)?;
        let latest = tables::feed_id(&row.feed, &mut self.keys()).map_err(store_failed)?;
        Ok(if latest.space == feed.space {
            (latest, Seq::new(row.seq))
        } else {
            (feed, seq)
        })
    }

    /// What was acknowledged or refused of an entry of ours: in this run, or by what is stored.
    pub(crate) fn outcome(&self, feed: FeedId, seq: Seq) -> Result<Option<Outcome>, ReadError> {
        if let Some(outcome) = self.waiters.known(feed, seq) {
            return Ok(Some(outcome));
        }
        if let Some(row) = self.row(tables::REFUSED, &tables::refused_key(&feed, seq))? {
            let row: RefusedRow = tables::decode_row(&row).map_err(store_failed)?;
            let cause = fail_cause(tables::refusal(row.cause).map_err(store_failed)?);
            return Ok(Some(Outcome::Failed { cause }));
        }
        let Some(member) = self.peer_of(feed.space)? else {
            return Ok(None);
        };
        let Some(row) = self.row(tables::ACKED, &tables::acked_key(&feed, &member))? else {
            return Ok(None);
        };
        let row: AckedRow = tables::decode_row(&row).map_err(store_failed)?;
        let stored = |kept| Some(Outcome::Stored { by: member, kept });
        Ok(if Position::new(row.disk).covers(seq) {
            stored(Kept::Disk)
        } else if Position::new(row.memory).covers(seq) {
            stored(Kept::Memory)
        } else {
            None
        })
    }

    /// The other one in a direct space.
    pub(crate) fn peer_of(&self, space: SpaceId) -> Result<Option<PublicKey>, ReadError> {
        if let Some(peer) = self.peers().get(&space) {
            return Ok(Some(*peer));
        }
        let Some(row) = self.row(tables::SPACE, space.as_bytes())? else {
            return Ok(None);
        };
        let row: SpaceRow = tables::decode_row(&row).map_err(store_failed)?;
        let peer = tables::public_key(&row.peer, &mut self.keys()).map_err(store_failed)?;
        let mut peers = self.peers();
        if peers.len() >= MAX_SPACES {
            peers.pop_first();
        }
        peers.insert(space, peer);
        Ok(Some(peer))
    }

    /// A message from its header and what is stored of its content.
    pub(crate) fn message(
        &self,
        header: &Header,
        stored: Option<&[u8]>,
        delivery: Delivery,
    ) -> Result<Message, ReadError> {
        let feed = header.feed;
        let ours = feed.author == self.own;
        let (marks, body) = shown(stored, ours)?;
        Ok(Message {
            cursor: None,
            record: None,
            direction: if ours { Direction::Out } else { Direction::In },
            from: feed.author,
            to: if ours {
                self.peer_of(feed.space)?
            } else {
                Some(self.own)
            },
            space: feed.space,
            message_id: header.message,
            body,
            time: header.time,
            delivery,
            marks,
            place: Some(Place {
                incarnation: feed.incarnation,
                seq: header.seq,
            }),
        })
    }

    /// A page of the conversation with `peer`, newest first.
    pub(crate) fn history(
        &self,
        peer: PublicKey,
        before: Option<RecordId>,
        limit: usize,
    ) -> Result<History, ReadError> {
        let mut messages = Vec::new();
        let mut next = None;
        if let Ok(space) = SpaceId::direct(&self.own, &peer) {
            let limit = limit.clamp(1, MAX_PAGE);
            // One more tells whether there is another page.
            let page = self.page(space, before, limit.saturating_add(1))?;
            let more = page.len() > limit;
            messages = page;
            messages.truncate(limit);
            next = messages
                .last()
                .filter(|_| more)
                .and_then(|message| message.record);
        }
        Ok(History {
            v: V1,
            messages,
            before: next,
        })
    }

    /// Everybody there is a conversation with, the one with the newest message first.
    pub(crate) fn conversations(&self) -> Result<Conversations, ReadError> {
        let mut conversations = Vec::new();
        for found in self.reader.conversations().map_err(unread)? {
            conversations.push(Conversation {
                space: found.space,
                peer: self.peer_of(found.space)?,
                messages: found.messages,
                last: self.page(found.space, None, 1)?.pop(),
            });
        }
        conversations.sort_by_key(|conversation| {
            std::cmp::Reverse(conversation.last.as_ref().and_then(|last| last.record))
        });
        Ok(Conversations {
            v: V1,
            conversations,
        })
    }

    /// At most `limit` messages of a space before a record, newest first.
    fn page(
        &self,
        space: SpaceId,
        before: Option<RecordId>,
        limit: usize,
    ) -> Result<Vec<Message>, ReadError> {
        let before =
            before.map(|RecordId { group, index }| skychat_store::RecordId { group, index });
        let page = self.reader.history(space, before, limit).map_err(unread)?;
        let mut messages = Vec::with_capacity(page.len());
        for stored in page.into_iter().rev() {
            let header = &stored.header;
            let delivery = self.now(header)?;
            let content = stored.content.as_deref().map(Vec::as_slice);
            let message = self.message(header, content, delivery)?;
            messages.push(Message {
                cursor: stored.event.map(|event| self.cursor(event)),
                record: Some(record(stored.record)),
                ..message
            });
        }
        Ok(messages)
    }

    /// Entries of a feed from a position on.
    pub(crate) fn entries(
        &self,
        feed: FeedId,
        from: Position,
        entries: u64,
    ) -> Result<Option<RawRange>, ReadError> {
        let entries = u32::try_from(entries).unwrap_or(u32::MAX);
        let range = self.reader.range(feed, from, entries, u32::MAX, true);
        range.map_err(unread)
    }

    fn row(&self, table: skychat_proto::TableId, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        self.reader.row(table, key).map_err(unread)
    }

    fn peers(&self) -> MutexGuard<'_, BTreeMap<SpaceId, PublicKey>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keys(&self) -> MutexGuard<'_, KeyCache> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) const fn record(id: skychat_store::RecordId) -> RecordId {
    RecordId {
        group: id.group,
        index: id.index,
    }
}

/// What is shown of a stored content, and beside it.
fn shown(stored: Option<&[u8]>, ours: bool) -> Result<(BTreeSet<Mark>, Body), ReadError> {
    let Some(stored) = stored else {
        let missing = if ours {
            Missing::Sealed
        } else {
            Missing::Dropped
        };
        return Ok((BTreeSet::new(), Body::Missing(missing)));
    };
    let Some((bits, content)) = tables::split_stored(stored) else {
        return Ok((BTreeSet::new(), Body::Missing(Missing::Dropped)));
    };
    let marks = [
        (Marks::LATE, Mark::Late),
        (Marks::RECOVERED, Mark::Recovered),
        (Marks::UNCONSENTED, Mark::Unconsented),
        (Marks::ALTERED, Mark::Conflicting),
    ];
    let marks = marks
        .into_iter()
        .filter(|(bit, _)| bits.contains(*bit))
        .map(|(_, mark)| mark);
    let body = match Content::decode(content).map_err(store_failed)? {
        Content::Text(text) => Body::Text(text.into_string()),
        other => Body::Unsupported(other.kind()),
    };
    Ok((marks.collect(), body))
}
