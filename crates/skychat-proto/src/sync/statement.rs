//! Statements: signed facts outside of the feeds. Their format; nothing uses them yet.

use skychat_identity::{BadSignature, Domain, PublicKey, SecretKey, Signature, Tagged, WrongTag};

use crate::ids::Timestamp;

/// Something an author states outside of its feeds (SYNC-7). The newest number of an author and
/// kind wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Who states it.
    pub author: PublicKey,
    /// What it is about.
    pub kind: StatementKind,
    /// Grows with each one of its kind.
    pub number: u64,
    /// When it stops to hold.
    pub expiry: Timestamp,
    /// What is stated: at most [`MAX_STATEMENT_BODY`](crate::limits::MAX_STATEMENT_BODY) bytes.
    pub body: Vec<u8>,
    /// The author's, over [`signed_bytes`](Self::signed_bytes); not checked when it is read.
    pub signature: Signature,
}

/// What a [`Statement`] is about. Any number can stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatementKind(u16);

impl StatementKind {
    /// A contact card.
    pub const CARD: StatementKind = StatementKind(1);
    /// A public prekey.
    pub const PREKEY: StatementKind = StatementKind(2);
    /// A signed acknowledgement.
    pub const SEEN: StatementKind = StatementKind(3);

    /// From its number.
    pub const fn new(number: u16) -> Self {
        StatementKind(number)
    }

    /// Its number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The domain its signature belongs to; `None` for a kind that is not known.
    pub const fn domain(self) -> Option<Domain> {
        match self {
            StatementKind::CARD => Some(Domain::Card),
            StatementKind::PREKEY => Some(Domain::Prekey),
            StatementKind::SEEN => Some(Domain::Seen),
            _ => None,
        }
    }
}

impl Statement {
    /// States something.
    ///
    /// # Errors
    /// [`WrongTag`]: nothing is signed for statements of a kind that is not known.
    pub fn sign(
        author: &SecretKey,
        kind: StatementKind,
        number: u64,
        expiry: Timestamp,
        body: Vec<u8>,
    ) -> Result<Self, WrongTag> {
        let mut statement = Statement {
            author: author.public(),
            kind,
            number,
            expiry,
            body,
            signature: Signature::from_bytes([0; 64]),
        };
        let domain = kind.domain().unwrap_or(Domain::DirectSpace);
        let bytes = statement.signed_bytes().unwrap_or_default();
        statement.signature = author.sign(Tagged::new(domain, &bytes)?);
        Ok(statement)
    }

    /// What is signed: tag, author, kind (2 bytes), number (8), expiry (8), body. `None` for a
    /// kind that is not known.
    pub fn signed_bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = self.kind.domain()?.tag().to_vec();
        bytes.extend(self.author.as_bytes());
        bytes.extend(self.kind.get().to_be_bytes());
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(self.expiry.as_millis().to_be_bytes());
        bytes.extend_from_slice(&self.body);
        Some(bytes)
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`BadSignature`]; also for a kind that is not known.
    pub fn verify(&self) -> Result<(), BadSignature> {
        let (domain, bytes) = self
            .kind
            .domain()
            .zip(self.signed_bytes())
            .ok_or(BadSignature)?;
        let message = Tagged::new(domain, &bytes).map_err(|_| BadSignature)?;
        self.author.verify(message, &self.signature)
    }
}
