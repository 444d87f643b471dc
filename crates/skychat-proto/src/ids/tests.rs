use std::time::Duration;

use proptest::prelude::*;
use skychat_identity::KeyCache;

use super::*;
use crate::arbitrary;
use crate::limits::{MAX_POSITION, MAX_SEQ};

#[test]
fn byte_ids_have_one_text_form() {
    let id = MessageId::from_bytes([0xab; 16]);
    let text = "ab".repeat(16);
    assert_eq!(id.to_string(), text);
    assert_eq!(text.parse(), Ok(id));
    assert_eq!(format!("{id:?}"), "MessageId(ababababab)");
    assert_eq!(id.short().to_string(), "ababababab");
    assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
    assert_eq!(
        serde_json::from_str::<MessageId>(&format!("\"{text}\"")).unwrap(),
        id
    );
    assert_eq!(
        text.to_uppercase()
            .parse::<MessageId>()
            .unwrap_err()
            .to_string(),
        "MessageId: found 'A' at character 1, expected lower-case hex digits"
    );
    assert_eq!(
        "abab".parse::<MessageId>().unwrap_err().to_string(),
        "MessageId: found 4 hex digits, expected 32"
    );
    assert!(serde_json::from_str::<MessageId>("\"ab\"").is_err());
    assert!(serde_json::from_str::<MessageId>("7").is_err());
    assert!("é".repeat(16).parse::<MessageId>().is_err());
    assert_eq!(MessageId::from_slice(&[0xab; 16]), Some(id));
    assert_eq!(MessageId::from_slice(&[0xab; 15]), None);
    assert!(MessageId::ZERO.is_zero() && !id.is_zero());
}

#[test]
fn numbers_are_numbers() {
    assert_eq!(serde_json::to_string(&Seq::new(7)).unwrap(), "7");
    assert_eq!(serde_json::from_str::<Seq>("7").unwrap(), Seq::new(7));
    assert_eq!("42".parse(), Ok(EventSeq::new(42)));
    assert_eq!(
        format!("{:?} {}", Position::new(3), Stream::MESSAGES),
        "Position(3) 1"
    );
}

#[test]
fn indices_and_counts_meet_as_they_should() {
    let seq = Seq::new(4);
    assert_eq!(seq.position(), Position::new(4));
    assert_eq!(seq.after(), Position::new(5));
    assert_eq!(Position::new(5).last(), Some(seq));
    assert_eq!(Position::new(4).next(), seq);
    assert_eq!(Position::START.last(), None);
    assert!(Position::new(5).covers(seq) && !Position::new(4).covers(seq));
    assert_eq!(Position::new(9).entries_since(Position::new(4)), 5);
    assert_eq!(Position::new(4).entries_since(Position::new(9)), 0);

    assert_eq!(Seq::MAX.next(), None);
    assert_eq!(Seq::new(MAX_SEQ - 1).next(), Some(Seq::MAX));
    assert_eq!(Seq::MAX.after(), Position::new(MAX_POSITION));
    assert_eq!(Seq::FIRST.previous(), None);
    assert_eq!(Seq::new(3).checked_add(2), Some(Seq::new(5)));
    assert_eq!(Seq::MAX.checked_add(1), None);
    assert_eq!(Seq::new(u64::MAX).checked_add(1), None);
    assert_eq!(Seq::new(u64::MAX).after().get(), u64::MAX);
    assert_eq!(Position::new(MAX_POSITION).checked_add(1), None);
    assert_eq!(
        Position::new(MAX_POSITION).saturating_add(9).get(),
        MAX_POSITION
    );
    assert_eq!(Position::new(3).saturating_sub(9), Position::START);
}

#[test]
fn time_saturates() {
    let second = Duration::from_secs(1);
    let stamp = Timestamp::from_millis(1_500);
    assert_eq!(stamp.saturating_add(second).as_millis(), 2_500);
    assert_eq!(stamp.saturating_sub(second * 2).as_millis(), 0);
    assert_eq!(stamp.saturating_since(Timestamp::from_millis(500)), second);
    assert_eq!(stamp.saturating_add(Duration::MAX).as_millis(), u64::MAX);

    let moment = Moment::START + second;
    assert_eq!(moment.elapsed(), second);
    assert_eq!(moment.checked_sub(second * 2), None);
    assert_eq!(moment.saturating_since(Moment::START), second);
    assert_eq!(Moment::START.checked_since(moment), None);
    assert_eq!(Moment::NEVER + second, Moment::NEVER);
}

/// ID-1.
#[test]
fn a_direct_space_is_that_of_two() {
    let (ann, bob) = (arbitrary::secret(1).public(), arbitrary::secret(2).public());
    let space = SpaceId::direct(&ann, &bob).unwrap();
    assert_eq!(SpaceId::direct(&bob, &ann), Ok(space));
    assert_eq!(SpaceId::direct(&ann, &ann), Err(SelfSpace));
    let eve = arbitrary::secret(3).public();
    assert_ne!(SpaceId::direct(&ann, &eve), Ok(space));
}

proptest! {
    #[test]
    fn feeds_survive_bytes_and_text(feed in arbitrary::feed()) {
        let mut keys = KeyCache::new();
        prop_assert_eq!(FeedId::from_bytes(&feed.to_bytes(), &mut keys), Ok(feed));
        prop_assert_eq!(feed.to_string().parse::<FeedId>(), Ok(feed));
        let json = serde_json::to_string(&feed).unwrap();
        prop_assert_eq!(serde_json::from_str::<FeedId>(&json).unwrap(), feed);
    }

    #[test]
    fn feeds_are_ordered_as_their_bytes(one in arbitrary::feed(), other in arbitrary::feed()) {
        prop_assert_eq!(one.cmp(&other), one.to_bytes().cmp(&other.to_bytes()));
    }

    #[test]
    fn no_text_panics(text in "[0-9a-f/+é]{0,80}") {
        let _ = text.parse::<FeedId>();
        let _ = text.parse::<SpaceId>();
    }
}

#[test]
fn feeds_have_one_text_form() {
    let feed = FeedId {
        author: arbitrary::secret(1).public(),
        space: SpaceId::from_bytes([2; 32]),
        stream: Stream::MESSAGES,
        incarnation: Incarnation::from_bytes([3; 8]),
    };
    let text = feed.to_string();
    assert_eq!(text.split('/').count(), 4);
    assert_eq!(text.parse(), Ok(feed));
    for wrong in [
        format!("{text}/"),
        format!("{text} "),
        text.replace("/1/", "/01/"),
        text.replace("/1/", "/+1/"),
        text.replace("/1/", "/256/"),
        text.replace("/1/", "//"),
        text.to_uppercase(),
        String::new(),
    ] {
        assert!(wrong.parse::<FeedId>().is_err(), "{wrong}");
    }
    assert!(format!("{feed:?}").len() < 60, "debug is short");
}
