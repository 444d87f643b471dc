//! What is read from the disk, and what for.

use skychat_proto::ids::{EntryId, FeedId, LinkId, Moment, Position};
use skychat_proto::range::RawRange;

use super::{Output, Replicator};

/// What a read is for.
#[derive(Debug)]
pub(super) enum Load {
    Serve {
        link: LinkId,
        feed: FeedId,
    },
    Anchor {
        feed: FeedId,
    },
    AckHash {
        feed: FeedId,
    },
    RowTip {
        link: LinkId,
        feed: FeedId,
        head: Position,
        hash: EntryId,
        signed: bool,
    },
    ProbeTip {
        feed: FeedId,
    },
    ProbeOurs {
        feed: FeedId,
    },
}

impl Replicator {
    pub(super) fn load(
        &mut self,
        purpose: Load,
        feed: FeedId,
        from: Position,
        max_entries: u32,
        max_bytes: u32,
    ) {
        let load = self.next_load;
        self.next_load = self.next_load.wrapping_add(1);
        let any_end = feed.author == self.config.me;
        self.loads.insert(load, purpose);
        self.out.push_back(Output::Load {
            load,
            feed,
            from,
            max_entries,
            max_bytes,
            any_end,
        });
    }

    /// The answer to [`Output::Load`].
    pub fn loaded(&mut self, now: Moment, load: u64, range: Option<RawRange>) {
        self.now = now;
        match self.loads.remove(&load) {
            Some(Load::Serve { link, feed }) => self.served(link, feed, range),
            Some(Load::Anchor { feed }) => self.anchor_loaded(feed, range),
            Some(Load::AckHash { feed }) => self.ack_hash_loaded(feed, range),
            Some(Load::RowTip {
                link,
                feed,
                head,
                hash,
                signed,
            }) => self.row_tip_loaded(link, feed, (head, hash, signed), range),
            Some(Load::ProbeTip { feed }) => self.probe_tip_loaded(feed, range),
            Some(Load::ProbeOurs { feed }) => self.probe_ours_loaded(feed, range),
            None => {}
        }
        self.pump();
    }
}
