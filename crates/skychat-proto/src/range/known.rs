//! Headers and ids that were computed once, beside the bytes that they follow from.

use std::sync::Arc;

use crate::entry::Header;
use crate::ids::EntryId;

/// What follows from the bytes of a range, if somebody has computed it. It is no part of what the
/// range is: ranges are equal with it and without.
#[derive(Clone, Default)]
pub(super) struct Known(Option<Arc<Vec<(Header, EntryId)>>>);

impl PartialEq for Known {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Known {}

impl Known {
    pub(super) fn of(headers: Vec<(Header, EntryId)>) -> Self {
        Known(Some(Arc::new(headers)))
    }

    pub(super) fn headers(&self) -> Option<&[(Header, EntryId)]> {
        self.0.as_deref().map(Vec::as_slice)
    }
}
