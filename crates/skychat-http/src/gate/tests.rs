use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn gate() -> Gate {
    Gate::new(
        "127.0.0.1:8002".parse().unwrap(),
        Token::new(SECRET).unwrap(),
    )
}

fn request(method: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri("/v1/status");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

fn check(headers: &[(&str, &str)]) -> Option<Code> {
    gate()
        .check(&request("GET", headers))
        .err()
        .map(|error| error.code)
}

const AUTH: (&str, &str) = ("authorization", "Bearer 0123456789abcdef0123456789abcdef");

#[test]
fn c35_hosts_are_exact() {
    for host in [
        "127.0.0.1:8002",
        "localhost:8002",
        "LOCALHOST:8002",
        "[::1]:8002",
    ] {
        assert_eq!(check(&[("host", host), AUTH]), None, "{host}");
    }
    for host in [
        "",
        "localhost",
        "127.0.0.1",
        "localhost:80",
        "localhost:8003",
        "localhost.:8002",
        "evil.example:8002",
        "127.0.0.1.evil.example:8002",
        "localhost:8002.evil.example",
        "user@localhost:8002",
        "localhost:08002",
        "2130706433:8002",
        "0x7f.1:8002",
        "127.1:8002",
        "0177.0.0.1:8002",
        "[::ffff:127.0.0.1]:8002",
        "[::1%25lo]:8002",
        "127.0.0.2:8002",
        "localhost:8002, localhost:8002",
        " localhost:8002 x",
    ] {
        assert_eq!(
            check(&[("host", host), AUTH]),
            Some(Code::Forbidden),
            "{host}"
        );
    }
    assert_eq!(check(&[AUTH]), Some(Code::Forbidden), "no Host");
    let twice = [("host", "localhost:8002"), ("host", "localhost:8002"), AUTH];
    assert_eq!(check(&twice), Some(Code::Forbidden), "two Hosts");
}

#[test]
fn c37_an_internal_token_is_a_second_one_and_nothing_more() {
    const INTERNAL: &str = "fedcba9876543210fedcba9876543210";
    let host = ("host", "localhost:8002");
    let header = |value| ("x-skychat-internal-token", value);
    let mut gate = gate();
    let code = |gate: &Gate, headers: &[(&str, &str)]| {
        let checked = gate.check(&request("GET", headers));
        checked.err().map(|error| error.code)
    };
    // Not given: the header means nothing.
    let refused = Some(Code::Unauthorized);
    assert_eq!(code(&gate, &[host, header(INTERNAL)]), refused);
    assert_eq!(code(&gate, &[host, header("")]), refused);
    gate.allow_internal(Token::new(INTERNAL).unwrap());
    assert_eq!(code(&gate, &[host, header(INTERNAL)]), None);
    assert_eq!(code(&gate, &[host, AUTH]), None, "the other one stays");
    // Each opens by its own header, once, and whole.
    for headers in [
        vec![host, header("")],
        vec![host, header(SECRET)],
        vec![host, header(&INTERNAL[1..])],
        vec![host, header(INTERNAL), header(INTERNAL)],
        vec![
            host,
            ("authorization", "Bearer fedcba9876543210fedcba9876543210"),
        ],
    ] {
        assert_eq!(code(&gate, &headers), refused, "{headers:?}");
    }
    // And it opens no other gate.
    for headers in [
        [("host", "evil.example"), header(INTERNAL), header("x")],
        [host, header(INTERNAL), ("origin", "null")],
        [host, header(INTERNAL), ("sec-fetch-site", "cross-site")],
    ] {
        assert_eq!(code(&gate, &headers), Some(Code::Forbidden), "{headers:?}");
    }
    assert!(!format!("{gate:?}").contains(INTERNAL));
}

#[test]
fn c35_the_host_is_judged_before_the_token() {
    assert_eq!(check(&[("host", "evil.example")]), Some(Code::Forbidden));
    assert_eq!(
        check(&[("host", "localhost:8002")]),
        Some(Code::Unauthorized)
    );
}

#[test]
fn c35_an_absolute_uri_is_judged_too() {
    let mut request = request("GET", &[("host", "localhost:8002"), AUTH]);
    *request.uri_mut() = "http://evil.example/v1/status".parse().unwrap();
    assert_eq!(gate().check(&request).unwrap_err().code, Code::Forbidden);
    *request.uri_mut() = "http://localhost:8002/v1/status".parse().unwrap();
    assert_eq!(gate().check(&request), Ok(()));
}

#[test]
fn c35_origins_and_sites() {
    let host = ("host", "localhost:8002");
    for origin in ["null", "http://localhost:8002", "https://evil.example", ""] {
        assert_eq!(
            check(&[host, AUTH, ("origin", origin)]),
            Some(Code::Forbidden),
            "{origin}"
        );
    }
    assert_eq!(
        check(&[host, AUTH, ("sec-fetch-site", "cross-site")]),
        Some(Code::Forbidden)
    );
    for site in ["none", "same-origin"] {
        assert_eq!(check(&[host, AUTH, ("sec-fetch-site", site)]), None);
    }
    let mut gate = gate();
    gate.allow_origin("https://chat.example").unwrap();
    let from = |origin| request("GET", &[host, AUTH, ("origin", origin)]);
    assert_eq!(gate.check(&from("https://chat.example")), Ok(()));
    for origin in [
        "http://chat.example",
        "https://chat.example:444",
        "https://chat.example.evil",
    ] {
        assert!(gate.check(&from(origin)).is_err(), "{origin}");
    }
}

#[test]
fn c37_refusals_are_identical() {
    let answers: Vec<ErrorBody> = [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Bearer 0123456789abcdef0123456789abcdee"),
        Some("Bearer 0123456789abcdef0123456789abcdef0"),
        Some("Bearer 0123456789abcdef0123456789abcde"),
        Some("Basic 0123456789abcdef0123456789abcdef"),
        Some("0123456789abcdef0123456789abcdef"),
    ]
    .into_iter()
    .map(|value| {
        let mut headers = vec![("host", "localhost:8002")];
        headers.extend(value.map(|value| ("authorization", value)));
        gate().check(&request("GET", &headers)).unwrap_err()
    })
    .collect();
    assert_eq!(answers[0].code, Code::Unauthorized);
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
}

#[test]
fn c35_a_post_is_json() {
    let host = ("host", "localhost:8002");
    let with = |kind| gate().check(&request("POST", &[host, AUTH, ("content-type", kind)]));
    for kind in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
    ] {
        assert_eq!(with(kind), Ok(()), "{kind}");
    }
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "x",
    ] {
        assert_eq!(
            with(kind).unwrap_err().code,
            Code::UnsupportedMediaType,
            "{kind}"
        );
    }
    let none = gate().check(&request("POST", &[host, AUTH]));
    assert_eq!(none.unwrap_err().code, Code::UnsupportedMediaType);
}

#[test]
fn configured_names_are_names() {
    let mut gate = gate();
    for host in ["chat.example", "chat.example:8443", "[2001:db8::1]:8002"] {
        assert_eq!(gate.allow_host(host), Ok(()), "{host}");
    }
    for host in [
        "",
        "http://chat.example",
        "chat.example/",
        "user@chat.example",
        "*",
        "a b",
    ] {
        assert!(gate.allow_host(host).is_err(), "{host:?}");
    }
    for origin in [
        "null",
        "*",
        "chat.example",
        "https://",
        "https://a/b",
        "file://x",
    ] {
        assert!(gate.allow_origin(origin).is_err(), "{origin:?}");
    }
}

#[test]
fn c37_tokens_are_long_and_stay_secret() {
    assert!(Token::new("short").is_err());
    assert!(Token::new("").is_err());
    assert!(Token::new(&"x".repeat(257)).is_err());
    assert!(Token::new(&format!("{SECRET}\u{e9}")).is_err());
    let token = Token::new(&format!("{SECRET}\n")).unwrap();
    assert!(token.matches(SECRET.as_bytes()));
    assert_eq!(format!("{token:?}"), "Token(..)");
    assert!(!format!("{:?}", gate()).contains(SECRET));
}
