//! Headers and ids that were computed once, beside the bytes that they follow from.

use std::sync::Arc;

use super::raw::RawRange;
use crate::entry::Header;
use crate::ids::EntryId;

/// What follows from the bytes of a range, if somebody has computed it. It is no part of what the
/// range is: ranges are equal with it and without.
#[derive(Clone, Default)]
pub(super) struct Known(Option<Arc<[(Header, EntryId)]>>);

impl PartialEq for Known {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Known {}

impl Known {
    pub(super) fn of(headers: Vec<(Header, EntryId)>) -> Self {
        Known(Some(headers.into()))
    }

    pub(super) fn headers(&self) -> Option<&[(Header, EntryId)]> {
        self.0.as_deref()
    }
}

impl RawRange {
    /// The same range with its headers and ids at hand: whoever asks for them, of it or of a clone,
    /// hashes nothing. Costs one SHA-256 an entry, unless they are at hand already, and 280 bytes
    /// an entry as long as it or a clone lives.
    #[must_use]
    pub fn hashed(mut self) -> Self {
        if self.known.headers().is_none() {
            self.known = Known::of(self.headers().collect());
        }
        self
    }

    /// The same range without what [`hashed`](Self::hashed) keeps at hand.
    #[must_use]
    pub fn unhashed(&self) -> Self {
        RawRange {
            known: Known::default(),
            ..self.clone()
        }
    }

    /// Its headers with their ids, in order, if they are at hand.
    pub fn hashed_headers(&self) -> Option<&[(Header, EntryId)]> {
        self.known.headers()
    }
}
