//! Runs of message ids in files, one for each.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::deep::{CHUNK, CHUNK_BYTES, DeepError, Item, Run};

/// Files that are kept open.
const MAX_OPEN: usize = 8;
/// What a file is called while it is written.
const UNFINISHED: &str = ".new";

/// The files of a directory. They are named after the last group and the group before the first,
/// and nobody waits for the disk on their behalf: what a crash takes away is counted, and made
/// again.
#[derive(Debug)]
pub(super) struct RunFiles {
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Those that are whole, by their last and their first group.
    runs: BTreeMap<(u64, u64), Run>,
    open: BTreeMap<(u64, u64), Arc<File>>,
    writing: Option<((u64, u64), File)>,
}

fn name(run: Run) -> (u64, u64) {
    (run.to, run.from)
}

fn failed(error: &io::Error) -> DeepError {
    DeepError(format!("a run of message ids: {error}"))
}

impl RunFiles {
    /// What is in the directory; unfinished runs are removed.
    pub(super) fn open(dir: &Path) -> Result<Self, DeepError> {
        let mut runs = BTreeMap::new();
        fs::create_dir_all(dir).map_err(|error| failed(&error))?;
        for entry in fs::read_dir(dir).map_err(|error| failed(&error))? {
            let entry = entry.map_err(|error| failed(&error))?;
            let file = entry.file_name();
            let text = file.to_str().unwrap_or_default();
            if text.ends_with(UNFINISHED) {
                fs::remove_file(entry.path()).map_err(|error| failed(&error))?;
                continue;
            }
            let length = entry.metadata().map_err(|error| failed(&error))?.len();
            let run = Run::items_in(length).and_then(|items| parse(text, items));
            let run = run.ok_or_else(|| DeepError(format!("{text:?} is no run of it")))?;
            runs.insert(name(run), run);
        }
        Ok(RunFiles {
            dir: dir.to_owned(),
            state: Mutex::new(State {
                runs,
                ..State::default()
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, (to, from): (u64, u64), ending: &str) -> PathBuf {
        self.dir.join(format!("{to:016x}-{from:016x}{ending}"))
    }

    pub(super) fn runs(&self) -> Vec<Run> {
        self.state().runs.values().copied().collect()
    }

    pub(super) fn chunk(&self, run: Run, at: u64) -> Result<Option<Vec<Item>>, DeepError> {
        let Some(file) = self.file(run).map_err(|error| failed(&error))? else {
            return Ok(None);
        };
        let before = at.saturating_mul(CHUNK as u64);
        let items = run.items.saturating_sub(before).min(CHUNK as u64);
        let mut bytes = [0; CHUNK_BYTES];
        let length = usize::try_from(Run::length(items)).unwrap_or(CHUNK_BYTES);
        let bytes = bytes.get_mut(..length).unwrap_or_default();
        file.read_exact_at(bytes, Run::length(before))
            .map_err(|error| failed(&error))?;
        let items = run.decode(at, bytes);
        let items = items.ok_or_else(|| DeepError("a run is not what was written".to_owned()))?;
        Ok(Some(items))
    }

    fn file(&self, run: Run) -> io::Result<Option<Arc<File>>> {
        let mut state = self.state();
        if !state.runs.contains_key(&name(run)) {
            return Ok(None);
        }
        if let Some(file) = state.open.get(&name(run)) {
            return Ok(Some(Arc::clone(file)));
        }
        let file = Arc::new(File::open(self.path(name(run), ""))?);
        // The oldest runs are the largest: they stay.
        if state.open.len() >= MAX_OPEN {
            state.open.pop_last();
        }
        state.open.insert(name(run), Arc::clone(&file));
        Ok(Some(file))
    }

    pub(super) fn append(&self, run: Run, at: u64, chunk: &[u8]) -> Result<(), DeepError> {
        let append = || {
            let mut state = self.state();
            let file = match state.writing.take() {
                Some((of, file)) if of == name(run) && at > 0 => file,
                _ => OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(at == 0)
                    .open(self.path(name(run), UNFINISHED))?,
            };
            file.write_all_at(chunk, Run::length(at.saturating_mul(CHUNK as u64)))?;
            state.writing = Some((name(run), file));
            Ok(())
        };
        append().map_err(|error| failed(&error))
    }

    pub(super) fn finish(&self, run: Run) -> Result<(), DeepError> {
        let mut state = self.state();
        if state
            .writing
            .as_ref()
            .is_some_and(|(of, _)| *of == name(run))
        {
            state.writing = None;
        }
        fs::rename(self.path(name(run), UNFINISHED), self.path(name(run), ""))
            .map_err(|error| failed(&error))?;
        state.runs.insert(name(run), run);
        Ok(())
    }

    pub(super) fn remove(&self, run: Run) -> Result<(), DeepError> {
        let mut state = self.state();
        state.runs.remove(&name(run));
        state.open.remove(&name(run));
        fs::remove_file(self.path(name(run), "")).map_err(|error| failed(&error))
    }
}

fn parse(text: &str, items: u64) -> Option<Run> {
    let (to, from) = text.split_once('-')?;
    let number = |digits: &str| {
        let plain = digits.len() == 16 && !digits.starts_with('+');
        plain.then(|| u64::from_str_radix(digits, 16).ok())?
    };
    Some(Run {
        from: number(from)?,
        to: number(to)?,
        items,
    })
}
