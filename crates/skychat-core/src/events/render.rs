//! From what is committed to what is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use skychat_api::{
    self as api, Branch, Cloned, Cursor, Delivery, EventKind, Fork, Gap, Recovered, RefusedEntry,
    StateChange,
};
use skychat_proto::ids::{EventSeq, FeedId, Incarnation, MessageId, Position, Seq};
use skychat_proto::limits::MAX_RANGE_ENTRIES;
use skychat_proto::record::tables;
use skychat_store::EventView;

use super::Event;
use super::log::{EventSource, Rendered};
use crate::ReadError;
use crate::messages::{Messages, record};
use crate::read::store_failed;
use crate::words::{fail_cause, kept};

/// Renders events of the store.
pub(crate) struct Renderer(pub(crate) Arc<Messages>);

impl EventSource for Renderer {
    fn page(&self, from: EventSeq, limit: usize) -> Result<Vec<(EventSeq, Rendered)>, ReadError> {
        let stored = self.0.reader().events(from, limit).map_err(store_failed)?;
        let mut page = Vec::with_capacity(stored.len());
        for event in stored {
            let kind = self.kind(event.seq, event.view)?;
            page.push((
                event.seq,
                kind.map(|kind| Event::made(api::Event::new(kind))),
            ));
        }
        Ok(page)
    }

    fn place(&self, after: Cursor) -> Result<(EventSeq, Option<api::GapCause>), ReadError> {
        let reader = self.0.reader();
        let before_first = reader.first_event().saturating_sub(1);
        let seq = after.seq();
        let known = reader.life_of(seq).is_some_and(|life| after.is_of(&life));
        if known || seq == EventSeq::ZERO {
            if seq >= before_first {
                return Ok((seq, None));
            }
            let resume = self.0.cursor(before_first);
            return Ok((
                before_first,
                Some(api::GapCause::Retention { after, resume }),
            ));
        }
        // Never past what that life is known to have told: rather twice than not at all.
        let told = self.end_of(after)?.unwrap_or(EventSeq::ZERO);
        let at = told.min(seq).max(before_first);
        let resume = self.0.cursor(at);
        Ok((at, Some(api::GapCause::UnknownCursor { after, resume })))
    }

    fn cursor(&self, seq: EventSeq) -> Cursor {
        self.0.cursor(seq)
    }
}

