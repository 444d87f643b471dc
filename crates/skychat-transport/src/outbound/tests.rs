use proptest::prelude::*;
use skychat_proto::limits::{MAX_MESSAGE, MAX_SYNC_MESSAGE};

use super::*;
use crate::frame::Frames;
use crate::{Assembled, Assembler};

const CONTROL: ServiceId = ServiceId::SYNC;
const BULKY: ServiceId = ServiceId::RANGE;

fn queue() -> Outbound {
    Outbound::new(Arc::default())
}

fn turn(queue: &mut Outbound) -> Vec<Vec<u8>> {
    let mut turn = Vec::new();
    let bytes = queue.take(&mut turn);
    assert_eq!(bytes, turn.iter().map(Vec::len).sum::<usize>());
    turn
}

/// (service, payload length) of every frame.
fn frames(record: &[u8]) -> Vec<(ServiceId, usize)> {
    Frames::of(&record[LENGTH..record.len() - TAG])
        .map(|frame| frame.unwrap())
        .map(|frame| (frame.service, frame.payload.len()))
        .collect()
}

/// Takes and writes everything; returns the messages in the order they arrive.
fn drain(queue: &mut Outbound) -> Vec<(ServiceId, Vec<u8>)> {
    let mut all = Assembler::new(&[CONTROL, BULKY, ServiceId::LIVE]);
    let mut messages = Vec::new();
    while !queue.is_empty() {
        let mut turn = turn(queue);
        let mut bytes = 0;
        for record in &turn {
            bytes += record.len();
            assert!(record.len() <= MAX_WIRE);
            for frame in Frames::of(&record[LENGTH..record.len() - TAG]) {
                if let Assembled::Message(service, message) = all.accept(frame.unwrap()).unwrap() {
                    messages.push((service, message.to_vec()));
                }
            }
        }
        queue.written(bytes);
        queue.recycle(&mut turn);
    }
    assert!(!all.has_parts());
    assert_eq!(queue.queued(), 0);
    messages
}

#[test]
fn small_messages_share_a_record() {
    let mut queue = queue();
    for _ in 0..900 {
        queue.push(BULKY, &[&[7; 64]]).unwrap();
    }
    let turn = turn(&mut queue);
    assert_eq!(turn.len(), 1);
    assert_eq!(frames(&turn[0]), vec![(BULKY, 64); 900]);
    assert_eq!(turn[0].len(), LENGTH + 900 * 69 + TAG);
}

#[test]
fn a_message_of_several_parts_is_one() {
    let mut queue = queue();
    queue.push(BULKY, &[b"head", b"", b"body"]).unwrap();
    queue.push(BULKY, &[]).unwrap();
    assert_eq!(
        drain(&mut queue),
        [(BULKY, b"headbody".to_vec()), (BULKY, vec![])]
    );
}

#[test]
fn link_6_fragments_fill_records_and_stay_together() {
    let mut queue = queue();
    let message: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
    let (head, tail) = message.split_at(33_333);
    queue.push(BULKY, &[b"!"]).unwrap();
    queue.push(BULKY, &[head, tail]).unwrap();
    queue.push(BULKY, &[b"?"]).unwrap();
    let turn = turn(&mut queue);
    assert_eq!(turn.len(), 4);
    for full in &turn[..3] {
        assert_eq!(full.len(), MAX_WIRE);
    }
    let records: Vec<_> = turn.iter().map(|record| frames(record)).collect();
    assert_eq!(records[0][0], (BULKY, 1));
    assert_eq!(
        records[0].iter().skip(1).map(|f| f.1).max(),
        Some(MAX_FRAME)
    );
    assert_eq!(records[3].last(), Some(&(BULKY, 1)));
}

#[test]
fn messages_of_one_frame_are_never_cut() {
    let mut queue = queue();
    for _ in 0..9 {
        queue.push(BULKY, &[&[0; MAX_FRAME]]).unwrap();
    }
    let lengths: Vec<_> = turn(&mut queue)
        .iter()
        .map(|record| frames(record).len())
        .collect();
    assert_eq!(lengths, [3, 3, 3]);
}

