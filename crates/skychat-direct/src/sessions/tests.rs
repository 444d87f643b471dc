use super::*;
use chacha20::ChaCha20Rng;
use proptest::prelude::*;
use rand_core::SeedableRng;
use skychat_proto::limits::MAX_MESSAGE_BODY;
use skychat_proto::{FeedId, Incarnation, MessageId, Seq};
use skychat_seal::{BODY_OVERHEAD, EntryAad, MAX_AGE_MS, MAX_SEALED as MAX_BODIES, SealInfo};

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

fn ann() -> SecretKey {
    SecretKey::from_seed([1; 32])
}

fn bob() -> SecretKey {
    SecretKey::from_seed([2; 32])
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([3; 32])
}

fn between(author: &SecretKey, recipient: &SecretKey, seq: u64) -> EntryContext {
    let (author, recipient) = (author.public(), recipient.public());
    EntryContext {
        feed: FeedId {
            author,
            space: SpaceId::direct(&author, &recipient).unwrap(),
            stream: Stream::MESSAGES,
            incarnation: Incarnation::from_bytes([7; 8]),
        },
        seq: Seq::new(seq),
        message: MessageId::from_bytes([seq as u8; 16]),
        recipient,
    }
}

/// Ann's entry `seq` to Bob.
fn entry(seq: u64) -> EntryContext {
    between(&ann(), &bob(), seq)
}

fn text(text: &str) -> Content {
    Content::text(text).unwrap()
}

fn open(sessions: &mut Sessions, entry: &EntryContext, body: &[u8]) -> Result<Content, Refusal> {
    sessions
        .open(&bob(), entry, SUITE, Flags::NONE, body)
        .map(|opened| {
            assert_eq!(opened.plaintext, opened.content.encode());
            opened.content
        })
}

fn encapsulation(body: &[u8]) -> &[u8] {
    &body[8..40]
}

/// A body that seals any bytes, as a sender of no good will might.
fn seal_raw(context: &EntryContext, plaintext: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    Sealer::new(&mut rng(), &context.seal_info(), 0)
        .unwrap()
        .seal(&mut rng(), &context.entry_aad(), plaintext, &mut body)
        .unwrap();
    body
}

#[test]
fn what_one_says_the_other_reads() {
    let (mut at_ann, mut at_bob) = (Sessions::new(), Sessions::new());
    for seq in 1..5 {
        let said = text(&format!("message {seq}"));
        let body = at_ann.seal(&mut rng(), NOW, &entry(seq), &said).unwrap();
        assert_eq!(body.len(), sealed_len(said.encode().len()));
        assert_eq!(open(&mut at_bob, &entry(seq), &body), Ok(said));
    }
    assert_eq!((at_ann.outgoing(), at_bob.incoming()), (1, 1));
    // And the other way, by the same two.
    let answer = between(&bob(), &ann(), 1);
    let body = at_bob.seal(&mut rng(), NOW, &answer, &text("yes")).unwrap();
    let opened = at_ann.open(&ann(), &answer, SUITE, Flags::AGAIN, &body);
    assert_eq!(opened.unwrap().content, text("yes"));
}

#[test]
fn the_suite_is_the_one_of_the_crate_that_seals() {
    assert_eq!(SUITE.get(), skychat_seal::SUITE_HPKE_X25519);
}

#[test]
fn the_largest_content_fits_a_message_body() {
    // 2 bytes of kind, 1 of tag, 3 of length.
    let largest = text(&"x".repeat(MAX_CONTENT - 6));
    let mut sessions = Sessions::new();
    let body = sessions.seal(&mut rng(), NOW, &entry(1), &largest).unwrap();
    assert_eq!(body.len(), MAX_SEALED);
    assert_eq!(MAX_SEALED, MAX_CONTENT + BODY_OVERHEAD);
    const { assert!(MAX_SEALED <= MAX_MESSAGE_BODY) };
    assert_eq!(open(&mut sessions, &entry(1), &body), Ok(largest));
}

