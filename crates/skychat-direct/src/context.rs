//! Which entry a body belongs to.

use skychat_identity::PublicKey;
use skychat_proto::entry::{Header, Kind};
use skychat_proto::{FeedId, MessageId, Seq, SpaceId, Stream};
use skychat_seal::{EntryAad, SealInfo};

/// One content entry of a direct conversation, and who it is for: all that its body is bound to.
///
/// **Who wrote it** is `feed.author`: the key whose signature over the header was verified. That
/// is the author to display, and there is no other: nothing inside a sealed content names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryContext {
    /// The author's feed in the space of the two.
    pub feed: FeedId,
    /// The index of the entry there.
    pub seq: Seq,
    /// The message it carries.
    pub message: MessageId,
    /// The other one of the two.
    pub recipient: PublicKey,
}

impl EntryContext {
    /// The context of an entry that somebody wrote to `recipient`.
    pub fn of(header: &Header, recipient: PublicKey) -> Self {
        EntryContext {
            feed: header.feed,
            seq: header.seq,
            message: header.message,
            recipient,
        }
    }

    /// Whether the space is the direct space of author and recipient.
    pub fn is_theirs(&self) -> bool {
        SpaceId::direct(&self.feed.author, &self.recipient) == Ok(self.feed.space)
    }

    /// Whether the stream is the one that a direct space has: messages (ID-1).
    pub fn is_in_messages(&self) -> bool {
        self.feed.stream == Stream::MESSAGES
    }

    /// What an encapsulation for this entry is made for.
    pub(crate) fn seal_info(&self) -> SealInfo {
        SealInfo {
            space: self.feed.space.to_bytes(),
            author: self.feed.author,
            recipient: self.recipient,
            incarnation: self.feed.incarnation.to_bytes(),
        }
    }

    /// What the body of this entry is bound to besides.
    pub(crate) fn entry_aad(&self) -> EntryAad {
        EntryAad {
            stream: self.feed.stream.get(),
            seq: self.seq.get(),
            message: self.message.to_bytes(),
            kind: Kind::Content.number(),
        }
    }
}
