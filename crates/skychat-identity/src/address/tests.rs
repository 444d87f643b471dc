use proptest::prelude::*;

use super::*;
use crate::SecretKey;

fn key() -> PublicKey {
    SecretKey::from_seed([7; 32]).public()
}

fn parse(form: &str) -> Result<Address, AddressError> {
    form.replace("KEY", &key().to_string()).parse()
}

fn error(form: &str) -> AddressError {
    parse(form).unwrap_err()
}

#[test]
fn both_forms_are_read_and_one_is_printed() {
    for (form, printed) in [
        ("skychat:KEY", "skychat:KEY"),
        (
            "tcp://KEY@example.org:8801",
            "skychat:KEY?at=example.org:8801",
        ),
        ("tcp://KEY@[::1]:8801", "skychat:KEY?at=[::1]:8801"),
        (
            "skychat:KEY?at=A.example:1&at=192.0.2.7:2",
            "skychat:KEY?at=a.example:1&at=192.0.2.7:2",
        ),
        (
            "skychat:KEY?at=%5B2001:db8::7%5d%3A1",
            "skychat:KEY?at=[2001:db8::7]:1",
        ),
        (
            "skychat:KEY?at=a:1&at=b:1&at=a:1",
            "skychat:KEY?at=a:1&at=b:1",
        ),
        ("skychat:KEY?name=%F0%9F&at=a:1&x-9=", "skychat:KEY?at=a:1"),
    ] {
        let address = parse(form).unwrap();
        assert_eq!(address.key(), key());
        assert_eq!(
            address.to_string(),
            printed.replace("KEY", &key().to_string())
        );
        assert_eq!(parse(printed).unwrap(), address);
        let json = serde_json::to_string(&address).unwrap();
        assert_eq!(serde_json::from_str::<Address>(&json).unwrap(), address);
    }
}

#[test]
fn the_tcp_form_is_made_for_each_hint() {
    let address = parse("skychat:KEY?at=a:1&at=[::1]:2").unwrap();
    let forms: Vec<_> = address.tcp_forms().collect();
    assert_eq!(
        forms,
        [
            format!("tcp://{}@a:1", key()),
            format!("tcp://{}@[::1]:2", key())
        ]
    );
    for (form, hint) in forms.iter().zip(address.hints()) {
        let one: Address = form.parse().unwrap();
        assert_eq!(one.hints(), std::slice::from_ref(hint));
    }
}

#[test]
fn every_mistake_has_its_name() {
    use AddressError as E;
    for form in [
        "",
        "KEYKEY",
        "http://KEY@a:1",
        "SKYCHAT:KEY",
        "tcp:KEY@a:1",
        " skychat:KEY",
        "bob",
    ] {
        assert!(matches!(error(form), E::UnknownForm { .. }), "{form}");
    }
    assert_eq!(error("KEY"), E::BareKey);
    for form in ["tcp://", "tcp://a:1", "tcp://KEY"] {
        assert!(matches!(error(form), E::NoKey { .. }), "{form}");
    }
    for form in [
        "skychat:",
        "skychat://KEY",
        "skychat:KEY#x",
        "skychat:KEY/",
        "skychat:a?at=a:1",
        "tcp://@a:1",
        "tcp://bob@a:1",
    ] {
        assert!(matches!(error(form), E::Key { .. }), "{form}");
    }
    for form in [
        "tcp://KEY@",
        "tcp://KEY@a",
        "tcp://KEY@a:1/",
        "tcp://KEY@u@a:1",
        "skychat:KEY?at=",
        "skychat:KEY?at=::1:8801",
    ] {
        assert!(matches!(error(form), E::Hint { .. }), "{form}");
    }
    for form in [
        "skychat:KEY?",
        "skychat:KEY?at",
        "skychat:KEY?at=a:1&",
        "skychat:KEY?AT=a:1",
        "skychat:KEY?=a:1",
        "skychat:KEY?a%74=a:1",
    ] {
        assert!(matches!(error(form), E::BadParameter { .. }), "{form}");
    }
    for form in [
        "skychat:KEY?at=%",
        "skychat:KEY?at=%5",
        "skychat:KEY?at=%5b::1%5",
        "skychat:KEY?at=%61:1",
        "skychat:KEY?at=%5é",
    ] {
        assert!(matches!(error(form), E::BadEscape { .. }), "{form}");
    }
    assert!(matches!(
        error("skychat:KEY?at=a:1&req-via=x"),
        E::Required { .. }
    ));
}

#[test]
fn hints_and_length_are_bounded() {
    let with = |hints: usize| {
        let hints: Vec<_> = (1..=hints).map(|n| format!("at=a:{n}")).collect();
        parse(&format!("skychat:KEY?{}", hints.join("&")))
    };
    assert_eq!(with(MAX_HINTS).unwrap().hints().len(), MAX_HINTS);
    assert_eq!(with(MAX_HINTS + 1), Err(AddressError::TooManyHints));
    let long = format!("skychat:{}?x={}", key(), "y".repeat(MAX_ADDRESS_TEXT));
    let found = long.len();
    assert_eq!(
        long.parse::<Address>(),
        Err(AddressError::TooLong { found })
    );
    // The longest that is printed can be read.
    let name = |n: usize| format!("{}.{n}a:65535", ["abcdefghi"; 25].join("."));
    let hints: Vec<HostPort> = (0..MAX_HINTS).map(|n| name(n).parse().unwrap()).collect();
    let address = Address::new(key(), hints).unwrap();
    assert_eq!(address.to_string().parse(), Ok(address));
}

#[test]
fn messages_say_what_was_found_and_expected() {
    assert_eq!(
        error("tcp://example.org:8801").to_string(),
        "address: found `tcp://` and `example.org:8801` without a key, expected `tcp://<key>@host:port`"
    );
    assert_eq!(
        error("\u{1b}]8;;evil").to_string(),
        "address: found `\\u{1b}]8;;evil`, expected `skychat:<key>?at=host:port` or `tcp://<key>@host:port`"
    );
}

proptest! {
    #[test]
    fn parsing_never_panics_and_round_trips(text in "\\PC*|(skychat:|tcp://)KEY[?@]\\PC*|skychat:KEY\\?(at=[a-z0-9.:\\[\\]%]{0,20}&?){0,10}") {
        if let Ok(address) = parse(&text) {
            prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address));
        }
    }

    #[test]
    fn made_addresses_round_trip(
        seed: [u8; 32],
        hints in prop::collection::vec((any::<std::net::IpAddr>(), 1u16..), 0..=MAX_HINTS),
    ) {
        let hints = hints.into_iter().map(|(ip, port)| HostPort::new(crate::Host::Ip(ip), port).unwrap());
        let address = Address::new(SecretKey::from_seed(seed).public(), hints).unwrap();
        prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address));
    }
}
