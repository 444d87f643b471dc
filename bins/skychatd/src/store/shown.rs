//! What the `store` commands print: lines for people, or one JSON document.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use skychat_api::V1;
use skychat_core::upkeep::{
    CheckReport, Checked, Exported, FileState, Imported, IndexState, Loss, Rebuilt,
};
use skychat_identity::PublicKey;
use skychat_proto::ids::Timestamp;

/// Places of damage that are shown to people one by one.
const SHOWN_LOSSES: usize = 20;

/// What a check found.
#[derive(Serialize)]
pub(crate) struct ShownCheck {
    v: V1,
    data_dir: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<PublicKey>,
    files: [ShownFile; 3],
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<ShownStore>,
    /// An interrupted rebuild has to be finished first.
    unfinished_rebuild: bool,
    /// What a start says.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    /// The word of the table of errors; absent if all is in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

#[derive(Serialize)]
struct ShownFile {
    name: &'static str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// The journal and its index.
#[derive(Serialize)]
pub(crate) struct ShownStore {
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<PublicKey>,
    segments: u32,
    bytes: String,
    groups: String,
    records: String,
    events: String,
    messages: String,
    index: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    index_group: Option<String>,
    warnings: Vec<String>,
    losses: Vec<ShownLoss>,
    more_losses: String,
}

#[derive(Serialize)]
struct ShownLoss {
    segment: u32,
    offset: String,
    what: String,
    /// Absent: nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<String>,
    #[serde(skip)]
    line: String,
}

impl ShownLoss {
    fn of(loss: &Loss) -> Self {
        Self {
            segment: loss.segment,
            offset: loss.offset.to_string(),
            what: loss.what.to_string(),
            groups: loss.groups.map(|count| count.to_string()),
            records: loss.records.map(|count| count.to_string()),
            line: loss.to_string(),
        }
    }
}

impl ShownFile {
    fn of(name: &'static str, state: &FileState) -> Self {
        let (state, why) = match state {
            FileState::Whole => ("whole", None),
            FileState::Absent => ("absent", None),
            FileState::Bad { why, .. } => ("bad", Some(why.clone())),
        };
        Self { name, state, why }
    }
}

impl ShownStore {
    fn of(report: &CheckReport) -> Self {
        let (index, index_group) = match report.index {
            IndexState::UpTo(group) => ("fits", Some(group.to_string())),
            IndexState::Unfit => ("unfit", None),
            _ => ("absent", None),
        };
        Self {
            owner: report.owner,
            segments: report.segments,
            bytes: report.bytes.to_string(),
            groups: report.groups.to_string(),
            records: report.records.to_string(),
            events: report.events.to_string(),
            messages: report.messages.to_string(),
            index,
            index_group,
            warnings: report.warnings.iter().map(ToString::to_string).collect(),
            losses: report.losses.iter().map(ShownLoss::of).collect(),
            more_losses: report.more_losses.to_string(),
        }
    }
}

impl ShownCheck {
    pub(crate) fn of(found: &Checked) -> Self {
        let refusal = found.refusal.as_ref().map(|error| {
            let source = std::error::Error::source(error);
            source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
        });
        Self {
            v: V1,
            data_dir: found.dir.clone(),
            public_key: found.public_key,
            files: [
                ShownFile::of("identity.key", &found.identity),
                ShownFile::of("store.key", &found.store_key),
                ShownFile::of("token", &found.token),
            ],
            store: found.store.as_ref().map(ShownStore::of),
            unfinished_rebuild: found.unfinished,
            refusal,
            code: found.code().map(|code| code.word()),
        }
    }

    /// Why it is not in order, in one line.
    pub(crate) fn verdict(&self) -> String {
        if self.unfinished_rebuild {
            return "a rebuild was interrupted; `skychatd store rebuild` finishes it".to_owned();
        }
        let lost = self.store.as_ref().and_then(|store| store.losses.first());
        if let Some(first) = lost {
            return format!(
                "the store is damaged: {}; `skychatd store rebuild --accept-loss` goes on without \
                 what is lost, a backup loses less",
                first.line
            );
        }
        let bad = self.files.iter().find_map(|file| {
            let why = file.why.as_ref()?;
            Some(format!("{}: {why}", file.name))
        });
        self.refusal
            .clone()
            .or(bad)
            .unwrap_or_else(|| "not in order".to_owned())
    }
}

impl fmt::Display for ShownCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "data directory  {}", self.data_dir.display())?;
        for file in &self.files {
            write!(f, "{:<14}  {}", file.name, file.state)?;
            match &file.why {
                Some(why) => writeln!(f, ": {why}")?,
                None => writeln!(f)?,
            }
        }
        if self.unfinished_rebuild {
            return f.write_str("store           a rebuild was interrupted");
        }
        match &self.store {
            Some(store) => write!(f, "{store}")?,
            None if self.refusal.is_some() => f.write_str("store           not looked at")?,
            None => f.write_str("store           nothing is stored yet")?,
        }
        if let Some(refusal) = &self.refusal {
            write!(f, "\na start says    {refusal}")?;
        } else if self.code.is_none() {
            f.write_str("\nall is in order")?;
        }
        Ok(())
    }
}