impl Renderer {
    /// The last event of the life that a cursor names; `None`: no life of this store.
    fn end_of(&self, cursor: Cursor) -> Result<Option<EventSeq>, ReadError> {
        let reader = self.0.reader();
        let lives = reader
            .rows(tables::OWN_LIFE, &cursor.life())
            .map_err(store_failed)?;
        let life = lives
            .first()
            .and_then(|(key, _)| Incarnation::from_slice(key));
        let Some((life, first)) = life.and_then(|life| Some((life, reader.first_of(life)?))) else {
            return Ok(None);
        };
        // Events of a life stand together: look for the first one behind them.
        let (mut low, mut high) = (first.get(), reader.last_event().get().saturating_add(1));
        while low < high {
            let middle = low.midpoint(high);
            if reader.life_of(EventSeq::new(middle)) == Some(life) {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        Ok(Some(EventSeq::new(low.saturating_sub(1))))
    }

    fn kind(&self, seq: EventSeq, view: EventView) -> Result<Option<EventKind>, ReadError> {
        let cursor = self.0.cursor(seq);
        match view {
            EventView::Message {
                header,
                record: place,
                plaintext,
            } => {
                let content = plaintext.as_deref().map(Vec::as_slice);
                let delivery = self.0.at_first(header.feed.author);
                let message = self.0.message(&header, content, delivery)?;
                Ok(Some(EventKind::Message(api::Message {
                    cursor: Some(cursor),
                    record: Some(record(place)),
                    ..message
                })))
            }
            EventView::Row {
                table: tables::EVENT,
                value: Some(value),
                ..
            } => self.row(cursor, &value),
            // Drafts do not occur with suite 1, other tables make no events so far.
            _ => Ok(None),
        }
    }

    fn row(&self, cursor: Cursor, value: &[u8]) -> Result<Option<EventKind>, ReadError> {
        let event = tables::Event::decode(value, &mut self.0.keys()).map_err(store_failed)?;
        let Some(event) = event else { return Ok(None) };
        Ok(Some(match event {
            tables::Event::Acked {
                feed,
                member,
                from,
                head,
                kept: place,
                refused,
            } => {
                let ids = self.ids(feed, from, head)?;
                let refused: BTreeMap<Seq, _> = refused.into_iter().collect();
                EventKind::State(StateChange {
                    cursor,
                    space: feed.space,
                    member,
                    incarnation: feed.incarnation,
                    from,
                    to: head,
                    delivery: Delivery::Stored { kept: kept(place) },
                    message_ids: ids
                        .iter()
                        .filter(|(seq, _)| !refused.contains_key(seq))
                        .map(|(_, id)| *id)
                        .collect(),
                    refused: refused
                        .into_iter()
                        .map(|(seq, cause)| RefusedEntry {
                            seq,
                            message_id: ids.get(&seq).copied(),
                            cause: fail_cause(cause),
                        })
                        .collect(),
                })
            }
            tables::Event::Reissued {
                message, feed, seq, ..
            } => EventKind::State(StateChange {
                cursor,
                space: feed.space,
                member: self.0.peer_of(feed.space)?.unwrap_or(feed.author),
                incarnation: feed.incarnation,
                from: seq.position(),
                to: seq.after(),
                delivery: Delivery::Accepted,
                message_ids: vec![message],
                refused: Vec::new(),
            }),
            tables::Event::Incarnation {
                peer,
                incarnation,
                newest,
            } => EventKind::Incarnation(Branch {
                cursor,
                peer,
                incarnation,
                known: newest,
            }),
            tables::Event::Clone { peer, lives } => EventKind::Clone(Cloned {
                cursor,
                peer,
                incarnations: lives,
            }),
            tables::Event::Gap {
                cause,
                feed,
                from,
                to,
            } => EventKind::Gap(Gap {
                cursor: Some(cursor),
                cause: gap(cause, feed, from, to),
            }),
            tables::Event::Fork { feed, common } => EventKind::Fork(Fork {
                cursor,
                author: feed.author,
                space: feed.space,
                incarnation: feed.incarnation,
                common,
            }),
            tables::Event::Recovered {
                feed,
                from,
                to,
                ours,
            } => EventKind::Recovered(Recovered {
                cursor,
                space: feed.space,
                incarnation: feed.incarnation,
                from,
                to,
                foreign: !ours,
            }),
            _ => return Ok(None),
        }))
    }

    /// The ids of the messages in a span of a feed, by their places: of 256 entries at most.
    fn ids(
        &self,
        feed: FeedId,
        from: Position,
        to: Position,
    ) -> Result<BTreeMap<Seq, MessageId>, ReadError> {
        let to = to.min(from.saturating_add(MAX_RANGE_ENTRIES as u64));
        let mut ids = BTreeMap::new();
        let mut at = from;
        while at < to {
            let left = to.entries_since(at);
            let Some(range) = self.0.entries(feed, at, left)? else {
                break;
            };
            for (index, (row, _)) in range.entries().enumerate() {
                let seq = at.next().checked_add(index as u64);
                if let Some(seq) = seq.filter(|seq| to.covers(*seq) && !row.message.is_zero()) {
                    ids.insert(seq, row.message);
                }
            }
            if range.end() <= at {
                break;
            }
            at = range.end();
        }
        Ok(ids)
    }
}

fn gap(cause: tables::GapCause, feed: FeedId, from: Position, to: Position) -> api::GapCause {
    let (author, space, incarnation) = (feed.author, feed.space, feed.incarnation);
    match cause {
        tables::GapCause::Missing => api::GapCause::Unavailable {
            author,
            space,
            incarnation,
            from,
            to,
        },
        tables::GapCause::Hash => api::GapCause::Mismatch {
            author,
            space,
            incarnation,
            // The named end is the last entry of the span.
            seq: to.last().unwrap_or(from.next()),
        },
        tables::GapCause::Dropped => api::GapCause::Dropped {
            author,
            space,
            incarnation,
            from,
            to,
        },
    }
}
