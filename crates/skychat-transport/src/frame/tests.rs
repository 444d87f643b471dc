use proptest::prelude::*;

use super::*;

fn encoded(service: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    [&header(service, more, payload.len() as u16)[..], payload].concat()
}

fn refused(plaintext: &[u8]) -> &'static str {
    let mut frames = Frames::of(plaintext);
    let violation = frames.find_map(Result::err).unwrap();
    assert_eq!(violation.rule(), "LINK-5");
    assert_eq!(frames.next(), None);
    violation.what()
}

#[test]
fn link_5_the_layout_of_a_frame() {
    let bytes = encoded(0x0102, true, b"abc");
    assert_eq!(bytes, [1, 2, 1, 0, 3, b'a', b'b', b'c']);
    let frame = Frames::of(&bytes).next().unwrap().unwrap();
    assert_eq!(frame.service, ServiceId::new(0x0102));
    assert!(frame.more);
    assert_eq!(frame.payload, b"abc");
}

#[test]
fn link_5_what_is_refused() {
    for cut in 1..HEADER {
        assert_eq!(
            refused(&encoded(1, false, b"")[..cut]),
            "a frame that its record cuts off"
        );
    }
    let cut = &encoded(1, false, b"abc")[..7];
    assert_eq!(refused(cut), "a frame that its record cuts off");
    for flags in 2..=255 {
        assert_eq!(refused(&[0, 1, flags, 0, 0]), "a frame with unknown flags");
    }
    assert_eq!(
        refused(&[0, 1, 1, 0, 0]),
        "an empty frame that is not the last"
    );
    let long = encoded(1, false, &[0; MAX_FRAME + 1]);
    assert_eq!(refused(&long), "a frame over 16 KiB");
    // What comes before the bad one is handed out.
    let mixed = [encoded(1, false, b"good"), vec![0]].concat();
    assert!(Frames::of(&mixed).next().unwrap().is_ok());
    refused(&mixed);
}

proptest! {
    #[test]
    fn link_5_frames_come_back(
        frames in prop::collection::vec(
            (any::<u16>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..50)),
            0..20,
        ),
    ) {
        let frames: Vec<_> = frames
            .into_iter()
            .map(|(service, more, payload)| (service, more && !payload.is_empty(), payload))
            .collect();
        let plaintext: Vec<u8> = frames
            .iter()
            .flat_map(|(service, more, payload)| encoded(*service, *more, payload))
            .collect();
        let back: Vec<_> = Frames::of(&plaintext)
            .map(|frame| frame.unwrap())
            .map(|frame| (frame.service.get(), frame.more, frame.payload.to_vec()))
            .collect();
        prop_assert_eq!(back, frames);
    }

    #[test]
    fn any_bytes_are_frames_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let used: usize = Frames::of(&bytes)
            .filter_map(Result::ok)
            .map(|frame| HEADER + frame.payload.len())
            .sum();
        prop_assert!(used <= bytes.len());
    }
}
