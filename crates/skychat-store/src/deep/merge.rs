//! Writing runs, and making one of many, a part at a time.

use std::collections::VecDeque;
use std::ops::Range;

use super::DeepError;
use super::follow::KeyValuesMut;
use super::runs::{ITEM_BYTES, Item, Run, items};

/// Items of a run as it is first written, at least: a smaller one is written again with what comes
/// next.
pub(crate) const RUN: u64 = 4 * 1024;
/// Runs of one class that are made one of the next, and how much larger that is.
const FAN: usize = 8;
/// Items under one key.
const CHUNK: usize = 64;
/// Keys that are read at once: what lies side by side is fetched together.
const READ: usize = 16;

/// Writes a run, item by item in order.
#[derive(Debug)]
pub(crate) struct RunWriter {
    run: Run,
    first: Option<Item>,
    chunk: Vec<u8>,
}

impl RunWriter {
    pub(crate) fn new(from: u64, to: u64) -> Self {
        RunWriter {
            run: Run { from, to, items: 0 },
            first: None,
            chunk: Vec::with_capacity(CHUNK * ITEM_BYTES),
        }
    }

    pub(crate) fn push(&mut self, index: &dyn KeyValuesMut, item: Item) -> Result<(), DeepError> {
        if self.chunk.len() >= CHUNK * ITEM_BYTES {
            self.write(index)?;
        }
        self.first.get_or_insert(item);
        self.chunk.extend_from_slice(&item.to_bytes());
        self.run.items = self.run.items.saturating_add(1);
        Ok(())
    }

    fn write(&mut self, index: &dyn KeyValuesMut) -> Result<(), DeepError> {
        if let Some(first) = self.first.take() {
            index.put(&self.run.chunk_key(first), &self.chunk)?;
            self.chunk.clear();
        }
        Ok(())
    }

    /// From now on the run is there.
    pub(crate) fn finish(mut self, index: &dyn KeyValuesMut) -> Result<Run, DeepError> {
        self.write(index)?;
        index.put(&self.run.key(), &self.run.items.to_be_bytes())?;
        Ok(self.run)
    }
}

/// Reads a run, some chunks at a time.
#[derive(Debug)]
pub(crate) struct RunReader {
    run: Run,
    chunks: VecDeque<Item>,
    /// Behind the chunk that was read last; `None`: there are no more.
    next: Option<Vec<u8>>,
}

impl RunReader {
    pub(crate) fn new(run: Run) -> Self {
        RunReader {
            run,
            chunks: VecDeque::new(),
            next: Some(run.chunk_keys().0),
        }
    }

    fn peek(&mut self, index: &dyn KeyValuesMut) -> Result<Option<Item>, DeepError> {
        if self.chunks.is_empty()
            && let Some(from) = self.next.take()
        {
            let (_, end) = self.run.chunk_keys();
            let mut left = READ;
            index.scan(&from, &end, false, &mut |key, value| {
                self.chunks.extend(items(value));
                left = left.saturating_sub(1);
                if left == 0 {
                    let mut behind = key.to_vec();
                    behind.push(0);
                    self.next = Some(behind);
                }
                left > 0
            })?;
        }
        Ok(self.chunks.front().copied())
    }

    pub(crate) fn next(&mut self, index: &dyn KeyValuesMut) -> Result<Option<Item>, DeepError> {
        self.peek(index)?;
        Ok(self.chunks.pop_front())
    }
}

/// All items of a run, for one that is small.
pub(crate) fn read(index: &dyn KeyValuesMut, run: Run) -> Result<Vec<Item>, DeepError> {
    let mut reader = RunReader::new(run);
    let mut found = Vec::new();
    while let Some(item) = reader.next(index)? {
        found.push(item);
    }
    Ok(found)
}

/// Takes a run away.
pub(crate) fn remove(index: &dyn KeyValuesMut, run: Run) -> Result<(), DeepError> {
    // Whoever looks for it finds that it went before it finds nothing in it.
    index.remove(&run.key())?;
    let (from, to) = run.chunk_keys();
    let mut keys = Vec::new();
    index.scan(&from, &to, false, &mut |key, _| {
        keys.push(key.to_vec());
        true
    })?;
    keys.iter().try_for_each(|key| index.remove(key))
}

/// Several runs on the way to being one.
#[derive(Debug)]
pub(crate) struct Merge {
    sources: Vec<RunReader>,
    out: RunWriter,
}

fn class(run: Run) -> Option<u32> {
    run.items.checked_div(RUN)?.checked_ilog(FAN as u64)
}

impl Merge {
    /// Which ones are to be merged, if there are any: as many of one class as are one of the next,
    /// side by side. None that goes further than the mark: that one may have to be cut.
    pub(crate) fn plan(runs: &[Run], marked: u64) -> Option<Range<usize>> {
        let at = runs.windows(FAN).position(|some| {
            let first = some.first().and_then(|run| class(*run));
            let last = some.last().map_or(u64::MAX, |run| run.to);
            first.is_some() && last <= marked && some.iter().all(|run| class(*run) == first)
        })?;
        Some(at..at.saturating_add(FAN))
    }

    pub(crate) fn new(sources: &[Run]) -> Self {
        let from = sources.first().map_or(0, |run| run.from);
        let to = sources.last().map_or(0, |run| run.to);
        Merge {
            sources: sources.iter().copied().map(RunReader::new).collect(),
            out: RunWriter::new(from, to),
        }
    }

    /// Goes on with so many items; `Some`: it is done, and this is the one in place of them.
    pub(crate) fn go_on(
        mut self,
        index: &dyn KeyValuesMut,
        most: usize,
    ) -> Result<Result<Run, Self>, DeepError> {
        for _ in 0..most {
            let mut least: Option<(Item, usize)> = None;
            for (at, source) in self.sources.iter_mut().enumerate() {
                if let Some(item) = source.peek(index)?
                    && least.is_none_or(|(least, _)| item < least)
                {
                    least = Some((item, at));
                }
            }
            let Some((item, at)) = least else {
                let run = self.out.finish(index)?;
                for source in self.sources {
                    remove(index, source.run)?;
                }
                return Ok(Ok(run));
            };
            self.out.push(index, item)?;
            if let Some(source) = self.sources.get_mut(at) {
                source.next(index)?;
            }
        }
        Ok(Err(self))
    }
}
