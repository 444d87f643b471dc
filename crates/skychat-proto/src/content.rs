//! What an entry says: the plaintext of a sealed body.
//!
//! Two bytes say what kind of content it is, big-endian; a kind that is not known is kept and
//! shown as unsupported, never refused (FEED-2).
//!
//! Spec: `docs/protocol/feed.md`, section 6.

use std::fmt;

use prost::Message;
use zeroize::Zeroizing;

use crate::limits::MAX_CONTENT;
use crate::wire::generated::content as wire;
use crate::wire::{Value, Walk};

/// The content kind of [`Text`].
pub const TEXT: u16 = 1;

/// What an entry says.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Something said in words.
    Text(Text),
    /// A kind, or a form of a kind, that this version does not know, as it came.
    Unsupported {
        /// Its kind.
        kind: u16,
        /// What stands behind the kind: with it, at most [`MAX_CONTENT`] bytes.
        bytes: Vec<u8>,
    },
}

impl Content {
    /// Something said in words.
    ///
    /// # Errors
    /// [`ContentError`]: empty, or too long.
    pub fn text(text: impl Into<String>) -> Result<Self, ContentError> {
        Text::new(text).map(Content::Text)
    }

    /// Its kind.
    pub const fn kind(&self) -> u16 {
        match self {
            Content::Text(_) => TEXT,
            Content::Unsupported { kind, .. } => *kind,
        }
    }

    /// Its encoding: at most [`MAX_CONTENT`] bytes, wiped when dropped.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out;
        match self {
            Content::Text(text) => {
                out = Zeroizing::new(Vec::with_capacity(text.encoded_len()));
                out.extend(TEXT.to_be_bytes());
                // Written by hand, so that no second copy of the text is made: field 1, bytes.
                prost::encoding::string::encode(1, &text.0, &mut *out);
            }
            Content::Unsupported { kind, bytes } => {
                out = Zeroizing::new(Vec::with_capacity(bytes.len().saturating_add(2)));
                out.extend(kind.to_be_bytes());
                out.extend_from_slice(bytes);
            }
        }
        out
    }

    /// Reads a content.
    ///
    /// A text with fields that this version does not know is
    /// [`Content::Unsupported`]: showing a
    /// part of what was said would be worse than saying so.
    ///
    /// # Errors
    /// [`ContentError`]. Nothing of it can be shown.
    pub fn decode(bytes: &[u8]) -> Result<Self, ContentError> {
        if bytes.len() > MAX_CONTENT {
            return Err(ContentError::TooLong { found: bytes.len() });
        }
        let (kind, body) = bytes.split_first_chunk().ok_or(ContentError::Short)?;
        let kind = u16::from_be_bytes(*kind);
        if kind != TEXT {
            return Ok(Self::unsupported(kind, body));
        }
        let mut texts = 0_u8;
        let mut unknown = false;
        let mut walk = Walk(body);
        while let Some((number, value)) = walk.next("text").map_err(|_| ContentError::Malformed)? {
            match (number, value) {
                (1, Value::Bytes(_)) if texts == 0 => texts = 1,
                (1, _) => return Err(ContentError::Malformed),
                _ => unknown = true,
            }
        }
        if unknown {
            return Ok(Self::unsupported(kind, body));
        }
        let text = wire::Text::decode(body).map_err(|_| ContentError::Malformed)?;
        let content = Self::text(text.text)?;
        // A length can be written in more than one way; what is hashed and signed has one form.
        match content.encode()[..] == *bytes {
            true => Ok(content),
            false => Err(ContentError::Malformed),
        }
    }

    fn unsupported(kind: u16, bytes: &[u8]) -> Self {
        let bytes = bytes.to_vec();
        Content::Unsupported { kind, bytes }
    }
}

/// Kind and length only: what people say is not for logs.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Text(text) => text.fmt(f),
            Content::Unsupported { kind, bytes } => {
                write!(f, "Unsupported(kind {kind}, {} bytes)", bytes.len())
            }
        }
    }
}

/// Something said in words: UTF-8, not empty, at most [`MAX_CONTENT`] bytes when encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Takes a text.
    ///
    /// # Errors
    /// [`ContentError::Empty`]; [`ContentError::TooLong`].
    pub fn new(text: impl Into<String>) -> Result<Self, ContentError> {
        let text = Text(text.into());
        if text.0.is_empty() {
            return Err(ContentError::Empty);
        }
        let found = text.encoded_len();
        if found > MAX_CONTENT {
            return Err(ContentError::TooLong { found });
        }
        Ok(text)
    }

    /// What is said. Before it is shown, it passes [`sanitize`](crate::text::sanitize).
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is said.
    pub fn into_string(self) -> String {
        self.0
    }

    fn encoded_len(&self) -> usize {
        prost::encoding::string::encoded_len(1, &self.0).saturating_add(2)
    }
}

/// Its length only.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

/// Why something is no content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// Larger than any content.
    #[error("content: found {found} bytes encoded, expected at most {MAX_CONTENT}")]
    TooLong {
        /// How many bytes.
        found: usize,
    },
    /// There is not even a kind.
    #[error("content: expected at least the two bytes of its kind")]
    Short,
    /// A text without text.
    #[error("content: found an empty text")]
    Empty,
    /// No protobuf of its kind, or no UTF-8.
    #[error("content: malformed")]
    Malformed,
}

#[cfg(test)]
mod tests;
