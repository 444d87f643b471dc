//! What the journal leaves to a new life.

use std::collections::{BTreeMap, BTreeSet};

use skychat_feed::{ClosedMark, FeedFacts};
use skychat_identity::{KeyCache, PublicKey};
use skychat_proto::DecodeError;
use skychat_proto::ids::{
    EntryId, FeedId, Incarnation, MessageId, Position, Seq, SpaceId, TableId,
};
use skychat_proto::record::tables::{
    self, AckedRow, FeedRow, MessageRow, OwnLifeRow, PeerLifeRow, PeerRow, RefusedRow, SpaceRow,
};
use skychat_proto::sync::{ForkProof, SyncMessage};

/// Where a feed ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// How many entries are held.
    pub head: Position,
    /// The id of the last of them.
    pub hash: EntryId,
}

/// What the store recovered: the live rows of machine state, and the ends of the feeds.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// Live rows by table and key.
    pub tables: BTreeMap<(TableId, Vec<u8>), Vec<u8>>,
    /// The ends of the feeds held.
    pub tips: BTreeMap<FeedId, Tip>,
    /// What was left out: see [`without_closed`](Self::without_closed).
    pub closed: BTreeSet<ClosedMark>,
}

/// The lives of a peer with their parents.
pub(crate) type Parents = BTreeMap<Incarnation, Option<Incarnation>>;

/// The rows, read.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) feeds: BTreeMap<FeedId, FeedFacts>,
    pub(crate) spaces: BTreeMap<SpaceId, PublicKey>,
    pub(crate) own_lives: BTreeMap<Incarnation, OwnLifeRow>,
    pub(crate) peers: BTreeMap<PublicKey, PeerRow>,
    pub(crate) peer_lives: BTreeMap<PublicKey, Parents>,
    pub(crate) messages: BTreeMap<MessageId, MessageRow>,
    pub(crate) proofs: Vec<ForkProof>,
}

impl Recovered {
    /// Reads the rows.
    ///
    /// # Errors
    /// [`DecodeError`]: a row is damaged, or of a later version.
    pub(crate) fn read(&self) -> Result<Facts, DecodeError> {
        let mut facts = Facts::default();
        let mut keys = KeyCache::new();
        for (feed, tip) in &self.tips {
            let facts = facts.feeds.entry(*feed).or_default();
            facts.head = tip.head;
            facts.tip = tip.hash;
        }
        for ((table, key), value) in &self.tables {
            facts.row(*table, key, value, &mut keys)?;
        }
        Ok(facts)
    }
}

impl Facts {
    fn row(
        &mut self,
        table: TableId,
        key: &[u8],
        value: &[u8],
        keys: &mut KeyCache,
    ) -> Result<(), DecodeError> {
        match table {
            tables::OWN_LIFE => {
                let life = Incarnation::from_slice(key).ok_or(BAD_KEY)?;
                self.own_lives.insert(life, tables::decode_row(value)?);
            }
            tables::FEED => {
                let feed = tables::feed_id(key, keys)?;
                self.feeds.entry(feed).or_default().row = tables::decode_row::<FeedRow>(value)?;
            }
            tables::ACKED => {
                let (feed, member) = key.split_at_checked(FEED_KEY).ok_or(BAD_KEY)?;
                let feed = tables::feed_id(feed, keys)?;
                let member = tables::public_key(member, keys)?;
                let row: AckedRow = tables::decode_row(value)?;
                let acked = (Position::new(row.disk), Position::new(row.memory));
                self.feeds
                    .entry(feed)
                    .or_default()
                    .acked
                    .insert(member, acked);
            }
            tables::REFUSED => {
                let (feed, seq) = key.split_at_checked(FEED_KEY).ok_or(BAD_KEY)?;
                let seq: [u8; 8] = seq.try_into().map_err(|_| BAD_KEY)?;
                let row: RefusedRow = tables::decode_row(value)?;
                let feed = tables::feed_id(feed, keys)?;
                let seq = Seq::new(u64::from_be_bytes(seq));
                self.feeds
                    .entry(feed)
                    .or_default()
                    .refused
                    .insert(seq, tables::refusal(row.cause)?);
            }
            tables::MESSAGE => {
                let message = MessageId::from_slice(key).ok_or(BAD_KEY)?;
                self.messages.insert(message, tables::decode_row(value)?);
            }
            tables::PEER => {
                self.peers
                    .insert(tables::public_key(key, keys)?, tables::decode_row(value)?);
            }
            tables::PEER_LIFE => {
                let (peer, life) = key.split_at_checked(KEY_LEN).ok_or(BAD_KEY)?;
                let peer = tables::public_key(peer, keys)?;
                let life = Incarnation::from_slice(life).ok_or(BAD_KEY)?;
                let row: PeerLifeRow = tables::decode_row(value)?;
                let parent = Incarnation::from_slice(&row.parent);
                self.peer_lives
                    .entry(peer)
                    .or_default()
                    .insert(life, parent);
            }
            tables::SPACE => {
                let space = SpaceId::from_slice(key).ok_or(BAD_KEY)?;
                let row: SpaceRow = tables::decode_row(value)?;
                self.spaces
                    .insert(space, tables::public_key(&row.peer, keys)?);
            }
            tables::FORK => {
                if let SyncMessage::ForkProof(proof) = SyncMessage::decode(value, keys)? {
                    self.proofs.push(*proof);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Lives of this store, newest first, and the number of the next one.
    pub(crate) fn own_line(&self) -> (Vec<Incarnation>, u64) {
        let newest = self.own_lives.iter().max_by_key(|(_, row)| row.number);
        let next = newest.map_or(1, |(_, row)| row.number.saturating_add(1));
        let (mut line, mut seen) = (Vec::new(), BTreeSet::new());
        let mut at = newest.map(|(life, _)| *life);
        while let Some(life) = at {
            if !seen.insert(life) {
                break;
            }
            line.push(life);
            at = self
                .own_lives
                .get(&life)
                .and_then(|row| Incarnation::from_slice(&row.parent));
        }
        (line, next)
    }
}

const KEY_LEN: usize = 32;
const FEED_KEY: usize = skychat_proto::limits::FEED_ID_LEN;
const BAD_KEY: DecodeError = DecodeError::Protobuf {
    name: "key of a row",
};
