//! Sealing and opening the bodies of direct conversations.

use std::collections::BTreeMap;
use std::fmt;

use rand_core::CryptoRng;
use skychat_identity::SecretKey;
use skychat_proto::content::Content;
use skychat_proto::entry::{Flags, Suite};
use skychat_proto::limits::MAX_CONTENT;
use skychat_proto::sync::Refusal;
use skychat_proto::{SpaceId, Stream, Timestamp};
use skychat_seal::{OPENER_CACHE, Opener, Sealer};
use zeroize::Zeroizing;

use crate::EntryContext;

/// The suite of every body that this version writes.
pub const SUITE: Suite = Suite::HPKE_X25519;
/// How many conversations have an encapsulation at hand. Beyond that the one that was not used
/// for the longest time goes; its next message makes another one.
pub const MAX_SESSIONS: usize = 1024;
/// How many secrets of peers' encapsulations are at hand. Beyond that likewise; it costs one
/// X25519 operation to have it again.
pub const MAX_INCOMING: usize = OPENER_CACHE;
/// The longest body that can hold a content: [`MAX_CONTENT`], sealed.
pub const MAX_SEALED: usize = sealed_len(MAX_CONTENT);

/// Length of the body that an encoded content of `content` bytes becomes.
pub const fn sealed_len(content: usize) -> usize {
    skychat_seal::sealed_len(content)
}

/// What can be said of a content entry before its body is opened, or even there.
///
/// # Errors
/// [`Refusal::Unsupported`]: a suite, a flag or a stream that direct spaces of this version do
/// not have (a body in clear among them). [`Refusal::TooLarge`]: longer than [`MAX_SEALED`].
///
/// Spec: `docs/protocol/direct.md`, DIRECT-6.
pub fn precheck(
    stream: Stream,
    suite: Suite,
    flags: Flags,
    body_len: usize,
) -> Result<(), Refusal> {
    if suite != SUITE || !flags.is_known() || stream != Stream::MESSAGES {
        return Err(Refusal::Unsupported);
    }
    if body_len > MAX_SEALED {
        return Err(Refusal::TooLarge);
    }
    Ok(())
}

/// The keys in use of all direct conversations of one node: an encapsulation for each that it
/// writes in, and the secrets of those that it reads.
///
/// Nothing of it is stored. After a restart the node is in another incarnation, for which there
/// are other encapsulations; what it reads carries all it takes to open it.
///
/// Spec: `docs/protocol/direct.md`, DIRECT-5 and DIRECT-6 (rule SEAL-2).
#[derive(Debug, Default)]
pub struct Sessions {
    outgoing: BTreeMap<SpaceId, Outgoing>,
    incoming: Opener,
    uses: u64,
}

#[derive(Debug)]
struct Outgoing {
    sealer: Sealer,
    last_use: u64,
}

/// A body that opened.
pub struct Opened {
    /// The content as it was sealed, for the store; wiped when dropped.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The same, read. A kind that this version does not know is [`Content::Unsupported`]: it is
    /// kept, acknowledged and shown as such.
    pub content: Content,
}

impl Sessions {
    /// None yet.
    pub fn new() -> Self {
        Sessions::default()
    }

    /// Seals `content` as the body of an entry of ours. The entry's suite is [`SUITE`].
    ///
    /// The encapsulation is made at the first message of a conversation in an incarnation, and
    /// another one after 24 hours by `now` or 1,000 bodies.
    ///
    /// # Errors
    /// [`SealError`]; each says that the entry cannot be, and nothing was changed.
    pub fn seal(
        &mut self,
        rng: &mut impl CryptoRng,
        now: Timestamp,
        context: &EntryContext,
        content: &Content,
    ) -> Result<Vec<u8>, SealError> {
        if !context.is_theirs() {
            return Err(SealError::NotTheirSpace {
                space: context.feed.space,
            });
        }
        if !context.is_in_messages() {
            return Err(SealError::NoSuchStream {
                stream: context.feed.stream,
            });
        }
        let plaintext = content.encode();
        if plaintext.len() > MAX_CONTENT {
            return Err(SealError::TooLarge {
                found: plaintext.len(),
            });
        }
        let mut body = Vec::with_capacity(sealed_len(plaintext.len()));
        self.sealer(rng, now, context)?
            .seal(rng, &context.entry_aad(), &plaintext, &mut body)?;
        Ok(body)
    }