#[test]
fn link_2_control_overtakes_bulk() {
    let mut queue = queue();
    let megabyte = vec![0; 1 << 20];
    for _ in 0..3 {
        queue.push(BULKY, &[&megabyte]).unwrap();
    }
    queue.push(CONTROL, &[b"sync"]).unwrap();
    queue.push(ServiceId::LINK, &[b"ping"]).unwrap();
    let first = turn(&mut queue);
    assert_eq!(frames(&first[0]), [(ServiceId::LINK, 4)]);
    assert_eq!(frames(&first[1]), [(CONTROL, 4)]);
    assert!(first[2..].iter().all(|record| frames(record)[0].0 == BULKY));
    // A turn is bounded, so what comes now waits for no more than one.
    let bytes: usize = first.iter().map(Vec::len).sum();
    assert!(bytes <= SLOW_TURN_BYTES + MAX_WIRE, "{bytes}");
    queue.push(CONTROL, &[b"more"]).unwrap();
    assert_eq!(frames(&turn(&mut queue)[0]), [(CONTROL, 4)]);
}

#[test]
fn turns_are_longer_while_the_socket_takes_them_at_once() {
    let mut queue = queue();
    let megabyte = vec![0; 1 << 20];
    while queue.push(BULKY, &[&megabyte]).is_ok() {}
    let mut next = |at_once: Option<bool>| {
        at_once.into_iter().for_each(|at_once| queue.pace(at_once));
        queue.take(&mut Vec::new())
    };
    // Nothing is known of a link that is new.
    let bound = |most: usize| most - MAX_WIRE..=most;
    assert!(bound(SLOW_TURN_BYTES).contains(&next(None)));
    assert!(bound(TURN_BYTES).contains(&next(Some(true))));
    assert!(bound(TURN_BYTES).contains(&next(Some(true))));
    assert!(bound(SLOW_TURN_BYTES).contains(&next(Some(false))));
    assert!(bound(TURN_BYTES).contains(&next(Some(true))));
}

#[test]
fn bulk_is_not_starved_by_control() {
    let mut queue = queue();
    queue.push(BULKY, &[&[0; 100]]).unwrap();
    for _ in 0..200 {
        queue.push(CONTROL, &[&[0; MAX_FRAME]]).unwrap();
    }
    let first = turn(&mut queue);
    assert!(first.len() <= TURN_RECORDS);
    assert_eq!(frames(first.last().unwrap()), [(BULKY, 100)]);
}

#[test]
fn a_full_queue_refuses_bulk_first_and_then_control() {
    let mut queue = queue();
    let piece = vec![0; 100_000];
    while queue.push(BULKY, &[&piece]).is_ok() {}
    assert!(queue.queued() > QUEUE_LIMIT - 101_000);
    assert!(queue.queued() <= QUEUE_LIMIT);
    assert_eq!(queue.push(ServiceId::LIVE, &[&piece]), Err(SendError::Full));
    let mut control = 0;
    while queue.push(CONTROL, &[&[0; 1000]]).is_ok() {
        control += 1;
    }
    assert!(control > 200, "{control}");
    assert!(queue.queued() <= QUEUE_LIMIT + CONTROL_RESERVE);
    // The last words always fit.
    queue.push_last(ServiceId::LINK, &[b"goodbye"]).unwrap();
    let messages = drain(&mut queue);
    assert_eq!(
        messages.last(),
        Some(&(ServiceId::LINK, b"goodbye".to_vec()))
    );
}

#[test]
fn an_empty_queue_takes_the_largest_message_and_no_larger_one() {
    let mut queue = queue();
    let largest = vec![0; MAX_MESSAGE];
    queue.push(BULKY, &[&largest]).unwrap();
    let too_large = vec![0; MAX_MESSAGE + 1];
    let refused = queue.push(BULKY, &[&too_large]);
    let (found, limit) = (MAX_MESSAGE + 1, MAX_MESSAGE);
    assert_eq!(refused, Err(SendError::TooLarge { found, limit }));
    let (found, limit) = (MAX_SYNC_MESSAGE + 1, MAX_SYNC_MESSAGE);
    let refused = queue.push(CONTROL, &[&too_large[..found]]);
    assert_eq!(refused, Err(SendError::TooLarge { found, limit }));
    assert_eq!(drain(&mut queue)[0].1.len(), MAX_MESSAGE);
}

