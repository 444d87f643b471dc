//! Reading for the engine, on threads that may block: at most 32 at once, one for each feed.

use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use skychat_engine::{Input, Recovered, Tip};
use skychat_proto::ids::{FeedId, Position, Seq};
use skychat_proto::limits::LOADS;
use skychat_proto::record::tables;
use skychat_store::{ReadError, StoreReader};
use tokio::sync::mpsc;
use tracing::error;

/// How often it is looked whether the index is open, and how many times: a minute in all.
const INDEX_LOOK: Duration = Duration::from_millis(20);
const INDEX_LOOKS: u32 = 3_000;

/// What the engine wants to read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Load {
    /// A range.
    Range {
        load: u64,
        feed: FeedId,
        from: Position,
        max_entries: u32,
        max_bytes: u32,
        any_end: bool,
    },
    /// A content of our own.
    Content { load: u64, feed: FeedId, seq: Seq },
    /// What is known of a closed feed.
    Feed { load: u64, feed: FeedId },
}

impl Load {
    const fn feed(&self) -> FeedId {
        match self {
            Load::Range { feed, .. } | Load::Content { feed, .. } | Load::Feed { feed, .. } => {
                *feed
            }
        }
    }

    const fn unanswered(&self) -> Input {
        match *self {
            Load::Range { load, .. } => Input::Loaded { load, range: None },
            Load::Content { load, .. } => Input::LoadedContent {
                load,
                content: None,
            },
            Load::Feed { load, .. } => Input::LoadedFeed { load, found: None },
        }
    }
}

/// A read that is done.
pub(super) struct Done {
    feed: FeedId,
    pub(super) input: Input,
}

/// Reads that are under way, and those that wait for their turn: as many as the engine asks for,
/// which asks once for a feed and link.
pub(super) struct Loads {
    reader: StoreReader,
    running: BTreeSet<FeedId>,
    waiting: VecDeque<Load>,
    done: mpsc::Sender<Done>,
}

impl Loads {
    pub(super) fn new(reader: StoreReader) -> (Self, mpsc::Receiver<Done>) {
        // As many places as reads: whoever is done never waits.
        let (done, results) = mpsc::channel(LOADS);
        let loads = Loads {
            reader,
            running: BTreeSet::new(),
            waiting: VecDeque::new(),
            done,
        };
        (loads, results)
    }

    pub(super) fn ask(&mut self, load: Load) {
        if self.running.len() < LOADS && !self.running.contains(&load.feed()) {
            self.start(load);
        } else {
            self.waiting.push_back(load);
        }
    }

    /// A read is done: the next one may begin.
    pub(super) fn ended(&mut self, done: &Done) {
        self.running.remove(&done.feed);
        let next = self
            .waiting
            .iter()
            .position(|load| !self.running.contains(&load.feed()));
        if let Some(load) = next.and_then(|next| self.waiting.remove(next)) {
            self.start(load);
        }
    }

    fn start(&mut self, load: Load) {
        let feed = load.feed();
        self.running.insert(feed);
        let (reader, done) = (self.reader.clone(), self.done.clone());
        tokio::task::spawn_blocking(move || {
            // Whatever happens, the engine gets its answer.
            let read = catch_unwind(AssertUnwindSafe(|| patiently(&reader, load, &done)));
            let input = read.unwrap_or_else(|_| {
                error!("a read of the store panicked");
                load.unanswered()
            });
            // The engine is gone: nobody waits for it.
            let _ = done.blocking_send(Done { feed, input });
        });
    }
}

/// Reads, when the store knows where: its index may be opening.
fn patiently(reader: &StoreReader, load: Load, done: &mpsc::Sender<Done>) -> Input {
    let mut left = INDEX_LOOKS;
    loop {
        match read(reader, load) {
            Err(ReadError::Indexing) if left > 0 && !done.is_closed() => {
                left = left.saturating_sub(1);
                std::thread::sleep(INDEX_LOOK);
            }
            Ok(input) => return input,
            // What cannot be read is answered as what is not there: the engine asks elsewhere, or
            // later.
            Err(error) => {
                error!(feed = %load.feed().short(), %error, "the store was not read");
                return load.unanswered();
            }
        }
    }
}

fn read(reader: &StoreReader, load: Load) -> Result<Input, ReadError> {
    match load {
        Load::Range {
            load,
            feed,
            from,
            max_entries,
            max_bytes,
            any_end,
        } => {
            let range = reader.range(feed, from, max_entries, max_bytes, any_end)?;
            Ok(Input::Loaded { load, range })
        }
        Load::Content { load, feed, seq } => {
            // What was dropped cannot be said again.
            let content = reader.content(feed, seq)?;
            let content = content.and_then(|found| Some((found.message, found.content?)));
            Ok(Input::LoadedContent { load, content })
        }
        Load::Feed { load, feed } => {
            let found = Some(facts(reader, feed)?);
            Ok(Input::LoadedFeed { load, found })
        }
    }
}

/// What the store knows of a feed: its end and its rows.
fn facts(reader: &StoreReader, feed: FeedId) -> Result<Recovered, ReadError> {
    let key = feed.to_bytes();
    let mut found = Recovered::default();
    if let Some(tip) = reader.tip(feed) {
        let (head, hash) = (tip.head, tip.hash);
        found.tips.insert(feed, Tip { head, hash });
    }
    for table in [tables::FEED, tables::ACKED, tables::REFUSED] {
        let rows = reader.rows(table, &key)?.into_iter();
        found
            .tables
            .extend(rows.map(|(key, row)| ((table, key), row)));
    }
    Ok(found)
}
