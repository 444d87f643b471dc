//! The thread that takes strangers in. Accepting, reading and answering handshakes are done on a
//! runtime of its own, so that a flood of strangers leaves the tasks of established links alone.

use std::future::Future;
use std::io;
use std::thread;

use tokio::runtime::{Builder, EnterGuard, Runtime};

/// How far the thread steps back behind the others of the process where processors are short: by
/// so many steps of `nice`. By 5 it gets a quarter of a processor that somebody else keeps busy:
/// enough for hundreds of handshakes a second.
#[cfg(target_os = "linux")]
const STEP_BACK: i32 = 5;

/// There until it is dropped, wherever that is.
pub(super) struct Greeter(Option<Runtime>);

impl Greeter {
    /// Its runtime, without the thread.
    pub(super) fn new() -> io::Result<Self> {
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_io().enable_time().build()?;
        Ok(Greeter(Some(runtime)))
    }

    /// Sockets made meanwhile are the greeter's.
    pub(super) fn enter(&self) -> Option<EnterGuard<'_>> {
        self.0.as_ref().map(Runtime::enter)
    }

    /// Starts the thread; it ends with `work`.
    pub(super) fn start(self, work: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let name = "skychat-greeter".to_owned();
        thread::Builder::new().name(name).spawn(move || {
            step_back();
            if let Some(runtime) = &self.0 {
                runtime.block_on(work);
            }
        })?;
        Ok(())
    }
}

impl Drop for Greeter {
    fn drop(&mut self) {
        // It may be dropped within another runtime, where waiting is not allowed.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Lets the other threads of the process go first. A system that refuses leaves things as they are.
#[cfg(target_os = "linux")]
fn step_back() {
    use rustix::process::{getpriority_process, setpriority_process};
    // Of this thread only: so Linux has it, other systems mean the process.
    if let Ok(now) = getpriority_process(None) {
        let _refused = setpriority_process(None, now.saturating_add(STEP_BACK).min(19));
    }
}

#[cfg(not(target_os = "linux"))]
const fn step_back() {}
