use skychat_identity::SecretKey;
use skychat_proto::ids::{Incarnation, LinkId, SpaceId, Stream};
use skychat_proto::sync::Refusal;

use super::*;

fn key(n: u8) -> PublicKey {
    SecretKey::from_seed([n; 32]).public()
}

fn feed(life: u8) -> FeedId {
    FeedId {
        author: key(1),
        space: SpaceId::from_bytes([7; 32]),
        stream: Stream::MESSAGES,
        incarnation: Incarnation::from_bytes([life; 8]),
    }
}

fn told(from: u64, head: u64, kept: sync::Kept) -> Told {
    Told {
        feed: feed(1),
        member: key(2),
        from: Position::new(from),
        head: Position::new(head),
        kept,
        refused: Vec::new(),
        reissued: Vec::new(),
        link: LinkId::new(1),
    }
}

fn wait(waiters: &Waiters, seq: u64, until: WaitFor) -> Wait<'_> {
    match waiters.ask(feed(1), Seq::new(seq), until) {
        Asked::Wait(wait) => wait,
        other => panic!("{other:?}"),
    }
}

fn stored(kept: Kept) -> Outcome {
    Outcome::Stored { by: key(2), kept }
}

#[test]
fn an_acknowledgement_answers_what_it_covers() {
    let waiters = Waiters::default();
    let mut covered = wait(&waiters, 4, WaitFor::Acked);
    let mut beyond = wait(&waiters, 5, WaitFor::Acked);
    waiters.told(&told(0, 5, sync::Kept::Disk));
    assert_eq!(covered.answer.try_recv(), Ok(stored(Kept::Disk)));
    assert!(beyond.answer.try_recv().is_err());
}

#[test]
fn what_was_told_before_the_wait_is_known() {
    let waiters = Waiters::default();
    waiters.told(&told(3, 5, sync::Kept::Memory));
    let known = |seq, until| matches!(waiters.ask(feed(1), Seq::new(seq), until), Asked::Known(_));
    assert!(known(4, WaitFor::Acked));
    // Kept in memory only, and asked for the disk.
    assert!(!known(4, WaitFor::Stored));
    // Before the span: the store knows whether it was refused, this run does not.
    assert!(!known(2, WaitFor::Acked));
    waiters.told(&told(3, 5, sync::Kept::Disk));
    assert!(known(4, WaitFor::Stored));
}

#[test]
fn a_wait_for_the_disk_outlasts_an_acknowledgement_from_memory() {
    let waiters = Waiters::default();
    let mut disk = wait(&waiters, 0, WaitFor::Stored);
    waiters.told(&told(0, 1, sync::Kept::Memory));
    assert!(disk.answer.try_recv().is_err());
    waiters.told(&told(0, 1, sync::Kept::Disk));
    assert_eq!(disk.answer.try_recv(), Ok(stored(Kept::Disk)));
}

#[test]
fn a_refusal_ends_every_wait() {
    let waiters = Waiters::default();
    let mut refused = wait(&waiters, 1, WaitFor::Stored);
    let mut taken = wait(&waiters, 2, WaitFor::Stored);
    waiters.told(&Told {
        refused: vec![(Seq::new(1), Refusal::Blocked)],
        ..told(0, 3, sync::Kept::Disk)
    });
    let cause = FailCause::Blocked;
    assert_eq!(refused.answer.try_recv(), Ok(Outcome::Failed { cause }));
    assert_eq!(taken.answer.try_recv(), Ok(stored(Kept::Disk)));
    assert_eq!(
        waiters.known(feed(1), Seq::new(1)),
        Some(Outcome::Failed { cause })
    );
}

#[test]
fn a_message_issued_again_is_waited_for_in_its_new_place() {
    let waiters = Waiters::default();
    let mut moved = wait(&waiters, 1, WaitFor::Stored);
    waiters.told(&Told {
        reissued: vec![(Seq::new(1), feed(2), Seq::new(9))],
        ..told(0, 3, sync::Kept::Disk)
    });
    assert!(moved.answer.try_recv().is_err());
    // One that asks only now is sent there too.
    assert_eq!(waiters.known(feed(1), Seq::new(1)), None);
    let mut later = wait(&waiters, 1, WaitFor::Acked);
    waiters.told(&Told {
        feed: feed(2),
        ..told(0, 10, sync::Kept::Disk)
    });
    assert_eq!(moved.answer.try_recv(), Ok(stored(Kept::Disk)));
    assert_eq!(later.answer.try_recv(), Ok(stored(Kept::Disk)));
}

#[test]
fn waits_that_ended_leave_nothing_behind() {
    let waiters = Waiters::default();
    {
        let _abandoned = wait(&waiters, 1, WaitFor::Acked);
        let mut moved = wait(&waiters, 2, WaitFor::Acked);
        let mut answered = wait(&waiters, 0, WaitFor::Acked);
        waiters.told(&Told {
            reissued: vec![(Seq::new(2), feed(2), Seq::new(0))],
            ..told(0, 1, sync::Kept::Disk)
        });
        assert!(answered.answer.try_recv().is_ok());
        assert!(moved.answer.try_recv().is_err());
    }
    let inner = waiters.lock();
    assert!(inner.waits.is_empty());
    assert!(inner.feeds.values().all(|feed| feed.waiting.is_empty()));
}

#[test]
fn there_is_a_bound_on_waits() {
    let waiters = Waiters::default();
    let all: Vec<_> = (0..MAX_WAITS)
        .map(|_| wait(&waiters, 0, WaitFor::Acked))
        .collect();
    assert!(matches!(
        waiters.ask(feed(1), Seq::new(0), WaitFor::Acked),
        Asked::Busy
    ));
    drop(all);
    drop(wait(&waiters, 0, WaitFor::Acked));
}
