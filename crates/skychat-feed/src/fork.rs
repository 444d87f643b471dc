//! Proofs that a feed was written twice (RANGE-5).

use skychat_identity::{SecretKey, Signature};
use skychat_proto::entry::Header;
use skychat_proto::ids::{EntryId, FeedId, Position};
use skychat_proto::sync::{Branch, ForkProof};

use crate::Violation;

/// A fork proof that holds: two runs of headers of one feed that begin at the same place behind the same entry with
/// different entries, each under a signature of the author. Made only by [`verify`](Self::verify) and
/// [`make`](Self::make).
///
/// Spec: `docs/protocol/feed.md`, RANGE-5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedFork {
    proof: ForkProof,
    common: Position,
    tip: EntryId,
}

impl VerifiedFork {
    /// Checks both sides: one SHA-256 per header, two signatures in all.
    ///
    /// # Errors
    /// [`Violation`] of RANGE-5: the sides do not begin at one place, or begin with the same entry, or do not chain; a
    /// signature does not hold.
    pub fn verify(proof: ForkProof) -> Result<Self, Violation> {
        let bad = |what: &str| Violation::new("RANGE-5", what);
        let [one, other] = &proof.branches;
        let (Some(first), Some(second)) = (one.headers.first(), other.headers.first()) else {
            return Err(bad("a side of a fork proof without headers"));
        };
        if first.seq != second.seq || first.prev != second.prev {
            return Err(bad(
                "the sides of a fork proof do not begin behind one entry",
            ));
        }
        if first == second {
            return Err(bad("the sides of a fork proof begin with the same entry"));
        }
        let (common, tip) = (first.seq.position(), first.prev);
        for branch in &proof.branches {
            check_branch(&proof.feed, branch)?;
        }
        Ok(VerifiedFork { proof, common, tip })
    }

    /// Of two sides as they were read or came; `None` if they prove nothing.
    pub fn make(feed: FeedId, ours: Branch, theirs: Branch) -> Option<Self> {
        let branches = [ours, theirs];
        Self::verify(ForkProof { feed, branches }).ok()
    }

    /// Which feed.
    pub const fn feed(&self) -> FeedId {
        self.proof.feed
    }

    /// How many entries both sides have in common.
    pub const fn common(&self) -> Position {
        self.common
    }

    /// The last entry both sides have in common; zeros if there is none.
    pub const fn tip(&self) -> EntryId {
        self.tip
    }

    /// What is sent and kept.
    pub const fn proof(&self) -> &ForkProof {
        &self.proof
    }
}

/// One side that is the author's own: a single header, signed on demand (RANGE-2).
pub fn own_branch(header: Header, author: &SecretKey) -> Branch {
    let signature: Signature = header.sign(author);
    Branch {
        headers: vec![header],
        signature,
    }
}

fn check_branch(feed: &FeedId, branch: &Branch) -> Result<(), Violation> {
    let bad = |what: &str| Violation::new("RANGE-5", what);
    let mut before: Option<&Header> = None;
    for header in &branch.headers {
        let follows = before.is_none_or(|before| {
            header.prev == before.id() && before.seq.next() == Some(header.seq)
        });
        if header.feed != *feed || !follows {
            return Err(bad("the headers of a side of a fork proof do not chain"));
        }
        before = Some(header);
    }
    let last = before.ok_or_else(|| bad("a side of a fork proof without headers"))?;
    last.verify(&branch.signature)
        .map_err(|_| bad("a signature of a fork proof does not hold"))
}
