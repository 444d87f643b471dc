//! What drives the policy: it looks at the store from time to time, reads what the policy wants to
//! see, and has the engine write what goes. One small step at a time, beside everything else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use skychat_engine::GivenAway;
use skychat_proto::ids::{EventSeq, FeedId, Position};
use skychat_proto::record::tables;
use skychat_store::EventView;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

use super::Retention;
use super::keeper::{Keeper, PAGE, Read, Seen, Space, Step};
use crate::ReadError;
use crate::clock::Clock;
use crate::drive::Command;
use crate::events::EventLog;
use crate::journal::{Pressure, StoreFacts};
use crate::messages::Messages;
use crate::read::{blocking, store_failed, unread};

/// What `status` says of the room in the store.
#[derive(Debug, Default)]
pub(crate) struct Room {
    held: AtomicU64,
    over: AtomicBool,
}

impl Room {
    /// Bytes of the journal that are in use, about.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Nothing new is taken until something was given away.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Keeps the store within its bounds.
pub(crate) struct Sweeper {
    pub(crate) rules: Retention,
    pub(crate) clock: Clock,
    pub(crate) messages: Arc<Messages>,
    pub(crate) events: Arc<EventLog>,
    pub(crate) store: Arc<StoreFacts>,
    pub(crate) room: Arc<Room>,
    pub(crate) pressure: Pressure,
    pub(crate) commands: mpsc::Sender<Command>,
}

/// The engine takes no commands any more.
struct Stopping;

impl Sweeper {
    /// Runs until the node stops.
    ///
    /// # Cancel safety
    /// Dropped early, a step was written or it was not: the next life goes on from there.
    pub(crate) async fn run(self) {
        let messages = Arc::clone(&self.messages);
        let rules = self.rules.clone();
        let made = blocking(move || {
            let rows = messages
                .reader()
                .rows(tables::RETENTION, &[])
                .map_err(unread)?;
            Keeper::new(rules, &rows, |event| messages.reader().life_of(event))
                .map_err(store_failed)
        });
        let mut keeper = match made.await {
            Ok(keeper) => keeper,
            Err(error) => {
                warn!(%error, "it is not known how far text was given away: all is kept");
                return;
            }
        };
        let every = self.rules.every.max(Duration::from_millis(1));
        let mut failed = false;
        loop {
            match self.round(&mut keeper).await {
                Ok(()) => failed = false,
                Err(Ended::Stopping) => return,
                Err(Ended::Unread(ReadError::Indexing | ReadError::Busy)) => keeper.unread(),
                Err(Ended::Unread(error)) => {
                    keeper.unread();
                    if !std::mem::replace(&mut failed, true) {
                        warn!(%error, "text that is old enough could not be given away");
                    }
                }
            }
            tokio::time::sleep(every).await;
        }
    }

    /// Looks once, and goes through everything there is to do.
    async fn round(&self, keeper: &mut Keeper) -> Result<(), Ended> {
        let spaces = self.spaces(keeper).await?;
        let times = (self.clock.now(), self.clock.wall());
        let usage = self.store.usage();
        let total = self.rules.total.max(Retention::MIN_TOTAL);
        self.pressure
            .above(usage.total > total.saturating_sub(total / 8));
        let was_over = keeper.is_over();
        let last = self.events.last();
        let life = self.messages.reader().life_of(last);
        keeper.tick(times, (last, life, self.read_by_all(last)), usage, &spaces);
        let held = keeper.held(usage);
        self.room.held.store(held, Ordering::Relaxed);
        let over = keeper.is_over();
        if over != was_over {
            if over {
                warn!(
                    held,
                    "the store holds as much as it may: nothing new is taken"
                );
            } else {
                debug!(held, "there is room in the store again");
            }
            self.room.over.store(over, Ordering::Relaxed);
            self.command(Command::OverQuota { over }).await?;
        }
        let times = keeper.times();
        self.write(times).await?;
        let left: Vec<FeedId> = keeper.left().collect();
        for feed in left {
            let disk = self.messages.acked_on_disk(feed)?;
            let step = keeper.acked(feed, disk);
            self.write(step).await?;
        }
        while let Some(read) = keeper.next_read() {
            let step = match read {
                Read::Log { from } => {
                    let (page, last) = self.log_page(from).await?;
                    keeper.log_page(&page, last)
                }
                Read::Conversation { .. } => {
                    let page = self.conversation_page(read).await?;
                    keeper.conversation_page(&page)
                }
            };
            self.write(step).await?;
        }
        Ok(())
    }

    /// Up to which event everybody has read who counts. The cursors of named consumers that were
    /// used in the last 30 days are to be asked here. There are none: readers of the log keep
    /// their places themselves, and text lingers for them.
    fn read_by_all(&self, last: EventSeq) -> EventSeq {
        last
    }