impl fmt::Display for ShownStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            segments,
            bytes,
            groups,
            records,
            events,
            messages,
            ..
        } = self;
        writeln!(
            f,
            "journal         {segments} segments, {bytes} bytes, {groups} groups, {records} records, \
             {events} events, {messages} messages"
        )?;
        match &self.index_group {
            Some(group) => write!(f, "index           goes up to group {group}")?,
            None if self.index == "absent" => {
                f.write_str("index           none; it is made from the journal")?;
            }
            None => {
                f.write_str("index           does not fit; it is made again from the journal")?
            }
        }
        for warning in &self.warnings {
            write!(f, "\nwarning         {warning}")?;
        }
        for loss in self.losses.iter().take(SHOWN_LOSSES) {
            write!(f, "\nlost            {}", loss.line)?;
        }
        let unshown = self.losses.len().saturating_sub(SHOWN_LOSSES);
        if unshown > 0 || self.more_losses != "0" {
            write!(
                f,
                "\nlost            in {unshown} more places that --json names, and {} further ones",
                self.more_losses
            )?;
        }
        Ok(())
    }
}

/// What a rebuild did.
#[derive(Serialize)]
pub(crate) struct ShownRebuild {
    v: V1,
    /// `finished`, `index` or `store`.
    rebuilt: &'static str,
    /// Where the damaged files are.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<PathBuf>,
    /// What was found before.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<ShownStore>,
}

impl ShownRebuild {
    pub(crate) fn of(done: &Rebuilt) -> Self {
        let rebuilt = match (&done.report, &done.kept) {
            (None, _) => "finished",
            (Some(_), None) => "index",
            (Some(_), Some(_)) => "store",
        };
        Self {
            v: V1,
            rebuilt,
            kept: done.kept.clone(),
            store: done.report.as_ref().map(ShownStore::of),
        }
    }
}

impl fmt::Display for ShownRebuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(store) = &self.store {
            writeln!(f, "{store}")?;
        }
        f.write_str(match self.rebuilt {
            "index" => "the store is whole; its index was made again",
            "store" => "a new store was made of what is left",
            _ => "the rebuild that was interrupted is finished",
        })?;
        if let Some(kept) = &self.kept {
            let which = match self.rebuilt {
                "store" => "the damaged files are",
                _ => "what was there before is",
            };
            write!(f, "; {which} in {}", kept.display())?;
        }
        Ok(())
    }
}

/// Said when an export has no signature.
pub(super) const UNSIGNED: &str = "the identity was not at hand, so it is not signed: it can be read, \
                                   and not imported";

/// What an export wrote.
#[derive(Serialize)]
pub(crate) struct ShownExport {
    v: V1,
    file: PathBuf,
    public_key: PublicKey,
    messages: String,
    groups: String,
    records: String,
    /// Whether it can be imported.
    signed: bool,
}

impl ShownExport {
    pub(crate) fn of(file: &Path, done: &Exported) -> Self {
        Self {
            v: V1,
            file: file.into(),
            public_key: done.public_key,
            messages: done.messages.to_string(),
            groups: done.groups.to_string(),
            records: done.records.to_string(),
            signed: done.signed,
        }
    }
}

impl fmt::Display for ShownExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            messages,
            groups,
            records,
            ..
        } = self;
        write!(
            f,
            "{messages} messages in {}, and the history they are from: {records} records in {groups} \
             groups",
            self.file.display()
        )?;
        if !self.signed {
            write!(f, "\n{UNSIGNED}")?;
        }
        Ok(())
    }
}

/// What an import made.
#[derive(Serialize)]
pub(crate) struct ShownImport {
    v: V1,
    data_dir: PathBuf,
    public_key: PublicKey,
    exported: Timestamp,
    messages: String,
    groups: String,
    records: String,
    /// Where the store is that was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<PathBuf>,
}

impl ShownImport {
    pub(crate) fn of(dir: &Path, done: &Imported) -> Self {
        Self {
            v: V1,
            data_dir: dir.into(),
            public_key: done.archive.public_key,
            exported: done.archive.exported,
            messages: done.archive.messages.to_string(),
            groups: done.archive.groups.to_string(),
            records: done.archive.records.to_string(),
            kept: done.kept.clone(),
        }
    }
}

impl fmt::Display for ShownImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            messages,
            groups,
            records,
            ..
        } = self;
        write!(
            f,
            "{} has {messages} messages: {records} records in {groups} groups",
            self.data_dir.display()
        )?;
        if let Some(kept) = &self.kept {
            write!(f, "\nwhat was there before is in {}", kept.display())?;
        }
        Ok(())
    }
}