#[test]
fn direct_5_one_encapsulation_for_each_conversation_and_life() {
    let (mut sessions, mut rng) = (Sessions::new(), rng());
    let mut seal = |context: &EntryContext| {
        let body = sessions.seal(&mut rng, NOW, context, &text("x")).unwrap();
        encapsulation(&body).to_vec()
    };
    let first = seal(&entry(1));
    assert_eq!(seal(&entry(2)), first);
    let carol = SecretKey::from_seed([8; 32]);
    assert_ne!(seal(&between(&ann(), &carol, 1)), first);
    assert_eq!(seal(&entry(3)), first);
    // A new life: the old encapsulation is never used again.
    let mut next = entry(1);
    next.feed.incarnation = Incarnation::from_bytes([8; 8]);
    assert_ne!(seal(&next), first);
    assert_eq!(sessions.outgoing(), 2);
}

#[test]
fn direct_5_an_encapsulation_is_renewed_after_a_day() {
    let (mut at_ann, mut at_bob) = (Sessions::new(), Sessions::new());
    let mut rng = rng();
    let mut seal = |seq, now| {
        let body = at_ann.seal(&mut rng, now, &entry(seq), &text("x")).unwrap();
        assert_eq!(open(&mut at_bob, &entry(seq), &body), Ok(text("x")));
        encapsulation(&body).to_vec()
    };
    let day = std::time::Duration::from_millis(MAX_AGE_MS);
    let one_less = std::time::Duration::from_millis(MAX_AGE_MS - 1);
    let first = seal(1, NOW);
    assert_eq!(seal(2, NOW.saturating_add(one_less)), first);
    let second = seal(3, NOW.saturating_add(day));
    assert_ne!(second, first);
    // The clock goes back: nobody can say how old the encapsulation is.
    assert_ne!(seal(4, NOW), second);
}

#[test]
fn direct_5_an_encapsulation_is_renewed_after_a_thousand_entries() {
    let (mut sessions, mut rng) = (Sessions::new(), rng());
    let mut seen = Vec::<Vec<u8>>::new();
    for seq in 0..u64::from(MAX_BODIES) * 2 + 1 {
        let body = sessions
            .seal(&mut rng, NOW, &entry(seq), &text("x"))
            .unwrap();
        if seen.last().is_none_or(|last| last != encapsulation(&body)) {
            seen.push(encapsulation(&body).to_vec());
        }
    }
    assert_eq!(seen.len(), 3);
}

#[test]
fn sessions_are_bounded_and_keep_what_was_used_last() {
    let mut sessions = Sessions::new();
    let mut rng = rng();
    let mut seal = |context: &EntryContext| {
        let body = sessions.seal(&mut rng, NOW, context, &text("x")).unwrap();
        assert!(sessions.outgoing() <= MAX_SESSIONS);
        encapsulation(&body).to_vec()
    };
    let first = seal(&entry(1));
    let peers: Vec<_> = (0..MAX_SESSIONS as u64 + 8)
        .map(|n| {
            let mut seed = [0xee; 32];
            seed[..8].copy_from_slice(&n.to_be_bytes());
            between(&ann(), &SecretKey::from_seed(seed), 1)
        })
        .collect();
    let second = seal(&peers[0]);
    for pair in peers[1..].chunks(2) {
        for peer in pair {
            seal(peer);
        }
        assert_eq!(seal(&entry(2)), first);
    }
    assert_ne!(seal(&peers[0]), second);
    assert_eq!(sessions.outgoing(), MAX_SESSIONS);
}

#[test]
fn sealing_refuses_what_is_no_entry_of_a_direct_space() {
    let mut sessions = Sessions::new();
    let mut seal = |context: &EntryContext, content: &Content| {
        sessions
            .seal(&mut rng(), NOW, context, content)
            .unwrap_err()
    };
    let good = entry(1);
    let mut context = good;
    context.feed.space = SpaceId::from_bytes([0; 32]);
    let space = context.feed.space;
    let error = seal(&context, &text("x"));
    assert_eq!(error, SealError::NotTheirSpace { space });
    let mut context = good;
    context.recipient = context.feed.author;
    let space = context.feed.space;
    let error = seal(&context, &text("x"));
    assert_eq!(error, SealError::NotTheirSpace { space }, "with oneself");
    let mut context = good;
    context.feed.stream = Stream::CONTROL;
    let stream = Stream::CONTROL;
    assert_eq!(
        seal(&context, &text("x")),
        SealError::NoSuchStream { stream }
    );
    let kind = 900;
    let bytes = vec![0; MAX_CONTENT - 1];
    let found = MAX_CONTENT + 1;
    let content = Content::Unsupported { kind, bytes };
    assert_eq!(seal(&good, &content), SealError::TooLarge { found });
    assert_eq!(sessions.outgoing(), 0);
}

