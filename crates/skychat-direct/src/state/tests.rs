use super::*;
use proptest::prelude::*;
use skychat_identity::SecretKey;

fn relay(n: u8) -> PublicKey {
    SecretKey::from_seed([n; 32]).public()
}

const DISK: Delivery = Delivery::Stored { kept: Kept::Disk };
const MEMORY: Delivery = Delivery::Stored { kept: Kept::Memory };
const READ_DISK: Delivery = Delivery::Read { kept: Kept::Disk };
const READ_MEMORY: Delivery = Delivery::Read { kept: Kept::Memory };
const BLOCKED: Cause = Cause::Refused(Refusal::Blocked);

fn failed(cause: Cause) -> Delivery {
    Delivery::Failed { cause }
}

fn states() -> Vec<Delivery> {
    let mut states = vec![
        Delivery::Queued,
        Delivery::Accepted,
        Delivery::Relayed { by: relay(1) },
        MEMORY,
        DISK,
        READ_MEMORY,
        READ_DISK,
    ];
    states.extend(causes().into_iter().map(failed));
    states
}

fn causes() -> Vec<Cause> {
    let mut causes = vec![Cause::Expired, Cause::Cancelled, Cause::SpaceEnded];
    causes.extend(Refusal::ALL.iter().copied().map(Cause::Refused));
    causes
}

fn facts() -> Vec<Fact> {
    let mut facts = vec![
        Fact::Appended,
        Fact::Relayed { by: relay(1) },
        Fact::Relayed { by: relay(2) },
        Fact::Stored { kept: Kept::Disk },
        Fact::Stored { kept: Kept::Memory },
        Fact::Read,
    ];
    facts.extend(causes().into_iter().map(Fact::Failed));
    facts
}

fn some_fact() -> impl Strategy<Value = Fact> {
    prop::sample::select(facts())
}

#[test]
fn direct_7_a_message_goes_its_way() {
    let by = relay(1);
    let mut state = Delivery::Queued;
    for (fact, next) in [
        (Fact::Appended, Delivery::Accepted),
        (Fact::Relayed { by }, Delivery::Relayed { by }),
        (Fact::Relayed { by: relay(2) }, Delivery::Relayed { by }),
        (Fact::Stored { kept: Kept::Memory }, MEMORY),
        (Fact::Stored { kept: Kept::Disk }, DISK),
        (Fact::Stored { kept: Kept::Memory }, DISK),
        (Fact::Read, READ_DISK),
        (Fact::Failed(BLOCKED), READ_DISK),
    ] {
        state = state.after(fact);
        assert_eq!(state, next);
    }
}

#[test]
fn direct_7_every_change_is_on_the_list() {
    let by = relay(1);
    let relayed = Delivery::Relayed { by };
    let mut allowed = vec![
        (Delivery::Queued, Delivery::Accepted),
        (Delivery::Accepted, relayed),
        (Delivery::Accepted, Delivery::Relayed { by: relay(2) }),
        (Delivery::Accepted, MEMORY),
        (Delivery::Accepted, DISK),
        (relayed, MEMORY),
        (relayed, DISK),
        (MEMORY, DISK),
        (MEMORY, READ_MEMORY),
        (DISK, READ_DISK),
        (READ_MEMORY, READ_DISK),
    ];
    for cause in causes() {
        allowed.push((Delivery::Accepted, failed(cause)));
        allowed.push((relayed, failed(cause)));
        match cause {
            Cause::Refused(_) => allowed.push((MEMORY, failed(cause))),
            _ => allowed.push((Delivery::Queued, failed(cause))),
        }
    }
    let mut found = Vec::new();
    for state in states() {
        for fact in facts() {
            let next = state.after(fact);
            if next != state && !found.contains(&(state, next)) {
                found.push((state, next));
            }
        }
    }
    for change in &found {
        assert!(allowed.contains(change), "{change:?} is not allowed");
    }
    for change in &allowed {
        assert!(found.contains(change), "{change:?} never happens");
    }
}

