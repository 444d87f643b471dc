//! Sealing: how bodies are made unreadable for everybody but their recipient, and text on disk
//! for everybody but its store.
//!
//! # Suites
//!
//! The header of every entry names the *suite* of its body:
//!
//! | suite | body | where |
//! |---|---|---|
//! | 0 | in clear | `open` and `control` entries; public spaces |
//! | 1 | HPKE base mode to the X25519 form of the recipient's identity, then XChaCha20-Poly1305 | direct spaces: [`Sealer`], [`Opener`] |
//!
//! Further numbers are refused as unsupported, by whoever meets them. HPKE is *base* mode in
//! every suite: what proves the author is the signature over the header, which covers the hash
//! of the sealed body; and what is sealed is bound to that author, space, feed, position and
//! message by [`SealInfo`] and [`EntryAad`].
//!
//! **There is no way back to clear text in the types.** A [`Sealer`] returns a sealed body or an
//! error, and nothing here takes "no encryption" as a parameter, a default or an option; an
//! [`Opener`] returns a plaintext that was authenticated, or an error. Suite 0 has no code here,
//! so a body in clear is never the outcome of a failure to seal.
//!
//! # The store key
//!
//! [`StoreKey`] seals the text and the rows that a store writes to its own disk, each bound to
//! its place.
//!
//! The crate is pure: randomness is passed in, and so is the time. Secrets are wiped when they
//! are dropped, cannot be copied or printed, and sit on the heap, where moving them leaves no
//! copies. Byte tables: `docs/protocol/direct.md`; vectors: `tests/vectors/`.
//!
//! ```
//! use rand_core::SeedableRng;
//! use skychat_identity::SecretKey;
//! use skychat_seal::{EntryAad, OpenError, Opener, SealInfo, Sealer};
//!
//! # let mut rng = chacha20::ChaCha20Rng::from_seed([3; 32]);   // seeded by the system in earnest
//! let ann = SecretKey::from_seed([1; 32]);
//! let bob = SecretKey::from_seed([2; 32]);
//!
//! let info = SealInfo { space: [9; 32], author: ann.public(), recipient: bob.public(), incarnation: [7; 8] };
//! let entry = EntryAad { stream: 1, seq: 1, message: [5; 16], kind: 1 };
//!
//! let mut sealer = Sealer::new(&mut rng, &info, 1_790_000_000_000)?;
//! let mut body = Vec::new();
//! sealer.seal(&mut rng, &entry, b"see you at nine", &mut body)?;
//!
//! let mut opener = Opener::new();
//! let text = opener.open(&bob.x25519(), &info, &entry, &body)?;
//! assert_eq!(&text[..], b"see you at nine");
//!
//! // The same body at another position is worth nothing.
//! let moved = EntryAad { seq: 2, ..entry };
//! assert_eq!(opener.open(&bob.x25519(), &info, &moved, &body), Err(OpenError::BadSeal));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod aead;
mod backup;
mod context;
mod kdf;
mod opener;
#[cfg(test)]
mod script;
mod sealer;
mod secret;
mod store_key;
#[cfg(test)]
mod vectors;

pub use backup::{
    BACKUP_CHUNK, BACKUP_HEADER_LEN, BACKUP_MAGIC, BACKUP_OVERHEAD, BACKUP_VERSION, BackupCost,
    BackupError, BackupOpener, BackupSealer,
};
pub use context::{AAD_LEN, EntryAad, INFO_LEN, KeyId, SUITE_HPKE_X25519, SealInfo};
pub use opener::{OPENER_CACHE, OpenError, Opener};
pub use sealer::{BODY_OVERHEAD, MAX_AGE_MS, MAX_SEALED, SealError, Sealer, sealed_len};
pub use store_key::{
    BadStoreSeal, STORE_KEY_LEN, STORE_KEY_MAGIC, STORE_KEY_VERSION, STORE_OVERHEAD, StoreKey,
    StoreKeyError, StoreSealTooLarge,
};