    /// Conversations that have a cap.
    async fn spaces(&self, keeper: &Keeper) -> Result<Vec<Space>, Ended> {
        if !keeper.has_caps() {
            return Ok(Vec::new());
        }
        let (messages, rules) = (Arc::clone(&self.messages), self.rules.clone());
        let read = blocking(move || {
            let found = messages.reader().conversations().map_err(unread)?;
            let space = |found: skychat_store::StoredConversation| {
                let peer = messages.peer_of(found.space)?;
                Ok(Space {
                    space: found.space,
                    messages: found.messages,
                    keep: rules.keeps_of(peer.as_ref()),
                })
            };
            found.into_iter().map(space).collect()
        });
        Ok(read.await?)
    }

    /// A page of messages of the log, and the last event in it.
    async fn log_page(&self, from: EventSeq) -> Result<(Vec<Seen>, EventSeq), Ended> {
        let messages = Arc::clone(&self.messages);
        let read = blocking(move || {
            let events = messages.reader().events(from, PAGE).map_err(unread)?;
            let last = events.last().map_or(EventSeq::ZERO, |event| event.seq);
            let mut page = Page::new(&messages);
            for event in &events {
                if let EventView::Message {
                    header,
                    record,
                    plaintext,
                } = &event.view
                {
                    let text = plaintext.as_ref().map(|text| text.len());
                    page.add(*record, event.seq, (header.feed, header.seq), text)?;
                }
            }
            Ok((page.seen, last))
        });
        Ok(read.await?)
    }

    async fn conversation_page(&self, read: Read) -> Result<Vec<Seen>, Ended> {
        let Read::Conversation { space, before } = read else {
            return Ok(Vec::new());
        };
        let messages = Arc::clone(&self.messages);
        let read = blocking(move || {
            let stored = messages.reader().history(space, before, PAGE);
            let mut page = Page::new(&messages);
            for message in stored.map_err(unread)? {
                let text = message.content.as_ref().map(|text| text.len());
                let (header, event) = (&message.header, message.event);
                let event = event.unwrap_or(EventSeq::ZERO);
                page.add(message.record, event, (header.feed, header.seq), text)?;
            }
            Ok(page.seen)
        });
        Ok(read.await?)
    }

    /// Has a step written, and waits until it is on the disk.
    async fn write(&self, step: Step) -> Result<(), Stopping> {
        if step.is_empty() {
            return Ok(());
        }
        let (done, written) = oneshot::channel();
        let drops = step.drops.iter().map(|(feed, from, to)| GivenAway {
            feed: *feed,
            from: *from,
            to: *to,
        });
        let drops = drops.collect();
        let rows = step.rows;
        self.command(Command::GiveAway { drops, rows, done })
            .await?;
        written.await.map_err(|_| Stopping)?;
        if let Some(newest) = step.newest {
            // It was rendered before it was given away.
            self.events.forget(newest);
        }
        Ok(())
    }

    async fn command(&self, command: Command) -> Result<(), Stopping> {
        self.commands.send(command).await.map_err(|_| Stopping)
    }
}

/// Why a round ended early.
enum Ended {
    Stopping,
    Unread(ReadError),
}

impl From<Stopping> for Ended {
    fn from(_: Stopping) -> Self {
        Ended::Stopping
    }
}

impl From<ReadError> for Ended {
    fn from(error: ReadError) -> Self {
        Ended::Unread(error)
    }
}

/// Messages as the policy sees them.
struct Page<'a> {
    messages: &'a Messages,
    acked: BTreeMap<FeedId, Position>,
    seen: Vec<Seen>,
}

impl<'a> Page<'a> {
    fn new(messages: &'a Messages) -> Self {
        Page {
            messages,
            acked: BTreeMap::new(),
            seen: Vec::new(),
        }
    }

    fn add(
        &mut self,
        record: skychat_store::RecordId,
        event: EventSeq,
        (feed, seq): (FeedId, skychat_proto::ids::Seq),
        text: Option<usize>,
    ) -> Result<(), ReadError> {
        let own = self.messages.is_own(&feed);
        let text = text.map(|bytes| bytes as u64);
        let free = if own {
            let disk = match self.acked.get(&feed) {
                Some(disk) => *disk,
                None => {
                    let disk = self.messages.acked_on_disk(feed)?;
                    self.acked.insert(feed, disk);
                    disk
                }
            };
            disk.covers(seq)
        } else {
            true
        };
        self.seen.push(Seen {
            record,
            event,
            feed,
            seq,
            // Of ours there was the sealed body beside it.
            bytes: text.map_or(0, |bytes| if own { bytes.saturating_mul(2) } else { bytes }),
            there: text.is_some(),
            free,
        });
        Ok(())
    }
}