    /// Opens the body of an entry that somebody wrote to us; its header is verified, and `body`
    /// is the one whose hash it names.
    ///
    /// # Errors
    /// The [`Refusal`] to acknowledge the entry with:
    /// - those of [`precheck`];
    /// - [`Refusal::NotAMember`]: the space is not that of author and recipient;
    /// - [`Refusal::Unopenable`]: not sealed to `identity`, or not for this entry;
    /// - [`Refusal::Unsupported`]: it opened, and what is in it is no content.
    pub fn open(
        &mut self,
        identity: &SecretKey,
        context: &EntryContext,
        suite: Suite,
        flags: Flags,
        body: &[u8],
    ) -> Result<Opened, Refusal> {
        precheck(context.feed.stream, suite, flags, body.len())?;
        if !context.is_theirs() {
            return Err(Refusal::NotAMember);
        }
        if context.recipient != identity.public() {
            return Err(Refusal::Unopenable);
        }
        let (info, aad) = (context.seal_info(), context.entry_aad());
        let plaintext = self
            .incoming
            .open(&identity.x25519(), &info, &aad, body)
            .map_err(|_| Refusal::Unopenable)?;
        // Sealing it again would not mend it, so it is not `unopenable`.
        let content = Content::decode(&plaintext).map_err(|_| Refusal::Unsupported)?;
        Ok(Opened { plaintext, content })
    }

    /// How many conversations have an encapsulation at hand; at most [`MAX_SESSIONS`].
    pub fn outgoing(&self) -> usize {
        self.outgoing.len()
    }

    /// How many secrets of peers' encapsulations are at hand; at most [`MAX_INCOMING`].
    pub fn incoming(&self) -> usize {
        self.incoming.len()
    }

    fn sealer(
        &mut self,
        rng: &mut impl CryptoRng,
        now: Timestamp,
        context: &EntryContext,
    ) -> Result<&mut Sealer, SealError> {
        let info = context.seal_info();
        let space = context.feed.space;
        let now = now.as_millis();
        self.uses = self.uses.saturating_add(1);
        let held = match self.outgoing.remove(&space) {
            Some(held) if *held.sealer.info() == info && !held.sealer.expired(now) => held,
            _ => {
                let sealer = Sealer::new(rng, &info, now)?;
                self.make_room();
                Outgoing {
                    sealer,
                    last_use: 0,
                }
            }
        };
        let held = self.outgoing.entry(space).or_insert(held);
        held.last_use = self.uses;
        Ok(&mut held.sealer)
    }

    fn make_room(&mut self) {
        if self.outgoing.len() < MAX_SESSIONS {
            return;
        }
        let oldest = self
            .outgoing
            .iter()
            .min_by_key(|(_, held)| held.last_use)
            .map(|(space, _)| *space);
        if let Some(oldest) = oldest {
            self.outgoing.remove(&oldest);
        }
    }
}

/// Shows the content as contents show themselves: kind and length.
impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Opened").field(&self.content).finish()
    }
}

/// Why nothing was sealed. Each is the caller's mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The space is not the direct space of author and recipient.
    #[error("sealing a message: space {space} is not that of its author and recipient")]
    NotTheirSpace {
        /// The space.
        space: SpaceId,
    },
    /// A direct space has one stream.
    #[error(
        "sealing a message: found stream {stream}, expected {}",
        Stream::MESSAGES
    )]
    NoSuchStream {
        /// The stream.
        stream: Stream,
    },
    /// The content is longer than a message may be.
    #[error("sealing a message: found {found} bytes of content, expected at most {MAX_CONTENT}")]
    TooLarge {
        /// Its length, encoded.
        found: usize,
    },
    /// Sealing itself failed.
    #[error("sealing a message failed")]
    Seal(#[from] skychat_seal::SealError),
}

#[cfg(test)]
mod tests;
