//! Writing an archive.

use std::io::{self, Write};

use data_encoding::{BASE64, HEXLOWER};
use serde::Serialize;
use sha2::{Digest, Sha256};
use skychat_api::{Message, V1};
use skychat_identity::{PublicKey, SecretKey};
use skychat_proto::ids::Timestamp;
use skychat_store::{HistoryItem, HistoryWriter, KeptGroup};

use super::{
    End, GROUP, GROUP_START, KIND, MESSAGE_START, RECORD_START, STRING_END, Start, VERSION, sign,
};
use crate::upkeep::UpkeepError;

/// A message.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    message: &'a Message,
}

/// Writes the lines of an archive, and hashes them.
pub(in crate::upkeep) struct ArchiveLines<'a> {
    out: &'a mut dyn Write,
    hash: Sha256,
    history: HistoryWriter,
    messages: u64,
}

impl<'a> ArchiveLines<'a> {
    /// Writes the first line.
    pub(in crate::upkeep) fn start(
        out: &'a mut dyn Write,
        public_key: PublicKey,
        exported: Timestamp,
    ) -> Result<Self, UpkeepError> {
        let mut lines = ArchiveLines {
            out,
            hash: Sha256::new(),
            history: HistoryWriter::default(),
            messages: 0,
        };
        lines.line(&[&json(&Start {
            kind: KIND.to_owned(),
            v: V1,
            archive: VERSION,
            public_key,
            exported,
        })?])?;
        Ok(lines)
    }

    /// Writes a message, for readers. All messages stand before the history.
    pub(in crate::upkeep) fn message(&mut self, message: &Message) -> Result<(), UpkeepError> {
        let kind = "message";
        let line = json(&Line { kind, message })?;
        debug_assert!(line.starts_with(MESSAGE_START));
        self.messages = self.messages.saturating_add(1);
        self.line(&[&line])
    }

    /// Writes what was committed together, without the state of keys.
    pub(in crate::upkeep) fn group(&mut self, group: &KeptGroup) -> Result<(), UpkeepError> {
        let mut history = std::mem::take(&mut self.history);
        let written = history.group(group, &mut |item| match item {
            HistoryItem::Record(item) => {
                let data = BASE64.encode(item);
                self.line(&[RECORD_START, data.as_bytes(), STRING_END])
            }
            HistoryItem::Group(None) => self.line(&[GROUP]),
            HistoryItem::Group(Some(life)) => {
                let life = HEXLOWER.encode(life.as_bytes());
                self.line(&[GROUP_START, life.as_bytes(), STRING_END])
            }
        });
        self.history = history;
        written
    }

    /// Writes the last line. Gives how many messages, groups and records there are.
    pub(in crate::upkeep) fn end(
        mut self,
        signer: Option<&SecretKey>,
    ) -> Result<(u64, u64, u64), UpkeepError> {
        let sha256: [u8; 32] = self.hash.clone().finalize().into();
        let signature = signer.map(|secret| sign(secret, &sha256)).transpose();
        let signature = signature.map_err(|error| UpkeepError::Output(io::Error::other(error)))?;
        let counts = (self.messages, self.history.groups(), self.history.records());
        self.line(&[&json(&End {
            kind: End::KIND.to_owned(),
            messages: counts.0.to_string(),
            groups: counts.1.to_string(),
            records: counts.2.to_string(),
            sha256: HEXLOWER.encode(&sha256),
            signature: signature.map(|signature| HEXLOWER.encode(&signature.to_bytes())),
        })?])?;
        self.out.flush().map_err(UpkeepError::Output)?;
        Ok(counts)
    }

    fn line(&mut self, parts: &[&[u8]]) -> Result<(), UpkeepError> {
        for part in parts.iter().copied().chain([&b"\n"[..]]) {
            self.hash.update(part);
            self.out.write_all(part).map_err(UpkeepError::Output)?;
        }
        Ok(())
    }
}

pub(super) fn json(document: &impl Serialize) -> Result<Vec<u8>, UpkeepError> {
    serde_json::to_vec(document).map_err(|error| UpkeepError::Output(io::Error::other(error)))
}
