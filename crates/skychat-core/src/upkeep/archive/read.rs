//! Reading an archive: all of it is verified by the time its last line was read.

use std::io::Read;

use data_encoding::{BASE64, HEXLOWER};
use serde::Deserialize;
use serde::de::IgnoredAny;
use skychat_identity::{KeyCache, PublicKey, Signature};
use skychat_proto::ids::{Incarnation, Timestamp};
use skychat_store::{HistoryReader, KeptGroup};
use zeroize::Zeroizing;

use super::lines::Lines;
use super::write::json;
use super::{
    ArchiveFileError, End, GROUP, GROUP_START, KIND, MESSAGE_START, RECORD_START, STRING_END,
    Start, VERSION, is_signed_by,
};
use crate::upkeep::{UpkeepError, verify::verify};

/// What an archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveRead {
    /// Whose it is.
    pub public_key: PublicKey,
    /// When it was written, by the clock of whoever wrote it.
    pub exported: Timestamp,
    /// Messages that are written out in it.
    pub messages: u64,
    /// Groups of its history.
    pub groups: u64,
    /// Records of it.
    pub records: u64,
}

/// Reads an archive from its first line to its last, and hands over its history, group by group.
/// What an entry says its author signed; that all of it is what the owner wrote is known when this
/// returns, and nothing that was handed over is to be used before (`docs/protocol/archive.md`).
///
/// It holds one line, of [`MAX_ARCHIVE_LINE`](super::MAX_ARCHIVE_LINE) bytes at most, and one group.
///
/// # Errors
/// [`UpkeepError::ArchiveFile`], [`UpkeepError::Forged`], [`UpkeepError::Input`], and what `each`
/// says.
pub fn read_archive(
    input: &mut dyn Read,
    owner: PublicKey,
    each: &mut dyn FnMut(KeptGroup) -> Result<(), UpkeepError>,
) -> Result<ArchiveRead, UpkeepError> {
    let mut file = ArchiveFile::begin(input)?;
    file.is_of(owner)?;
    while let Some(group) = file.next(&mut |_| {})? {
        each(group)?;
    }
    Ok(file.found())
}

/// An archive that is being read.
pub(in crate::upkeep) struct ArchiveFile<'a> {
    lines: Lines<'a>,
    start: Start,
    messages: u64,
    history: HistoryReader,
    /// Whether the history has begun: no message comes after that.
    in_history: bool,
    keys: KeyCache,
}

/// What every first line has, whatever wrote it.
#[derive(Deserialize)]
struct AnyStart {
    #[serde(rename = "type")]
    kind: String,
    archive: Option<u64>,
}

impl<'a> ArchiveFile<'a> {
    /// Reads the first line.
    pub(in crate::upkeep) fn begin(input: &'a mut dyn Read) -> Result<Self, UpkeepError> {
        let mut lines = Lines::new(input);
        let line = lines.next()?.ok_or(ArchiveFileError::Cut { line: 0 })?;
        let any: AnyStart = serde_json::from_slice(line).map_err(|_| ArchiveFileError::Other)?;
        match any.archive {
            _ if any.kind != KIND => return Err(ArchiveFileError::Other.into()),
            None => return Err(ArchiveFileError::TextOnly.into()),
            Some(VERSION) => {}
            Some(found) => return Err(ArchiveFileError::Version { found }.into()),
        }
        let start: Option<Start> = serde_json::from_slice(line).ok();
        let start = exactly(start, line)?.ok_or(ArchiveFileError::Line {
            line: 1,
            length: line.len(),
            expected: "the first line of an archive",
        })?;
        Ok(ArchiveFile {
            lines,
            start,
            messages: 0,
            history: HistoryReader::default(),
            in_history: false,
            keys: KeyCache::new(),
        })
    }

    /// That it says to be of this owner.
    pub(in crate::upkeep) fn is_of(&self, expected: PublicKey) -> Result<(), UpkeepError> {
        let found = self.start.public_key;
        if found == expected {
            Ok(())
        } else {
            Err(ArchiveFileError::Owner { found, expected }.into())
        }
    }

