//! The thread that does the handshakes of a listener, so that a flood of them leaves the tasks of
//! established links alone.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use tokio::sync::oneshot;

/// Steps that wait; one for each connection that may be unauthenticated, with some room.
const QUEUE: usize = 512;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Debug, Clone)]
pub(super) struct Worker(SyncSender<Job>);

impl Worker {
    /// Starts the thread; it ends when the last handle is dropped.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, queue) = sync_channel::<Job>(QUEUE);
        thread::Builder::new()
            .name("skychat-greeter".to_owned())
            .spawn(move || {
                for job in queue {
                    // A panic loses the one connection; its answer never comes.
                    let _lost = catch_unwind(AssertUnwindSafe(job));
                }
            })?;
        Ok(Worker(jobs))
    }

    /// Runs `job` there. `None`: the queue is full, or the job panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move || {
            if !answer.is_closed() {
                let _gone = answer.send(job());
            }
        });
        self.0.try_send(job).ok()?;
        answered.await.ok()
    }
}
