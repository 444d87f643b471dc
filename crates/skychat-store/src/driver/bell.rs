//! Tells a thread that there may be something to do, without waking it for every word.
//!
//! To wake a thread that sleeps costs the one who wakes it some microseconds, and the machine a
//! change of tasks: for a thread that only looks after what others did, that is more than its
//! work. So only the first word after a silence wakes it. While words go on it looks at its own
//! pace, and the last of them is not missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use super::thread::now;

/// What both sides see. All of it is sequentially consistent: whoever rings counts, and then looks
/// whether somebody sleeps; whoever goes to sleep says so, and then looks at the count.
#[derive(Debug, Default)]
struct Words {
    count: AtomicU64,
    /// The listener sleeps, and is to be woken by the next word.
    asleep: AtomicBool,
    /// It is not to wait for its pace.
    urgent: AtomicBool,
    ended: AtomicBool,
}

/// The one who rings.
#[derive(Debug)]
pub(crate) struct Bell {
    words: Arc<Words>,
    thread: Thread,
}

impl Bell {
    /// For the listener at the other end of `rope`, which `thread` has.
    pub(crate) fn new(rope: Rope, thread: &Thread) -> Self {
        Bell {
            words: rope.0,
            thread: thread.clone(),
        }
    }

    /// There may be something to do.
    pub(crate) fn ring(&self) {
        self.words.count.fetch_add(1, Ordering::SeqCst);
        if self.words.asleep.load(Ordering::SeqCst)
            && self.words.asleep.swap(false, Ordering::SeqCst)
        {
            self.thread.unpark();
        }
    }

    /// There is something to do now.
    pub(crate) fn ring_now(&self) {
        self.words.count.fetch_add(1, Ordering::SeqCst);
        if !self.words.urgent.swap(true, Ordering::SeqCst) {
            self.thread.unpark();
        }
    }

    /// Nobody rings any more.
    pub(crate) fn end(&self) {
        self.words.ended.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// What a [`Bell`] is made of, once the thread is there.
pub(crate) struct Rope(Arc<Words>);

/// The one who is told.
#[derive(Debug)]
pub(crate) struct Listener {
    words: Arc<Words>,
    seen: u64,
    pace: Duration,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Somebody rang, once or often.
    Word,
    /// Nobody did for as long as that.
    Nothing,
    /// Nobody will.
    End,
}

impl Listener {
    /// While words go on, each [`wait`](Self::wait) takes `pace`.
    pub(crate) fn new(pace: Duration) -> (Self, Rope) {
        let words = Arc::new(Words::default());
        let rope = Rope(Arc::clone(&words));
        let seen = 0;
        (Listener { words, seen, pace }, rope)
    }

    /// Waits for a word, but no longer than `most`. To be called by the thread of the bell.
    pub(crate) fn wait(&mut self, most: Option<Duration>) -> Heard {
        let began = now();
        loop {
            if self.words.ended.load(Ordering::SeqCst) {
                return Heard::End;
            }
            let urgent = self.words.urgent.swap(false, Ordering::SeqCst);
            let count = self.words.count.load(Ordering::SeqCst);
            let word = count != self.seen;
            let pace = word.then_some(self.pace);
            let limit = pace.into_iter().chain(most).min();
            let left = limit.map(|limit| limit.saturating_sub(began.elapsed()));
            // What was urgent and is no new word was looked at with the words before.
            if (urgent && word) || left == Some(Duration::ZERO) {
                self.seen = count;
                return if word { Heard::Word } else { Heard::Nothing };
            }
            if word {
                park(left);
            } else if self.sleep(left) {
                self.seen = self.words.count.load(Ordering::SeqCst);
                return Heard::Word;
            }
        }
    }

    /// Waits, whoever rings; `false`: the end has come.
    #[cfg(any(test, feature = "sled"))]
    pub(crate) fn rest(&self, pause: Duration) -> bool {
        let began = now();
        loop {
            let left = pause.saturating_sub(began.elapsed());
            match self.words.ended.load(Ordering::SeqCst) {
                true => return false,
                false if left.is_zero() => return true,
                false => thread::park_timeout(left),
            }
        }
    }

    /// Sleeps until the next word, if there was none since; whether that is what ended it.
    fn sleep(&self, left: Option<Duration>) -> bool {
        self.words.asleep.store(true, Ordering::SeqCst);
        let silent = self.words.count.load(Ordering::SeqCst) == self.seen;
        if silent && !self.words.ended.load(Ordering::SeqCst) {
            park(left);
        }
        // Whoever rang first has taken it.
        !self.words.asleep.swap(false, Ordering::SeqCst)
    }
}

fn park(left: Option<Duration>) {
    match left {
        Some(left) => thread::park_timeout(left),
        None => thread::park(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    const PACE: Duration = Duration::from_micros(50);

    #[test]
    fn no_word_is_missed_and_the_end_is_heard() {
        let (mut listener, rope) = Listener::new(PACE);
        let (heard, hears) = sync_channel(1);
        let thread = thread::spawn(move || {
            let mut words = 0_u64;
            loop {
                match listener.wait(None) {
                    Heard::Word => words += 1,
                    Heard::Nothing => unreachable!("it waits for ever"),
                    Heard::End => return words,
                }
                // Waits for the other one: silences and words come mixed. In the end it is gone.
                let _ = heard.send(());
            }
        });
        let bell = Bell::new(rope, thread.thread());
        for round in 0..2000_u32 {
            for _ in 0..=round % 3 {
                match round % 7 {
                    0 => bell.ring_now(),
                    _ => bell.ring(),
                }
            }
            // Whatever was under way: after a word somebody looks.
            hears.recv().unwrap();
            while hears.try_recv().is_ok() {}
        }
        bell.end();
        drop(hears);
        assert!(thread.join().is_ok_and(|words| words >= 2000));
    }

    #[test]
    fn words_that_go_on_are_looked_at_together() {
        let (mut listener, rope) = Listener::new(Duration::from_millis(5));
        let bell = Bell::new(rope, &thread::current());
        for _ in 0..1000 {
            bell.ring();
        }
        assert_eq!(listener.wait(None), Heard::Word);
        assert_eq!(listener.wait(Some(Duration::ZERO)), Heard::Nothing);
        bell.ring();
        bell.ring_now();
        assert_eq!(listener.wait(None), Heard::Word);
        assert_eq!(listener.wait(Some(PACE)), Heard::Nothing);
    }

    #[test]
    fn a_rest_is_not_cut_by_words_but_by_the_end() {
        let (listener, rope) = Listener::new(PACE);
        let bell = Bell::new(rope, &thread::current());
        bell.ring_now();
        assert!(listener.rest(PACE));
        bell.end();
        assert!(!listener.rest(Duration::from_secs(3600)));
    }
}
