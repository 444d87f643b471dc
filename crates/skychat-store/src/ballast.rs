//! Room that is kept for the time when there is none: a file that is let go of when the disk is
//! full, so that what was taken can still be written, and made again when there is room.

use std::io;

use crate::ahead::write_zeros;
use crate::disk::is_full;
use crate::writer::StoreWriter;

/// The file.
const PATH: &str = "ballast";
/// Its length in bytes.
pub const BALLAST: u64 = 16 * 1024 * 1024;

/// What has to be free beside a ballast that is not whole, so that there is room for more than
/// itself.
pub(crate) const MARGIN: u64 = 16 * 1024 * 1024;

/// The ballast of one store.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ballast {
    /// Whether the store is to have one.
    wanted: bool,
    /// So much of it is there.
    filled: u64,
    /// It was let go of, and is not whole again.
    let_go: bool,
}

impl Ballast {
    pub(crate) const fn is_let_go(&self) -> bool {
        self.let_go
    }
}

impl StoreWriter {
    /// Has the store keep a ballast from now on. What an earlier life left of it counts.
    pub fn keep_ballast(&mut self) {
        let length = self.shared.disk.len(PATH).unwrap_or(0);
        self.ballast = Ballast {
            wanted: true,
            filled: length.min(BALLAST),
            let_go: false,
        };
    }

    /// Lets go of the ballast; whether that made room.
    pub fn let_go(&mut self) -> bool {
        self.ballast.let_go = true;
        let filled = std::mem::take(&mut self.ballast.filled);
        self.ballast.wanted && filled > 0 && self.shared.disk.remove(PATH).is_ok()
    }

    /// Whether the disk was full, and there is not room again for everything: nothing new should
    /// be taken.
    pub fn is_full(&self) -> bool {
        self.waiting.is_some() || self.ballast.let_go
    }

    /// Makes a part of the ballast, up to 256 KiB; whether there is more to do.
    ///
    /// # Errors
    /// What the system said. If there is not room for it and 16 MiB more, it is taken away again.
    pub fn restore_ballast(&mut self) -> io::Result<bool> {
        let Ballast { wanted, filled, .. } = self.ballast;
        let disk = &self.shared.disk;
        if !wanted || filled >= BALLAST {
            self.ballast.let_go = false;
            return Ok(false);
        }
        let step = || {
            let needed = BALLAST.saturating_sub(filled).saturating_add(MARGIN);
            if disk.room().is_some_and(|room| room < needed) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            if filled == 0 {
                disk.create(PATH)?;
            }
            let end = write_zeros(&**disk, PATH, filled, BALLAST)?;
            disk.sync(PATH)?;
            Ok(end)
        };
        match step() {
            Ok(end) => {
                self.ballast.filled = end;
                if end >= BALLAST {
                    self.ballast.let_go = false;
                }
                Ok(end < BALLAST)
            }
            Err(error) => {
                if is_full(&error) {
                    self.ballast.let_go = true;
                    self.ballast.filled = 0;
                    // Half of it is of no use to anybody; it may not be there either.
                    let _ = disk.remove(PATH);
                }
                Err(error)
            }
        }
    }
}