#[test]
fn links_share_a_budget() {
    let budget = Arc::new(OutboundBudget::new(1 << 20));
    let (mut one, mut two) = (
        Outbound::new(Arc::clone(&budget)),
        Outbound::new(Arc::clone(&budget)),
    );
    let piece = vec![0; 50_000];
    while one.push(BULKY, &[&piece]).is_ok() {}
    assert!(one.queued() > 1_000_000);
    assert!(budget.used() > 900_000 && budget.used() <= 1 << 20);
    // The other one has its 64 KiB, and whatever it is sent when it is empty.
    two.push(BULKY, &[&vec![0; 300_000]]).unwrap();
    assert_eq!(two.push(BULKY, &[&piece]), Err(SendError::Full));
    drain(&mut one);
    two.push(BULKY, &[&piece]).unwrap();
    drain(&mut two);
    assert_eq!(budget.used(), 0);
    one.push(BULKY, &[&vec![0; 300_000]]).unwrap();
    assert!(budget.used() > 0);
    one.clear();
    assert_eq!((budget.used(), one.queued()), (0, 0));
    one.push(BULKY, &[&vec![0; 300_000]]).unwrap();
    drop(one);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_quiet_queue_keeps_no_memory() {
    let mut queue = queue();
    for _ in 0..100 {
        queue.push(BULKY, &[&[0; 10_000]]).unwrap();
    }
    drain(&mut queue);
    assert!(queue.spare() > 100_000);
    queue.trim();
    assert_eq!(queue.spare(), 0);
}

#[test]
fn records_never_hold_more_memory_than_one_record() {
    let mut queue = queue();
    for _ in 0..3000 {
        queue.push(BULKY, &[&[0; 64]]).unwrap();
    }
    for record in turn(&mut queue) {
        assert!(record.capacity() <= MAX_WIRE, "{}", record.capacity());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is queued, and whenever it is taken: each service's messages arrive whole and in
    /// order, the count of bytes is right, and no record is too long.
    #[test]
    fn link_2_each_service_keeps_its_order(
        steps in prop::collection::vec(
            (0..4_u16, prop_oneof![0..100_usize, 0..20_000_usize, 60_000..140_000_usize], any::<bool>()),
            1..40,
        ),
    ) {
        let mut queue = queue();
        let mut all = Assembler::new(&[CONTROL, BULKY, ServiceId::LIVE]);
        let mut sent: [Vec<Vec<u8>>; 4] = Default::default();
        let mut got: [Vec<Vec<u8>>; 4] = Default::default();
        let mut receive = |queue: &mut Outbound| {
            let mut turn = turn(queue);
            let bytes = turn.iter().map(Vec::len).sum();
            for record in &turn {
                assert!(record.len() <= MAX_WIRE);
                for frame in Frames::of(&record[LENGTH..record.len() - TAG]) {
                    let frame = frame.unwrap();
                    if let Assembled::Message(service, message) = all.accept(frame).unwrap() {
                        got[usize::from(service.get())].push(message.to_vec());
                    }
                }
            }
            queue.written(bytes);
            queue.recycle(&mut turn);
        };
        for (n, (service, size, take)) in steps.into_iter().enumerate() {
            let size = if service == 0 { size.min(48 * 1024) } else { size };
            let message = vec![n as u8; size];
            let (head, tail) = message.split_at(size / 2);
            if queue.push(ServiceId::new(service), &[head, tail]).is_ok() {
                sent[usize::from(service)].push(message);
            }
            if take {
                receive(&mut queue);
            }
        }
        while !queue.is_empty() {
            receive(&mut queue);
        }
        prop_assert_eq!(got, sent);
        prop_assert_eq!(queue.queued(), 0);
    }
}
