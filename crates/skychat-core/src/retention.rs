//! What is kept, and for how long.

mod keeper;
mod sweeper;

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use skychat_identity::PublicKey;
use skychat_proto::limits::MAX_CONTENT;
use skychat_store::SegmentSizes;

pub(crate) use sweeper::{Room, Sweeper};

/// What a node keeps. The default keeps every message, up to 2 GiB in all.
///
/// Text of ours is given away only when the disk of its recipient has acknowledged it, and any
/// text only [`linger`](Self::linger) after it came. What was given away stays in history as
/// *dropped*: who said it, when, and under which id. Nothing here breaks a feed or refuses a
/// message that was sent, but [`largest`](Self::largest).
///
/// ```
/// use std::time::Duration;
/// use skychat_core::Retention;
///
/// let month = Retention {
///     ttl: Some(Duration::from_secs(30 * 24 * 60 * 60)),
///     ..Retention::default()
/// };
/// assert_eq!(month.total, 2 * 1024 * 1024 * 1024);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Bytes of the largest message, text and what stands beside it, that is sent or taken; more
    /// than 64 KiB is as 64 KiB. A larger one that comes is refused for good (`too_large`).
    pub largest: usize,
    /// Messages a minute that are taken from one peer. Beyond it the peer waits: nothing is lost.
    pub per_peer_rate: Option<NonZeroU32>,
    /// Messages of one conversation, ours and theirs, of which the text is kept; of more than
    /// these the oldest are given away, an eighth of the cap at a time.
    pub per_peer_cap: Option<NonZeroU64>,
    /// Bytes of the journal in all; at least [`MIN_TOTAL`](Self::MIN_TOTAL) count. Three quarters
    /// of it may be in use, the rest is for what was given away and is not rewritten yet. Beyond
    /// it the oldest text is given away; while none may be, sends are answered with an error and
    /// peers wait.
    pub total: u64,
    /// How long text is kept from when it came; it is given away at the latest a thirtieth of that
    /// time (at least a minute) later. It counts from the first run with such a setting.
    pub ttl: Option<Duration>,
    /// Peers of whose conversations text is kept; `None`: of everybody's.
    pub only: Option<BTreeSet<PublicKey>>,
    /// For how long at least text stays, so that whoever reads events sees it; a tenth of that when more is in use than
    /// [`total`](Self::total) leaves room for.
    pub linger: Duration,
    /// How often it is looked whether something is to be given away.
    pub every: Duration,
}

impl Retention {
    /// The smallest [`total`](Self::total), in bytes: a few segments of the journal.
    pub const MIN_TOTAL: u64 = 8 * 1024 * 1024;
}

impl Default for Retention {
    fn default() -> Self {
        Retention {
            largest: MAX_CONTENT,
            per_peer_rate: None,
            per_peer_cap: None,
            total: 2 * 1024 * 1024 * 1024,
            ttl: None,
            only: None,
            linger: Duration::from_secs(10 * 60),
            every: Duration::from_secs(2),
        }
    }
}

impl Retention {
    /// How many messages are kept of the conversation with a peer; `None`: all.
    pub(crate) fn keeps_of(&self, peer: Option<&PublicKey>) -> Option<u64> {
        let listed = match (&self.only, peer) {
            (Some(only), Some(peer)) => only.contains(peer),
            _ => true,
        };
        if listed {
            self.per_peer_cap.map(NonZeroU64::get)
        } else {
            Some(0)
        }
    }

    /// How large segments of the journal are: what is dead is left out of whole ones, so there are
    /// some within the total.
    pub(crate) fn segments(&self) -> SegmentSizes {
        let sizes = SegmentSizes::default();
        let share = self.total.max(Self::MIN_TOTAL) / 16;
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        SegmentSizes {
            largest: share.clamp(sizes.first, sizes.largest),
            ..sizes
        }
    }

    /// Bytes that may be in use.
    pub(crate) fn room(&self) -> u64 {
        let total = self.total.max(Self::MIN_TOTAL);
        total.saturating_sub(total / 4)
    }
}
