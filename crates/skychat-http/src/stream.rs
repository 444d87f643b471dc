//! Streams of events: from a source into the body of an answer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use skychat_api::{Event, EventKind, Stopping};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::encode::StreamForm;

/// Streams at a time.
pub(crate) const MAX_STREAMS: usize = 512;
/// How long a stream may be silent before it says that it is alive (C34).
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Pieces of a stream between its task and its connection.
const QUEUE: usize = 2;
/// Events that are ready are written together, up to about this many bytes.
const PIECE: usize = 32 * 1024;

/// Where the events of a stream come from.
pub(crate) trait Source: Send + 'static {
    /// The next event; `None` when there are no more.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped early.
    fn next(&mut self) -> impl Future<Output = Option<Event>> + Send;
}

/// The places there are for streams, and the end of them.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Streams {
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self {
            places: Arc::new(Semaphore::new(MAX_STREAMS)),
            stop,
        }
    }

    /// A place for one more stream, if there is one.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// The body of a stream. It ends when the source does, when the client has gone, or when the
    /// server stops: then, if `notices` are wanted, after saying so.
    pub(crate) fn body<S: Source>(
        &self,
        place: OwnedSemaphorePermit,
        form: StreamForm,
        source: S,
        notices: bool,
    ) -> Body {
        let (sender, body) = Channel::new(QUEUE);
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let _place = place;
            pump(form, source, sender, stop, notices).await;
        });
        Body::new(body)
    }
}

async fn pump<S: Source>(
    form: StreamForm,
    mut source: S,
    mut sender: Sender<Bytes, Infallible>,
    stop: CancellationToken,
    notices: bool,
) {
    let mut piece = form.preamble().to_vec();
    loop {
        if !piece.is_empty() {
            let data = Bytes::from(std::mem::take(&mut piece));
            // A client that reads nothing keeps us here until its connection is given up.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                sent = sender.send_data(data) => if sent.is_err() { return },
            }
        }
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            next = source.next() => next,
            () = tokio::time::sleep(KEEP_ALIVE) => {
                piece.extend_from_slice(form.keep_alive());
                continue;
            }
        };
        let mut next = next;
        loop {
            let Some(event) = next else {
                let _ = sender.send_data(piece.into()).await;
                return;
            };
            if let Err(error) = form.event(&mut piece, &event) {
                tracing::error!(%error, "http: an event could not be written as JSON");
                return;
            }
            if piece.len() >= PIECE {
                break;
            }
            match ready(source.next()).await {
                Some(more) => next = more,
                None => break,
            }
        }
    }
    if notices {
        let mut last = Vec::new();
        let stopping = Event::new(EventKind::Stopping(Stopping {}));
        if form.event(&mut last, &stopping).is_ok() {
            // Only if there is room: stopping does not wait for a slow reader.
            let _ = sender.try_send(hyper::body::Frame::data(Bytes::from(last)));
        }
    }
}

/// What the future gives if it gives it at once.
async fn ready<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use skychat_api::Missed;
    use tokio::sync::mpsc;

    struct Script(mpsc::Receiver<u64>);

    impl Source for Script {
        async fn next(&mut self) -> Option<Event> {
            let notices = self.0.recv().await?;
            Some(Event::new(EventKind::Missed(Missed { notices })))
        }
    }

    fn stream(notices: bool) -> (Streams, mpsc::Sender<u64>, Body) {
        let streams = Streams::new(CancellationToken::new());
        let (sender, receiver) = mpsc::channel(10_000);
        let place = streams.place().unwrap();
        let body = streams.body(place, StreamForm::Ndjson, Script(receiver), notices);
        (streams, sender, body)
    }

    async fn frame(body: &mut Body) -> Option<String> {
        let frame = body.frame().await?.unwrap().into_data().unwrap();
        Some(String::from_utf8(frame.to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn c34_a_silent_stream_says_that_it_is_alive() {
        let (_streams, sender, mut body) = stream(false);
        let start = tokio::time::Instant::now();
        assert_eq!(frame(&mut body).await.as_deref(), Some("\n"));
        assert_eq!(start.elapsed(), KEEP_ALIVE);
        sender.send(3).await.unwrap();
        assert!(
            frame(&mut body)
                .await
                .unwrap()
                .contains("\"notices\":\"3\"")
        );
    }

    #[tokio::test]
    async fn what_is_ready_is_written_together_and_bounded() {
        let (_streams, sender, mut body) = stream(false);
        for n in 0..5_000 {
            sender.send(n).await.unwrap();
        }
        drop(sender);
        let (mut pieces, mut text) = (0, String::new());
        while let Some(piece) = frame(&mut body).await {
            assert!(piece.len() < PIECE + 1_024);
            assert!(piece.ends_with('\n'));
            pieces += 1;
            text += &piece;
        }
        assert_eq!(text.lines().count(), 5_000);
        assert!(pieces < 100, "{pieces}");
    }

    #[tokio::test]
    async fn a_stop_ends_streams_even_of_those_who_do_not_read() {
        let (streams, sender, mut body) = stream(true);
        sender.send(1).await.unwrap();
        assert!(frame(&mut body).await.is_some());
        streams.stop.cancel();
        assert!(frame(&mut body).await.unwrap().contains("stopping"));
        assert_eq!(frame(&mut body).await, None);

        let (streams, sender, body) = stream(true);
        for n in 0..10_000 {
            sender.send(n).await.unwrap();
        }
        tokio::task::yield_now().await;
        streams.stop.cancel();
        while streams.places.available_permits() < MAX_STREAMS {
            tokio::task::yield_now().await;
        }
        drop(body);
    }

    #[tokio::test]
    async fn a_place_is_given_back_when_the_client_has_gone() {
        let (streams, sender, body) = stream(false);
        assert_eq!(streams.places.available_permits(), MAX_STREAMS - 1);
        drop(body);
        sender.send(1).await.unwrap();
        while streams.places.available_permits() < MAX_STREAMS {
            tokio::task::yield_now().await;
        }
        let all: Vec<_> = std::iter::from_fn(|| streams.place()).collect();
        assert_eq!(all.len(), MAX_STREAMS);
        assert!(streams.place().is_none());
    }
}
