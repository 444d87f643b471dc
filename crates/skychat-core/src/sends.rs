//! Sending: one message for one id, however often and from wherever it is asked for (ID-4).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skychat_api::Delivery;
use skychat_engine::SendRejected;
use skychat_proto::ids::{MessageId, SpaceId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::drive::{Command, Placed};
use crate::messages::content_hash;
use crate::shared::Shared;
use crate::{Accepted, Draft, SendError};

/// How long a send waits for room.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Room {
    /// As long as it takes.
    Wait,
    /// At most this long.
    Within(Duration),
    /// Not at all.
    Now,
}

/// Sends with an id of the caller's that are under way.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Mutex<BTreeMap<(SpaceId, MessageId), Flight>>);

/// One of them: whoever sends the same joins it.
#[derive(Clone, Debug)]
struct Flight {
    /// What is said under this id, hashed.
    content: [u8; 32],
    outcome: watch::Receiver<Option<Result<Accepted, SendError>>>,
}

impl UnderWay {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(SpaceId, MessageId), Flight>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) async fn send(
    shared: &Arc<Shared>,
    draft: Draft,
    room: Room,
) -> Result<Accepted, SendError> {
    let Ok(space) = SpaceId::direct(&shared.public_key, &draft.to) else {
        return Err(SendError::OwnKey);
    };
    let Some(message) = draft.message else {
        return hand_over(shared, draft, room).await;
    };
    loop {
        match once(shared, space, message, &draft, room).await {
            // Somebody else's patience was over, not ours.
            Err(Joined {
                error: SendError::Busy,
                joined: true,
            }) => {}
            Err(Joined { error, .. }) => return Err(error),
            Ok(accepted) => return Ok(accepted),
        }
    }
}

/// An error, and whether it is that of a send that was joined.
struct Joined {
    error: SendError,
    joined: bool,
}

/// A send with an id of the caller's: joins one that is under way, or begins it.
async fn once(
    shared: &Arc<Shared>,
    space: SpaceId,
    message: MessageId,
    draft: &Draft,
    room: Room,
) -> Result<Accepted, Joined> {
    let content = content_hash(&draft.content.encode());
    let (mut outcome, begins) = match shared.under_way.lock().entry((space, message)) {
        Entry::Occupied(flight) => {
            if flight.get().content != content {
                let error = SendError::IdConflict { message };
                return Err(Joined {
                    error,
                    joined: false,
                });
            }
            (flight.get().outcome.clone(), None)
        }
        Entry::Vacant(place) => {
            let (told, outcome) = watch::channel(None);
            place.insert(Flight {
                content,
                outcome: outcome.clone(),
            });
            (outcome, Some(told))
        }
    };
    let joined = begins.is_none();
    if let Some(told) = begins {
        // In a task of its own: a caller that leaves does not take the others' answer with it.
        let flight = Landing {
            shared: Arc::clone(shared),
            key: (space, message),
        };
        let draft = draft.clone();
        shared.tracker.spawn(async move {
            let outcome =
                first_of_its_id(&flight.shared, space, message, content, draft, room).await;
            drop(flight);
            told.send_replace(Some(outcome));
        });
    }
    let landed = outcome.wait_for(Option::is_some).await;
    match landed.ok().and_then(|landed| landed.clone()) {
        Some(Ok(accepted)) => Ok(Accepted {
            new: accepted.new && !joined,
            ..accepted
        }),
        Some(Err(error)) => Err(Joined { error, joined }),
        None => Err(Joined {
            error: SendError::Stopping,
            joined,
        }),
    }
}

/// Takes a flight off the list when it is over, however it ends.
struct Landing {
    shared: Arc<Shared>,
    key: (SpaceId, MessageId),
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.shared.under_way.lock().remove(&self.key);
    }
}

async fn first_of_its_id(
    shared: &Arc<Shared>,
    space: SpaceId,
    message: MessageId,
    content: [u8; 32],
    draft: Draft,
    room: Room,
) -> Result<Accepted, SendError> {
    let to = draft.to;
    let looking = Arc::clone(shared);
    let earlier = crate::read::blocking(move || looking.messages.earlier(space, message)).await;
    let earlier = earlier.map_err(|source| SendError::Lookup { message, source })?;
    match earlier {
        None => hand_over(shared, draft, room).await,
        Some(earlier) if earlier.content.is_some_and(|earlier| earlier != content) => {
            Err(SendError::IdConflict { message })
        }
        Some(earlier) => Ok(Accepted {
            message,
            to,
            feed: earlier.feed,
            seq: earlier.seq,
            state: earlier.state,
            new: false,
        }),
    }
}

/// Hands a send to the engine, and waits until it is durable.
async fn hand_over(shared: &Shared, draft: Draft, room: Room) -> Result<Accepted, SendError> {
    let to = draft.to;
    let place = match room {
        Room::Wait => shared
            .commands
            .reserve()
            .await
            .map_err(|_| SendError::Stopping)?,
        Room::Within(patience) => timeout(patience, shared.commands.reserve())
            .await
            .map_err(|_| SendError::Busy)?
            .map_err(|_| SendError::Stopping)?,
        Room::Now => shared.commands.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => SendError::Busy,
            mpsc::error::TrySendError::Closed(()) => SendError::Stopping,
        })?,
    };
    let (answer, answered) = oneshot::channel();
    place.send(Command::Send {
        to,
        message: draft.message,
        content: draft.content,
        answer,
    });
    match answered.await {
        Ok(Ok(Placed { message, feed, seq })) => Ok(Accepted {
            message,
            to,
            feed,
            seq,
            state: Delivery::Accepted,
            new: true,
        }),
        Ok(Err(rejected)) => Err(rejected.into()),
        Err(_) => Err(SendError::Stopping),
    }
}

impl From<SendRejected> for SendError {
    fn from(rejected: SendRejected) -> Self {
        match rejected {
            SendRejected::OwnKey => SendError::OwnKey,
            SendRejected::TooLarge { found, limit } => SendError::TooLarge { found, limit },
            SendRejected::StoreFull => SendError::StoreFull,
            SendRejected::Quota => SendError::Quota,
            _ => SendError::Seal,
        }
    }
}