#[test]
fn direct_7_every_change_is_forward() {
    for state in states() {
        for fact in facts() {
            let next = state.after(fact);
            assert!(
                next == state || next.rank() > state.rank(),
                "{state:?}, {fact:?}: {next:?}"
            );
        }
    }
}

#[test]
fn direct_7_nothing_is_reported_that_was_not_proved() {
    for state in states() {
        for fact in facts() {
            let next = state.after(fact);
            if next == state {
                continue;
            }
            let proved = match next {
                Delivery::Queued => false,
                Delivery::Accepted => fact == Fact::Appended,
                Delivery::Relayed { by } => fact == Fact::Relayed { by },
                Delivery::Stored { kept } => fact == Fact::Stored { kept },
                Delivery::Read { kept } => {
                    fact == Fact::Stored { kept }
                        || (fact == Fact::Read && state.kept() == Some(kept))
                }
                Delivery::Failed { cause } => fact == Fact::Failed(cause),
            };
            assert!(proved, "{state:?}, {fact:?}: {next:?}");
        }
    }
}

#[test]
fn names_are_those_of_the_control_surface() {
    let by = relay(1);
    let names = [
        (Delivery::Queued, "queued", true),
        (Delivery::Accepted, "accepted", true),
        (Delivery::Relayed { by }, "relayed", true),
        (DISK, "stored", false),
        (READ_MEMORY, "read", false),
        (failed(Cause::Cancelled), "failed", false),
    ];
    for (state, name, pending) in names {
        assert_eq!(state.to_string(), name);
        assert_eq!(state.is_pending(), pending, "{state}");
    }
    assert_eq!(Cause::SpaceEnded.to_string(), "space_ended");
    assert_eq!(
        Cause::Refused(Refusal::NotAMember).to_string(),
        "not_a_member"
    );
    // A time to live may be over here or there: one name.
    assert_eq!(
        Cause::Expired.as_str(),
        Cause::Refused(Refusal::Expired).as_str()
    );
}

#[test]
fn direct_8_refusals_are_final_but_for_two() {
    for &refusal in Refusal::ALL {
        let end = AfterRefusal::Failed(Cause::Refused(refusal));
        for issued_again in 0..5 {
            let more = issued_again < 3;
            let on_disk = after_refusal(refusal, Kept::Disk, issued_again, false);
            let in_memory = after_refusal(refusal, Kept::Memory, issued_again, false);
            match refusal {
                Refusal::Absent if more => assert_eq!(on_disk, AfterRefusal::IssueAgain),
                _ => assert_eq!(on_disk, end),
            }
            match refusal {
                Refusal::Unopenable => assert_eq!(in_memory, end),
                _ => assert_eq!(in_memory, AfterRefusal::Wait),
            }
        }
    }
}

#[test]
fn direct_8_unopenable_is_sealed_again_to_another_key_only_and_three_times() {
    for kept in [Kept::Disk, Kept::Memory] {
        let after = |issued_again, another_key| {
            after_refusal(Refusal::Unopenable, kept, issued_again, another_key)
        };
        let end = AfterRefusal::Failed(Cause::Refused(Refusal::Unopenable));
        for issued_again in 0..3 {
            assert_eq!(after(issued_again, true), AfterRefusal::SealAgain);
            assert_eq!(after(issued_again, false), end);
        }
        assert_eq!(after(3, true), end);
        assert_eq!(after(u32::MAX, true), end);
    }
}

proptest! {
    #[test]
    fn direct_7_states_only_move_forward(facts in prop::collection::vec(some_fact(), 0..40)) {
        let mut state = Delivery::Queued;
        let mut changes = 0;
        for fact in facts {
            let next = state.after(fact);
            prop_assert!(next == state || next.rank() > state.rank());
            // Once on the recipient's disk, it stays there whatever comes.
            prop_assert!(state.kept() != Some(Kept::Disk) || next.kept() == Some(Kept::Disk));
            // Failed is the end.
            prop_assert!(state.rank() < 7 || next == state);
            // The same fact twice is the same as once.
            prop_assert_eq!(next.after(fact), next);
            changes += usize::from(next != state);
            state = next;
        }
        prop_assert!(changes <= 7);
    }
}
