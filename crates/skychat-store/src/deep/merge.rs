//! Writing runs, and making one of many, a part at a time.

use std::collections::VecDeque;
use std::ops::Range;

use super::DeepError;
use super::follow::DeepIndexMut;
use super::runs::{CHUNK, Item, Run};

/// Items of a run as it is first written, at least: a smaller one is written again with what comes
/// next.
pub(crate) const RUN: u64 = 4 * 1024;
/// Runs of one class that are made one of the next, and how much larger that is.
const FAN: usize = 8;

/// Writes a run, item by item in order.
#[derive(Debug)]
pub(crate) struct RunWriter {
    run: Run,
    chunk: Vec<Item>,
}

impl RunWriter {
    pub(crate) fn new(from: u64, to: u64) -> Self {
        RunWriter {
            run: Run { from, to, items: 0 },
            chunk: Vec::with_capacity(CHUNK),
        }
    }

    pub(crate) fn push(&mut self, index: &dyn DeepIndexMut, item: Item) -> Result<(), DeepError> {
        if self.chunk.len() >= CHUNK {
            self.write(index)?;
        }
        self.chunk.push(item);
        Ok(())
    }

    fn write(&mut self, index: &dyn DeepIndexMut) -> Result<(), DeepError> {
        let at = self.run.chunks();
        index.append_chunk(self.run, at, &self.run.encode(at, &self.chunk))?;
        let items = self.chunk.len() as u64;
        self.run.items = self.run.items.saturating_add(items);
        self.chunk.clear();
        Ok(())
    }

    /// From now on the run is there, if there is anything in it.
    pub(crate) fn finish(mut self, index: &dyn DeepIndexMut) -> Result<Option<Run>, DeepError> {
        if !self.chunk.is_empty() {
            self.write(index)?;
        }
        if self.run.items == 0 {
            return Ok(None);
        }
        index.finish_run(self.run)?;
        Ok(Some(self.run))
    }
}

/// Reads a run, a chunk at a time.
#[derive(Debug)]
pub(crate) struct RunReader {
    run: Run,
    chunk: VecDeque<Item>,
    next: u64,
}

impl RunReader {
    pub(crate) const fn new(run: Run) -> Self {
        RunReader {
            run,
            chunk: VecDeque::new(),
            next: 0,
        }
    }

    fn peek(&mut self, index: &dyn DeepIndexMut) -> Result<Option<Item>, DeepError> {
        if self.chunk.is_empty() && self.next < self.run.chunks() {
            let chunk = index.chunk(self.run, self.next)?;
            self.chunk = chunk
                .ok_or_else(|| DeepError("a run is gone".to_owned()))?
                .into();
            self.next = self.next.saturating_add(1);
        }
        Ok(self.chunk.front().copied())
    }

    pub(crate) fn next(&mut self, index: &dyn DeepIndexMut) -> Result<Option<Item>, DeepError> {
        self.peek(index)?;
        Ok(self.chunk.pop_front())
    }
}

/// All items of a run, for one that is small.
pub(crate) fn read(index: &dyn DeepIndexMut, run: Run) -> Result<Vec<Item>, DeepError> {
    let mut reader = RunReader::new(run);
    let mut found = Vec::new();
    while let Some(item) = reader.next(index)? {
        found.push(item);
    }
    Ok(found)
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

    /// Goes on with so many items; whether that was all.
    pub(crate) fn go_on(
        &mut self,
        index: &dyn DeepIndexMut,
        most: usize,
    ) -> Result<bool, DeepError> {
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
                return Ok(true);
            };
            self.out.push(index, item)?;
            if let Some(source) = self.sources.get_mut(at) {
                source.next(index)?;
            }
        }
        Ok(false)
    }

    /// All was read: the one in place of them.
    pub(crate) fn finish(self, index: &dyn DeepIndexMut) -> Result<Run, DeepError> {
        let run = self.out.finish(index)?;
        let run = run.ok_or_else(|| DeepError("runs with nothing in them".to_owned()))?;
        for source in self.sources {
            index.remove_run(source.run)?;
        }
        Ok(run)
    }
}
