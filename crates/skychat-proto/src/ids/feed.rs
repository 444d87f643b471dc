//! The name of a feed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use skychat_identity::{Domain, KeyCache, KeyError, PublicKey};

use super::{IdError, Incarnation, SpaceId, Stream};
use crate::layout::{Reader, put};
use crate::limits::FEED_ID_LEN;

/// One append-only log: what one author says in one space and stream during one life of its
/// writer. No feed is ever resumed. Spec: ID-1, INC-1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedId {
    /// Whose it is.
    pub author: PublicKey,
    /// The conversation.
    pub space: SpaceId,
    /// Which of the author's feeds there.
    pub stream: Stream,
    /// The life of the writer.
    pub incarnation: Incarnation,
}

impl FeedId {
    /// Length in bytes: 73.
    pub const LEN: usize = FEED_ID_LEN;

    /// Author, space, stream, incarnation. The order of the bytes is the order of the ids.
    pub fn to_bytes(&self) -> [u8; FEED_ID_LEN] {
        let mut bytes = [0; FEED_ID_LEN];
        let mut out = &mut bytes[..];
        self.put(&mut out);
        bytes
    }

    /// From its bytes.
    ///
    /// # Errors
    /// [`KeyError`] if the first 32 bytes are no public key; any other bytes do.
    pub fn from_bytes(bytes: &[u8; FEED_ID_LEN], keys: &mut KeyCache) -> Result<Self, KeyError> {
        let mut reader = Reader::new(bytes);
        let (author, space, stream, incarnation) = (
            reader.array().unwrap_or_default(),
            reader.array().unwrap_or_default(),
            reader.u8().unwrap_or_default(),
            reader.array().unwrap_or_default(),
        );
        Ok(FeedId {
            author: keys.get(&author)?,
            space: SpaceId::from_bytes(space),
            stream: Stream::new(stream),
            incarnation: Incarnation::from_bytes(incarnation),
        })
    }

    /// Writes the 73 bytes to the front of `out`, and moves `out` past them.
    pub(crate) fn put(&self, out: &mut &mut [u8]) {
        put(out, self.author.as_bytes());
        put(out, self.space.as_bytes());
        put(out, &[self.stream.get()]);
        put(out, self.incarnation.as_bytes());
    }

    /// Author and incarnation, shortened, for logs and lists.
    pub fn short(&self) -> impl fmt::Display + fmt::Debug + use<> {
        Short(*self)
    }
}

#[derive(Clone, Copy)]
struct Short(FeedId);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let feed = &self.0;
        let (author, space) = (feed.author.short(), feed.space.short());
        write!(
            f,
            "{author}/{space}/{}/{}",
            feed.stream,
            feed.incarnation.short()
        )
    }
}

impl fmt::Debug for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The short form.
impl fmt::Debug for FeedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FeedId({})", self.short())
    }
}

/// All of it: `<author>/<space>/<stream>/<incarnation>`.
impl fmt::Display for FeedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/{}/{}",
            self.author, self.space, self.stream, self.incarnation
        )
    }
}

impl FromStr for FeedId {
    type Err = FeedIdError;

    fn from_str(text: &str) -> Result<Self, FeedIdError> {
        let mut parts = text.split('/');
        let mut part = || parts.next().ok_or(FeedIdError::Parts);
        let (author, space, stream, incarnation) = (part()?, part()?, part()?, part()?);
        if part().is_ok() {
            return Err(FeedIdError::Parts);
        }
        Ok(FeedId {
            author: author.parse()?,
            space: space.parse()?,
            stream: match stream {
                "0" => Stream::CONTROL,
                digits if !digits.starts_with(['0', '+']) => {
                    digits.parse().map_err(|_| FeedIdError::Stream)?
                }
                _ => return Err(FeedIdError::Stream),
            },
            incarnation: incarnation.parse()?,
        })
    }
}

impl Serialize for FeedId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FeedId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = FeedId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a feed: `<author>/<space>/<stream>/<incarnation>`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<FeedId, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl SpaceId {
    /// The direct space of two people: the same for both, whichever is named first.
    ///
    /// SHA-256 over the tag of [`Domain::DirectSpace`], the lower key and the higher key.
    ///
    /// # Errors
    /// [`SelfSpace`]: nobody has a direct space with itself.
    ///
    /// Spec: ID-1.
    pub fn direct(one: &PublicKey, other: &PublicKey) -> Result<SpaceId, SelfSpace> {
        if one == other {
            return Err(SelfSpace);
        }
        let hash = Sha256::new()
            .chain_update(Domain::DirectSpace.tag())
            .chain_update(one.min(other).as_bytes())
            .chain_update(one.max(other).as_bytes())
            .finalize();
        Ok(SpaceId::from_bytes(hash.into()))
    }
}

/// A direct space was asked for between a key and itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("direct space: found one key twice, expected two")]
pub struct SelfSpace;

/// Why a text is not a [`FeedId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FeedIdError {
    /// Not four parts between slashes.
    #[error("feed: expected `<author>/<space>/<stream>/<incarnation>`")]
    Parts,
    /// The first part is no key.
    #[error("feed: its author is not valid")]
    Author(#[from] KeyError),
    /// The third part is no number from 0 to 255.
    #[error("feed: its stream is no number from 0 to 255")]
    Stream,
    /// The second or the fourth part is no id.
    #[error("feed: an id in it is not valid")]
    Id(#[from] IdError),
}
