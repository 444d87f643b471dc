//! For tests: a generator that says what it is told to.

use std::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

/// Gives these bytes in order, and panics when they are used up.
pub(crate) struct Script(Vec<u8>);

impl Script {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Script(bytes.to_vec())
    }
}

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let rest = self.0.split_off(out.len());
        out.copy_from_slice(&self.0);
        self.0 = rest;
        Ok(())
    }
}

impl TryCryptoRng for Script {}
