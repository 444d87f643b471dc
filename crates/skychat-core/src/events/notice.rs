//! Passing news.

use skychat_api::{
    self as api, Direction, EventKind, Limited, LinkChange, LinkState, Missed, SyncProgress,
};
use skychat_engine::Notice;
use skychat_identity::PublicKey;
use skychat_proto::ids::LinkId;
use skychat_transport::{CloseReason, Link};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::words::limit_cause;

/// Passing news of a node: links that come and go, catch-up, limits. Nothing is replayed.
#[derive(Debug)]
pub struct Notices {
    news: broadcast::Receiver<api::Event>,
    ended: CancellationToken,
}

impl Notices {
    pub(crate) fn new(news: broadcast::Receiver<api::Event>, ended: CancellationToken) -> Self {
        Notices { news, ended }
    }

    /// The next one; waits for it. `None`: the node has stopped. A reader that was too slow gets
    /// [`EventKind::Missed`] in place of those it missed.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn next(&mut self) -> Option<api::Event> {
        tokio::select! {
            biased;
            news = self.news.recv() => match news {
                Ok(event) => Some(event),
                Err(RecvError::Lagged(notices)) => {
                    Some(api::Event::new(EventKind::Missed(Missed { notices })))
                }
                Err(RecvError::Closed) => None,
            },
            () = self.ended.cancelled() => None,
        }
    }
}

/// What the engine's news is called on the control surface; `None`: it is not for the application.
/// `reason`: why the link is over, if it is about that.
pub(crate) fn render_notice<'a>(
    notice: Notice,
    link: impl FnOnce(LinkId) -> Option<&'a Link>,
    reason: Option<CloseReason>,
) -> Option<api::Event> {
    let kind = match notice {
        Notice::LinkUp { link: id, peer, .. } => {
            EventKind::Link(change(peer, LinkState::Up, link(id), None))
        }
        Notice::LinkDown { link: id, peer } => {
            EventKind::Link(change(peer, LinkState::Down, link(id), reason))
        }
        Notice::Progress { feed, done, total } => EventKind::Sync(SyncProgress {
            peer: feed.author,
            space: feed.space,
            held: done.get(),
            offered: total.get(),
        }),
        Notice::Held { peer, cause } => EventKind::Limited(Limited {
            peer,
            cause: limit_cause(cause),
        }),
        _ => return None,
    };
    Some(api::Event::new(kind))
}

fn change(
    peer: PublicKey,
    state: LinkState,
    link: Option<&Link>,
    reason: Option<CloseReason>,
) -> LinkChange {
    LinkChange {
        peer,
        link: state,
        direction: match link {
            Some(link) if link.inbound() => Direction::In,
            _ => Direction::Out,
        },
        addr: link.map(|link| link.remote_addr().to_string()),
        reason: reason.map(|reason| reason.to_string()),
    }
}