#[test]
fn feed_2_an_unknown_suite_is_unsupported_and_so_is_a_body_in_clear() {
    let mut sessions = Sessions::new();
    let body = sessions
        .seal(&mut rng(), NOW, &entry(1), &text("x"))
        .unwrap();
    let clear = text("x").encode();
    for suite in (0..=255).map(Suite::new).filter(|suite| *suite != SUITE) {
        for body in [&body[..], &clear] {
            let opened = sessions.open(&bob(), &entry(1), suite, Flags::NONE, body);
            assert_eq!(opened.unwrap_err(), Refusal::Unsupported, "{suite:?}");
        }
    }
    assert_eq!(
        open(&mut sessions, &entry(1), &clear),
        Err(Refusal::Unopenable)
    );
}

#[test]
fn feed_3_an_unknown_flag_is_unsupported() {
    let mut sessions = Sessions::new();
    let body = sessions
        .seal(&mut rng(), NOW, &entry(1), &text("x"))
        .unwrap();
    for bits in 0..=255 {
        let opened = sessions.open(&bob(), &entry(1), SUITE, Flags::new(bits), &body);
        match bits {
            0 | 1 => assert_eq!(opened.unwrap().content, text("x")),
            _ => assert_eq!(opened.unwrap_err(), Refusal::Unsupported, "{bits}"),
        }
    }
}

#[test]
fn id_1_a_direct_space_has_one_stream() {
    let mut sessions = Sessions::new();
    for number in [0, 2, 255] {
        let mut context = entry(1);
        context.feed.stream = Stream::new(number);
        let body = seal_raw(&context, &text("x").encode());
        let opened = open(&mut sessions, &context, &body);
        assert_eq!(opened, Err(Refusal::Unsupported));
    }
}

#[test]
fn feed_2_an_unknown_content_is_kept_and_shown_as_such() {
    let mut sessions = Sessions::new();
    let kind = 4711;
    let bytes = b"from a later version".to_vec();
    let later = Content::Unsupported { kind, bytes };
    let body = sessions.seal(&mut rng(), NOW, &entry(1), &later).unwrap();
    assert_eq!(open(&mut sessions, &entry(1), &body), Ok(later));
}

#[test]
fn direct_6_what_is_no_content_is_unsupported() {
    let mut sessions = Sessions::new();
    for plaintext in [
        &b""[..],
        &[0],
        &[0, 1],
        &[0, 1, 0x0a, 0],
        &[0, 1, 0x0a, 1, 0xff],
        &[0, 1, 0x0a, 9],
    ] {
        let body = seal_raw(&entry(1), plaintext);
        let opened = open(&mut sessions, &entry(1), &body);
        assert_eq!(opened, Err(Refusal::Unsupported), "{plaintext:?}");
    }
}

#[test]
fn direct_6_a_content_over_the_limit_is_too_large() {
    let mut sessions = Sessions::new();
    let mut plaintext = vec![0xff; MAX_CONTENT];
    let body = seal_raw(&entry(1), &plaintext);
    assert!(open(&mut sessions, &entry(1), &body).is_ok());
    plaintext.push(0);
    let body = seal_raw(&entry(1), &plaintext);
    assert_eq!(
        open(&mut sessions, &entry(1), &body),
        Err(Refusal::TooLarge)
    );
    let checked = precheck(Stream::MESSAGES, SUITE, Flags::NONE, MAX_SEALED);
    assert_eq!(checked, Ok(()));
    let checked = precheck(Stream::MESSAGES, SUITE, Flags::NONE, MAX_SEALED + 1);
    assert_eq!(checked, Err(Refusal::TooLarge));
}

