//! The one table of domain tags, and the one kind of input that is signed.

use std::fmt;

/// What a signature (or a derived id) is for. Every signed byte string begins with its tag.
///
/// Tags are plain ASCII, `skychat/v1/` and a name, and none is the beginning of another; so bytes
/// made for one purpose cannot be taken for another one, whatever follows the tag.
///
/// Spec: `docs/protocol/identity.md`, IDENT-5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Domain {
    /// The header of a feed entry (FEED-1); its hash is the `EntryId`.
    FeedEntry,
    /// The proof of a key inside the Noise handshake (LINK-1).
    NoiseBind,
    /// The id of a direct space (ID-1). Hashed, never signed: [`Tagged::new`] refuses it.
    DirectSpace,
    /// A public prekey (SEAL-4, SYNC-7).
    Prekey,
    /// A contact card: addresses and abilities of a node (SYNC-7).
    Card,
    /// A signed acknowledgement for members without a link to the author (SYNC-7).
    Seen,
    /// An invite to a space.
    Invite,
    /// A request to join a space.
    JoinRequest,
    /// A request to pair.
    PairRequest,
    /// The answer to a request to pair.
    PairAnswer,
    /// An offer of a file.
    FileOffer,
    /// A permission to use a relay.
    RelayTicket,
    /// The end of an exported history (ARCHIVE-4).
    Archive,
}

impl Domain {
    /// Every domain, in the order of the table in the docs.
    pub const ALL: [Domain; 13] = [
        Domain::FeedEntry,
        Domain::NoiseBind,
        Domain::DirectSpace,
        Domain::Prekey,
        Domain::Card,
        Domain::Seen,
        Domain::Invite,
        Domain::JoinRequest,
        Domain::PairRequest,
        Domain::PairAnswer,
        Domain::FileOffer,
        Domain::RelayTicket,
        Domain::Archive,
    ];

    /// The bytes that begin everything signed, or hashed, in this domain.
    pub const fn tag(self) -> &'static [u8] {
        self.tag_text().as_bytes()
    }

    /// Whether signatures are made in this domain; [`Domain::DirectSpace`] is hashed only.
    pub const fn is_signed(self) -> bool {
        !matches!(self, Domain::DirectSpace)
    }

    /// The domain whose tag `bytes` begin with. At most one, because tags are prefix-free.
    pub fn of(bytes: &[u8]) -> Option<Domain> {
        Domain::ALL
            .into_iter()
            .find(|domain| bytes.starts_with(domain.tag()))
    }

    const fn tag_text(self) -> &'static str {
        match self {
            Domain::FeedEntry => "skychat/v1/feed-entry",
            Domain::NoiseBind => "skychat/v1/noise-bind",
            Domain::DirectSpace => "skychat/v1/direct-space",
            Domain::Prekey => "skychat/v1/prekey",
            Domain::Card => "skychat/v1/card",
            Domain::Seen => "skychat/v1/seen",
            Domain::Invite => "skychat/v1/invite",
            Domain::JoinRequest => "skychat/v1/join-request",
            Domain::PairRequest => "skychat/v1/pair-request",
            Domain::PairAnswer => "skychat/v1/pair-answer",
            Domain::FileOffer => "skychat/v1/file-offer",
            Domain::RelayTicket => "skychat/v1/relay-ticket",
            Domain::Archive => "skychat/v1/archive",
        }
    }
}

/// The tag as text.
impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag_text())
    }
}

/// Bytes that begin with the tag of the domain they are for: all that can be signed or verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tagged<'a> {
    domain: Domain,
    bytes: &'a [u8],
}

impl<'a> Tagged<'a> {
    /// Takes `bytes`, tag included, as a message of `domain`.
    ///
    /// # Errors
    /// [`WrongTag`] if they begin otherwise, or if nothing is signed in that domain.
    pub fn new(domain: Domain, bytes: &'a [u8]) -> Result<Self, WrongTag> {
        if !domain.is_signed() {
            return Err(WrongTag::NotSigned { domain });
        }
        if !bytes.starts_with(domain.tag()) {
            return Err(match Domain::of(bytes) {
                Some(found) => WrongTag::Other {
                    expected: domain,
                    found,
                },
                None => WrongTag::Unknown { expected: domain },
            });
        }
        Ok(Tagged { domain, bytes })
    }

    /// The domain.
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// All the bytes, beginning with the tag.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// The bytes are not a message of the domain they were taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WrongTag {
    /// They belong to another domain.
    #[error("signed bytes: found the tag `{found}`, expected `{expected}`")]
    Other {
        /// The domain asked for.
        expected: Domain,
        /// The domain they belong to.
        found: Domain,
    },
    /// They begin with no tag of ours.
    #[error("signed bytes: found no known tag, expected `{expected}`")]
    Unknown {
        /// The domain asked for.
        expected: Domain,
    },
    /// The tag is for hashing only.
    #[error("`{domain}` is a tag for hashing, nothing is signed under it")]
    NotSigned {
        /// The domain asked for.
        domain: Domain,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_prefix_free_ascii_and_complete() {
        for a in Domain::ALL {
            assert!(a.tag().is_ascii());
            assert!(a.tag().starts_with(b"skychat/v1/"));
            for b in Domain::ALL {
                assert_eq!(a == b, a.tag().starts_with(b.tag()), "{a} and {b}");
            }
        }
    }

    #[test]
    fn the_header_layout_counts_on_a_tag_of_21_bytes() {
        assert_eq!(Domain::FeedEntry.tag().len(), 21);
    }

    #[test]
    fn every_domain_refuses_the_bytes_of_every_other() {
        for made_for in Domain::ALL {
            let bytes = [made_for.tag(), b"and more"].concat();
            for taken_for in Domain::ALL {
                let tagged = Tagged::new(taken_for, &bytes);
                if !taken_for.is_signed() {
                    assert_eq!(tagged, Err(WrongTag::NotSigned { domain: taken_for }));
                } else if made_for == taken_for {
                    assert_eq!(tagged.unwrap().bytes(), &bytes[..]);
                } else {
                    let expected = taken_for;
                    let found = made_for;
                    assert_eq!(tagged, Err(WrongTag::Other { expected, found }));
                }
            }
        }
    }

    #[test]
    fn bytes_without_a_tag_are_refused() {
        let expected = Domain::Card;
        for bytes in [&b""[..], b"skychat/v1/", b"skychat/v1/car", b"hello"] {
            assert_eq!(
                Tagged::new(Domain::Card, bytes),
                Err(WrongTag::Unknown { expected })
            );
        }
    }
}
