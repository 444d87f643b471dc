//! Reading and writing fixed layouts: big-endian, no alignment, nothing allocated.

/// Takes fields off the front of a slice. `None` means that there are not enough bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    /// What is left.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}

/// Writes `bytes` to the front of `out` and moves `out` past them. What does not fit is left out;
/// every caller writes a layout of constant length into a buffer of that length, and the tests
/// compare all of it.
pub(crate) fn put(out: &mut &mut [u8], bytes: &[u8]) {
    if let Some((front, rest)) = std::mem::take(out).split_at_mut_checked(bytes.len()) {
        front.copy_from_slice(bytes);
        *out = rest;
    }
}
