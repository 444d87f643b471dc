use proptest::prelude::*;
use skychat_proto::limits::MAX_FRAME;

use super::*;

const A: ServiceId = ServiceId::RANGE;
const B: ServiceId = ServiceId::LIVE;
const STRANGE: ServiceId = ServiceId::new(77);

fn frame(service: ServiceId, more: bool, payload: &[u8]) -> Frame<'_> {
    Frame {
        service,
        more,
        payload,
    }
}

fn known() -> Assembler {
    Assembler::new(&[ServiceId::SYNC, A, B])
}

#[test]
fn link_6_fragments_of_services_may_stand_between_each_other() {
    let mut all = known();
    assert_eq!(all.accept(frame(A, true, b"one ")), Ok(Assembled::Part));
    assert!(all.has_parts());
    assert_eq!(all.accept(frame(B, true, b"eins ")), Ok(Assembled::Part));
    assert_eq!(
        all.accept(frame(ServiceId::SYNC, false, b"whole")),
        Ok(Assembled::Message(ServiceId::SYNC, b"whole"))
    );
    assert_eq!(all.accept(frame(A, true, b"two ")), Ok(Assembled::Part));
    assert_eq!(
        all.accept(frame(B, false, b"zwei")),
        Ok(Assembled::Message(B, b"eins zwei"))
    );
    assert_eq!(
        all.accept(frame(A, false, b"three")),
        Ok(Assembled::Message(A, b"one two three"))
    );
    assert!(!all.has_parts());
    // The next one begins anew.
    assert_eq!(
        all.accept(frame(A, false, b"x")),
        Ok(Assembled::Message(A, b"x"))
    );
    assert_eq!(all.accept(frame(A, true, b"y")), Ok(Assembled::Part));
    assert_eq!(
        all.accept(frame(A, false, b"")),
        Ok(Assembled::Message(A, b"y"))
    );
}

#[test]
fn link_2_unknown_services_are_skipped_and_cost_nothing() {
    let mut all = known();
    for _ in 0..1000 {
        assert_eq!(
            all.accept(frame(STRANGE, true, &[0; MAX_FRAME])),
            Ok(Assembled::Unknown)
        );
    }
    assert!(!all.has_parts());
}

#[test]
fn link_6_no_message_grows_over_the_limit_of_its_service() {
    for (service, limit) in [
        (ServiceId::LINK, MAX_LINK_MESSAGE),
        (ServiceId::SYNC, MAX_SYNC_MESSAGE),
        (A, MAX_MESSAGE),
    ] {
        let mut all = known();
        let piece = [0; MAX_FRAME];
        let mut left = limit;
        while left > MAX_FRAME {
            assert_eq!(
                all.accept(frame(service, true, &piece)),
                Ok(Assembled::Part)
            );
            left -= MAX_FRAME;
        }
        let held = all
            .slots
            .iter()
            .map(|slot| slot.buffer.len())
            .sum::<usize>();
        assert_eq!(held, limit - left);
        let mut over = known();
        std::mem::swap(&mut over, &mut all);
        assert!(matches!(
            over.accept(frame(service, false, &piece[..left])),
            Ok(Assembled::Message(_, message)) if message.len() == limit
        ));
        let mut over = known();
        for _ in 0..limit / MAX_FRAME {
            over.accept(frame(service, true, &piece)).unwrap();
        }
        let rest = limit % MAX_FRAME + 1;
        let refused = over
            .accept(frame(service, false, &piece[..rest]))
            .unwrap_err();
        assert_eq!(refused.rule(), "LINK-6");
    }
}

#[test]
fn what_is_known_is_bounded_and_holds_service_0() {
    let many: Vec<_> = (0..200).map(ServiceId::new).collect();
    let all = Assembler::new(&many);
    assert_eq!(all.slots.len(), MAX_KNOWN_SERVICES);
    assert_eq!(all.slots[0].service, ServiceId::LINK);
    assert_eq!(Assembler::new(&[A, A, ServiceId::LINK]).slots.len(), 2);
}

#[test]
fn a_quiet_link_keeps_no_memory_but_unfinished_messages() {
    let mut all = known();
    all.accept(frame(A, true, b"unfinished")).unwrap();
    all.accept(frame(B, true, b"fini")).unwrap();
    all.accept(frame(B, false, b"shed")).unwrap();
    all.trim();
    let held: Vec<_> = all
        .slots
        .iter()
        .map(|slot| slot.buffer.capacity() > 0)
        .collect();
    assert_eq!(held, [false, false, true, false]);
    assert_eq!(
        all.accept(frame(A, false, b"!")),
        Ok(Assembled::Message(A, b"unfinished!"))
    );
}

proptest! {
    /// Messages of several services, cut anywhere and mixed, come back in the order of each.
    #[test]
    fn link_6_messages_come_back(
        messages in prop::collection::vec(
            (0..3_usize, prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 1..5)),
            1..20,
        ),
        picks in prop::collection::vec(0..3_usize, 200),
    ) {
        let services = [ServiceId::SYNC, A, B];
        let mut queues: [Vec<(bool, Vec<u8>)>; 3] = Default::default();
        let mut expected: [Vec<Vec<u8>>; 3] = Default::default();
        for (service, pieces) in &messages {
            expected[*service].push(pieces.concat());
            for (n, piece) in pieces.iter().enumerate() {
                queues[*service].push((n + 1 < pieces.len(), piece.clone()));
            }
        }
        for queue in &mut queues {
            queue.reverse();
        }
        let mut all = known();
        let mut found: [Vec<Vec<u8>>; 3] = Default::default();
        for pick in picks.into_iter().chain((0..300).map(|n| n % 3)) {
            if let Some((more, piece)) = queues[pick].pop()
                && let Assembled::Message(_, message) =
                    all.accept(frame(services[pick], more, &piece)).unwrap()
            {
                found[pick].push(message.to_vec());
            }
        }
        prop_assert_eq!(found, expected);
    }
}