    /// The next group, each range of it its author's; `None`: that was all, and all of it is what its
    /// owner signed. `progress` is told how many bytes were read.
    pub(in crate::upkeep) fn next(
        &mut self,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Option<KeptGroup>, UpkeepError> {
        loop {
            progress(self.lines.read());
            let before = self.lines.number();
            let Some(line) = self.lines.next()? else {
                return Err(ArchiveFileError::Cut { line: before }.into());
            };
            let number = before.saturating_add(1);
            let not = |expected| ArchiveFileError::Line {
                line: number,
                length: line.len(),
                expected,
            };
            if line.starts_with(MESSAGE_START) {
                if self.in_history {
                    let (line, found) = (number, "a message");
                    return Err(ArchiveFileError::Order { line, found }.into());
                }
                let text = std::str::from_utf8(line).ok();
                let read = text.and_then(|text| serde_json::from_str::<IgnoredAny>(text).ok());
                read.ok_or_else(|| not("a message in JSON"))?;
                self.messages = self.messages.saturating_add(1);
            } else if let Some(data) = inner(line, RECORD_START) {
                self.in_history = true;
                let item = BASE64.decode(data).ok().map(Zeroizing::new);
                let item = item.ok_or_else(|| not("a record in canonical base64"))?;
                let read = self.history.record(&item);
                let line = number;
                read.map_err(|source| ArchiveFileError::Item { line, source })?;
            } else if line == GROUP || line.starts_with(GROUP_START) {
                self.in_history = true;
                let life = match inner(line, GROUP_START) {
                    Some(life) => Some(incarnation(life).ok_or_else(|| not("the end of a group"))?),
                    None if line == GROUP => None,
                    None => return Err(not("the end of a group").into()),
                };
                let group = self.history.group(life);
                verify(&group, &mut self.keys)?;
                return Ok(Some(group));
            } else {
                let end: Option<End> = serde_json::from_slice(line).ok();
                let end = end.filter(|end| end.kind == End::KIND);
                let end = exactly(end, line)?;
                let end = end.ok_or_else(|| not("a message, a record, a group or the end"))?;
                let length = line.len();
                self.end(&end, length)?;
                return Ok(None);
            }
        }
    }

    /// What was read so far.
    pub(in crate::upkeep) const fn found(&self) -> ArchiveRead {
        ArchiveRead {
            public_key: self.start.public_key,
            exported: self.start.exported,
            messages: self.messages,
            groups: self.history.groups(),
            records: self.history.records(),
        }
    }

    fn end(&mut self, end: &End, length: usize) -> Result<(), UpkeepError> {
        let sha256 = self.lines.hash_before();
        let line = self.lines.number();
        let not = |expected| ArchiveFileError::Line {
            line,
            length,
            expected,
        };
        let said: [u8; 32] = bytes(&end.sha256).ok_or_else(|| not("a SHA-256 in 64 hex digits"))?;
        if said != sha256 {
            return Err(ArchiveFileError::Hash {
                found: HEXLOWER.encode(&sha256),
                expected: HEXLOWER.encode(&said),
            }
            .into());
        }
        for (what, found, said) in [
            ("messages", self.messages, &end.messages),
            ("groups", self.history.groups(), &end.groups),
            ("records", self.history.records(), &end.records),
        ] {
            let expected = count(said).ok_or_else(|| not("a count in decimal"))?;
            if found != expected {
                return Err(ArchiveFileError::Counts {
                    what,
                    found,
                    expected,
                }
                .into());
            }
        }
        // Records behind the last group.
        let counts = (self.history.groups(), self.history.records());
        let whole = self.history.end(counts);
        whole.map_err(|source| ArchiveFileError::Item { line, source })?;
        let owner = self.start.public_key;
        let signature = end.signature.as_ref().ok_or(ArchiveFileError::Unsigned)?;
        let signature = bytes(signature).ok_or_else(|| not("a signature in 128 hex digits"))?;
        if !is_signed_by(&owner, &sha256, &Signature::from_bytes(signature)) {
            return Err(ArchiveFileError::Signature { owner }.into());
        }
        self.lines.end()
    }
}

/// A document, if the line is the one writing of it.
fn exactly<T: serde::Serialize>(
    document: Option<T>,
    line: &[u8],
) -> Result<Option<T>, UpkeepError> {
    let Some(document) = document else {
        return Ok(None);
    };
    Ok((json(&document)? == line).then_some(document))
}

/// What stands between the start of a line and its end.
fn inner<'l>(line: &'l [u8], start: &[u8]) -> Option<&'l [u8]> {
    line.strip_prefix(start)?.strip_suffix(STRING_END)
}

fn incarnation(hex: &[u8]) -> Option<Incarnation> {
    Incarnation::from_slice(&HEXLOWER.decode(hex).ok()?)
}

fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

/// A number in decimal, as it is written: without a sign, or zeros before it.
fn count(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}
