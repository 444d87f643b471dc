//! Lines of a file, of bounded length, and the hash over them.

use std::io::{BufRead, BufReader, ErrorKind, Read};

use sha2::{Digest, Sha256};

use super::{ArchiveFileError, MAX_ARCHIVE_LINE};
use crate::upkeep::UpkeepError;

/// Bytes that are read at once.
const BUFFER: usize = 64 * 1024;

/// Reads a file line by line. One line is held, of [`MAX_ARCHIVE_LINE`] bytes at most.
pub(super) struct Lines<'a> {
    input: BufReader<&'a mut dyn Read>,
    line: Vec<u8>,
    /// How many lines were read.
    number: u64,
    /// Over the lines before this one.
    hash: Sha256,
    read: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(input: &'a mut dyn Read) -> Self {
        Lines {
            input: BufReader::with_capacity(BUFFER, input),
            line: Vec::new(),
            number: 0,
            hash: Sha256::new(),
            read: 0,
        }
    }

    /// The next line, without its end; `None`: there is none.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, UpkeepError> {
        if self.number > 0 {
            self.hash.update(&self.line);
            self.hash.update(b"\n");
        }
        self.line.clear();
        loop {
            let there = fill(&mut self.input)?;
            if there.is_empty() {
                let cut = ArchiveFileError::Cut { line: self.number };
                return if self.line.is_empty() {
                    Ok(None)
                } else {
                    Err(cut.into())
                };
            }
            let end = there.iter().position(|byte| *byte == b'\n');
            let part = there.get(..end.unwrap_or(there.len())).unwrap_or_default();
            if self.line.len().saturating_add(part.len()) > MAX_ARCHIVE_LINE {
                let line = self.number.saturating_add(1);
                return Err(ArchiveFileError::LongLine { line }.into());
            }
            self.line.extend_from_slice(part);
            let used = part.len().saturating_add(end.is_some().into());
            self.input.consume(used);
            self.read = self.read.saturating_add(used as u64);
            if end.is_some() {
                self.number = self.number.saturating_add(1);
                return Ok(Some(&self.line));
            }
        }
    }

    /// The number of the line that was read last, from 1.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Bytes so far.
    pub(super) const fn read(&self) -> u64 {
        self.read
    }

    /// The SHA-256 of all lines before the one that was read last, with their ends.
    pub(super) fn hash_before(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }

    /// That there is nothing more.
    pub(super) fn end(&mut self) -> Result<(), UpkeepError> {
        let line = self.number;
        if fill(&mut self.input)?.is_empty() {
            Ok(())
        } else {
            Err(ArchiveFileError::Longer { line }.into())
        }
    }
}

/// What is there to be read; empty: that was all.
fn fill<'b>(input: &'b mut BufReader<&mut dyn Read>) -> Result<&'b [u8], UpkeepError> {
    while let Err(error) = input.fill_buf() {
        if error.kind() != ErrorKind::Interrupted {
            return Err(UpkeepError::Input(error));
        }
    }
    Ok(input.buffer())
}
