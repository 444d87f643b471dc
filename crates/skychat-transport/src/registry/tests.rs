use std::time::Duration;

use skychat_identity::SecretKey;

use super::*;

fn keys() -> (PublicKey, PublicKey) {
    let (one, two) = (
        SecretKey::from_seed([1; 32]).public(),
        SecretKey::from_seed([2; 32]).public(),
    );
    (one.min(two), one.max(two))
}

fn at(millis: u64) -> Moment {
    Moment::since_start(Duration::from_millis(millis))
}

fn life(n: u8) -> Incarnation {
    Incarnation::from_bytes([n; 8])
}

fn contender(id: u64, initiator: PublicKey, completed: u64) -> Contender {
    Contender {
        id: LinkId::new(id),
        incarnation: life(1),
        initiator,
        completed: at(completed),
    }
}

/// Which of the two stays; the same whichever is named first.
fn stays(one: Contender, other: Contender) -> u64 {
    let kept = tie_break(&one, &other, TIE_BREAK);
    assert_eq!(kept, tie_break(&other, &one, TIE_BREAK));
    kept.get()
}

#[test]
fn link_3_of_two_opened_at_once_the_lower_initiator_stays() {
    let (low, high) = keys();
    for apart in [0, 1, 4999, 5000] {
        assert_eq!(
            stays(contender(1, low, 0), contender(2, high, apart)),
            1,
            "{apart}"
        );
        assert_eq!(
            stays(contender(1, high, 0), contender(2, low, apart)),
            2,
            "{apart}"
        );
        assert_eq!(
            stays(contender(1, low, apart), contender(2, high, 0)),
            1,
            "{apart}"
        );
    }
}

#[test]
fn link_3_otherwise_the_newer_stays() {
    let (low, high) = keys();
    for initiator in [low, high] {
        let (older, newer) = (contender(1, low, 1000), contender(2, initiator, 6001));
        assert_eq!(stays(older, newer), 2);
    }
    // One that dials twice means the second, even if its first hello is read last.
    for (first, second) in [(0, 1), (1, 0), (0, 0)] {
        assert_eq!(
            stays(contender(1, low, first), contender(2, low, second)),
            2
        );
    }
}

/// Whatever the order in which the two sides see two links, both keep the same one.
#[test]
fn link_3_both_sides_decide_alike() {
    let (low, high) = keys();
    for order in [[low, high], [high, low]] {
        let mut registry = Registry::new(10);
        for (n, initiator) in (0..).zip(order) {
            let refused = registry
                .admit(high, contender(n, initiator, n), initiator)
                .is_err();
            assert_eq!(refused, n == 1 && initiator == high);
        }
        assert_eq!(registry.all().collect::<Vec<_>>(), [&low], "{order:?}");
    }
    // Two dials of one side, their hellos read in either order.
    for order in [[1, 2], [2, 1]] {
        let mut registry = Registry::new(10);
        for (n, id) in (0..).zip(order) {
            registry.admit(high, contender(id, low, n), id).ok();
        }
        assert_eq!(registry.all().collect::<Vec<_>>(), [&2], "{order:?}");
    }
}

#[test]
fn the_replaced_link_comes_back_and_the_refused_one_is_not_taken() {
    let (low, high) = keys();
    let mut registry = Registry::new(10);
    assert_eq!(
        registry.admit(high, contender(1, high, 0), "first"),
        Ok(vec![])
    );
    let replaced = registry.admit(high, contender(2, low, 10), "second");
    assert_eq!(replaced, Ok(vec!["first"]));
    let refused = registry.admit(high, contender(3, high, 20), "third");
    assert_eq!(refused, Err(NotTaken::Duplicate));
    assert_eq!(registry.len(), 1);
    // The first one ends later; the second is not touched by that.
    assert_eq!(registry.remove(&high, LinkId::new(1)), None);
    assert_eq!(registry.of(&high).collect::<Vec<_>>(), [&"second"]);
    assert_eq!(registry.remove(&high, LinkId::new(2)), Some("second"));
    assert!(registry.is_empty());
    assert_eq!(registry.of(&high).count(), 0);
}

#[test]
fn link_3_a_key_holds_four_lives_and_the_oldest_goes() {
    let (low, high) = keys();
    let mut registry = Registry::new(10);
    let mut admit = |n: u8| {
        let contender = Contender {
            incarnation: life(n),
            ..contender(n.into(), low, 0)
        };
        registry.admit(high, contender, n).unwrap()
    };
    for n in 1..=4 {
        assert!(admit(n).is_empty());
    }
    assert_eq!(admit(5), [1]);
    assert_eq!(admit(6), [2]);
    assert_eq!(registry.len(), 4);
}

#[test]
fn a_full_node_takes_no_new_peer_but_lets_links_be_replaced() {
    let (low, high) = keys();
    let mut registry = Registry::new(1);
    assert!(registry.admit(high, contender(1, low, 0), 1).is_ok());
    assert_eq!(
        registry.admit(low, contender(2, low, 0), 2),
        Err(NotTaken::Full)
    );
    assert_eq!(registry.admit(high, contender(3, low, 1), 3), Ok(vec![1]));
    assert_eq!(registry.len(), 1);
}