#[test]
fn what_is_sealed_to_others_stays_unreadable() {
    let mut sessions = Sessions::new();
    let carol = SecretKey::from_seed([8; 32]);
    let context = between(&ann(), &carol, 1);
    let body = sessions
        .seal(&mut rng(), NOW, &context, &text("x"))
        .unwrap();
    assert_eq!(
        open(&mut sessions, &context, &body),
        Err(Refusal::Unopenable)
    );
    // One's own messages too: they come back from a peer as `recovered`, header only.
    let own = sessions.open(&ann(), &context, SUITE, Flags::NONE, &body);
    assert_eq!(own.unwrap_err(), Refusal::Unopenable);
}

#[test]
fn direct_4_a_body_cannot_be_passed_on_as_ones_own() {
    let mut sessions = Sessions::new();
    let body = sessions
        .seal(&mut rng(), NOW, &entry(1), &text("x"))
        .unwrap();
    // Mallory puts Ann's body to Bob into his own feed to Bob.
    let mallory = SecretKey::from_seed([9; 32]);
    let stolen = between(&mallory, &bob(), 1);
    assert_eq!(
        open(&mut sessions, &stolen, &body),
        Err(Refusal::Unopenable)
    );
    // Bob puts it into his feed to Ann.
    let returned = between(&bob(), &ann(), 1);
    let opened = sessions.open(&ann(), &returned, SUITE, Flags::NONE, &body);
    assert_eq!(opened.unwrap_err(), Refusal::Unopenable);
    assert!(open(&mut sessions, &entry(1), &body).is_ok());
}

#[test]
fn direct_6_an_entry_in_a_space_that_is_not_theirs_is_refused() {
    let mut sessions = Sessions::new();
    let mut context = entry(1);
    context.feed.space = SpaceId::from_bytes([0; 32]);
    let body = seal_raw(&context, &text("x").encode());
    assert_eq!(
        open(&mut sessions, &context, &body),
        Err(Refusal::NotAMember)
    );
}

#[test]
fn no_text_and_no_secret_is_printed() {
    let mut sessions = Sessions::new();
    let body = sessions
        .seal(&mut rng(), NOW, &entry(1), &text("canary"))
        .unwrap();
    let opened = sessions.open(&bob(), &entry(1), SUITE, Flags::NONE, &body);
    let shown = format!("{:?} {sessions:?}", opened.unwrap());
    assert!(!shown.contains("canary"), "{shown}");
    assert!(!shown.contains("99, 97, 110"), "{shown}");
}

#[test]
fn the_context_goes_into_info_and_aad_field_by_field() {
    let context = entry(0x0102);
    let feed = context.feed;
    let info = SealInfo {
        space: feed.space.to_bytes(),
        author: ann().public(),
        recipient: bob().public(),
        incarnation: [7; 8],
    };
    assert_eq!(context.seal_info(), info);
    let aad = EntryAad {
        stream: 1,
        seq: 0x0102,
        message: [2; 16],
        kind: 1,
    };
    assert_eq!(context.entry_aad(), aad);
    assert_eq!(aad.to_bytes(&info)[..73], feed.to_bytes());
}

proptest! {
    #[test]
    fn every_text_arrives_as_it_was(said in ".{1,300}", seq in 1..u64::MAX, message: [u8; 16]) {
        let mut sessions = Sessions::new();
        let mut context = entry(seq);
        context.message = MessageId::from_bytes(message);
        let body = sessions.seal(&mut rng(), NOW, &context, &text(&said)).unwrap();
        prop_assert_eq!(open(&mut sessions, &context, &body), Ok(text(&said)));
    }

    #[test]
    fn every_changed_bit_is_unopenable(said in ".{1,60}", bit: prop::sample::Index) {
        let mut sessions = Sessions::new();
        let mut body = sessions.seal(&mut rng(), NOW, &entry(1), &text(&said)).unwrap();
        let bit = bit.index(body.len() * 8);
        body[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(open(&mut sessions, &entry(1), &body), Err(Refusal::Unopenable));
    }

    #[test]
    fn opening_never_panics(plaintext: Vec<u8>, body: Vec<u8>, suite: u8, flags: u8) {
        let mut sessions = Sessions::new();
        let (suite, flags) = (Suite::new(suite), Flags::new(flags));
        prop_assert!(sessions.open(&bob(), &entry(1), suite, flags, &body).is_err());
        let _ = open(&mut sessions, &entry(1), &seal_raw(&entry(1), &plaintext));
    }
}
