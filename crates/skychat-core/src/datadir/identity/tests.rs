use std::os::unix::ffi::OsStrExt;

use super::*;

fn hex(n: u8) -> String {
    format!("{n:02x}").repeat(32)
}

fn json(n: u8) -> Vec<u8> {
    format!(
        r#"{{"version": "v1", "sk": "{}", "more": {{"sk": 1}}}}"#,
        hex(n)
    )
    .into_bytes()
}

fn key_file(n: u8) -> Vec<u8> {
    keyfile::encode(&SecretKey::from_seed([n; 32])).to_vec()
}

fn at(path: &str) -> &Path {
    Path::new(path)
}

/// Seed and source of what was chosen.
fn chosen(sources: &IdentitySources<'_>) -> (u8, String) {
    let (secret, source) = resolve_identity(sources).unwrap();
    (secret.expose_bytes()[0], source.to_string())
}

#[test]
fn the_first_hit_wins() {
    let (one, two, three, four) = (hex(1), hex(2), json(3), key_file(4));
    let mut sources = IdentitySources {
        flag: Some(&one),
        environment: Some(OsStr::new(&two)),
        config: Some((at("c.json"), &three)),
        key_file: Some((at("identity.key"), &four)),
        ephemeral: None,
    };
    assert_eq!(chosen(&sources), (1, "--sk".into()));
    sources.flag = None;
    assert_eq!(chosen(&sources), (2, "the variable DMSGCURL_SK".into()));
    sources.environment = None;
    assert_eq!(chosen(&sources), (3, "-c c.json".into()));
    sources.config = None;
    assert_eq!(chosen(&sources), (4, "identity.key".into()));
    sources.key_file = None;
    let error = resolve_identity(&sources).unwrap_err();
    assert!(matches!(error, IdentityError::NoIdentity));
    assert_eq!(error.code(), Code::BadConfig);
}

#[test]
fn a_malformed_source_is_an_error_whoever_wins() {
    let (good, bad) = (hex(1), "01".repeat(31));
    let (good_json, good_file) = (json(3), key_file(4));
    let all = || IdentitySources {
        flag: Some(&good),
        environment: Some(OsStr::new(&good)),
        config: Some((at("c.json"), &good_json)),
        key_file: Some((at("identity.key"), &good_file)),
        ephemeral: None,
    };
    let error = |sources: IdentitySources<'_>| resolve_identity(&sources).unwrap_err();

    for text in [&bad, "", "zz"] {
        let by_flag = error(IdentitySources {
            flag: Some(text),
            ..all()
        });
        let by_variable = error(IdentitySources {
            environment: Some(OsStr::new(text)),
            ..all()
        });
        for found in [by_flag, by_variable] {
            assert!(matches!(found, IdentityError::Malformed { .. }), "{found}");
            assert_eq!(found.code(), Code::MalformedKey);
        }
    }
    let bytes = OsStr::from_bytes(&[0xff; 64]);
    let found = error(IdentitySources {
        environment: Some(bytes),
        ..all()
    });
    assert!(matches!(found, IdentityError::NotText));
    let found = error(IdentitySources {
        config: Some((at("c.json"), b"{}")),
        ..all()
    });
    assert!(matches!(found, IdentityError::ConfigWithoutKey { .. }));
    let found = error(IdentitySources {
        key_file: Some((at("identity.key"), b"")),
        ..all()
    });
    assert!(matches!(found, IdentityError::KeyFile { .. }));
    assert_eq!(found.code(), Code::StoreDamaged);
}

#[test]
fn an_ephemeral_identity_is_made_on_request_only() {
    let (text, file) = (hex(1), key_file(4));
    let ephemeral = || Some(Zeroizing::new([9; 32]));
    let mut sources = IdentitySources {
        ephemeral: ephemeral(),
        ..Default::default()
    };
    assert_eq!(chosen(&sources), (9, "--ephemeral".into()));
    // The key file is not asked for.
    sources.key_file = Some((at("identity.key"), &file));
    assert_eq!(chosen(&sources), (9, "--ephemeral".into()));
    sources.flag = Some(&text);
    let error = resolve_identity(&sources).unwrap_err();
    assert_eq!(
        error.to_string(),
        "found both --ephemeral and an identity from --sk, expected one of them"
    );
    assert_eq!(error.code(), Code::BadConfig);
}

#[test]
fn the_json_has_one_plain_sk() {
    let sk = |json: &str| sk_from_json(json.replace("SK", &hex(5)).as_bytes());
    assert_eq!(
        sk(r#"{"sk":"SK"}"#).ok(),
        Some(SecretKey::from_seed([5; 32]))
    );
    for json in [
        "",
        "SK",
        "[]",
        r#""SK""#,
        r#"{"sk":"SK""#,
        r#"{"sk":"SK"} x"#,
        r#"{"sk":"SK","sk":"SK"}"#,
        r#"{"sk":["SK"]}"#,
        r#"{"sk":5}"#,
        r#"{"sk":"\u0030SK"}"#,
    ] {
        assert!(matches!(sk(json), Err(SkFieldError::Json { .. })), "{json}");
    }
    for json in [
        "{}",
        r#"{"sk":null}"#,
        r#"{"SK":"sk"}"#,
        r#"{"inner":{"sk":"SK"}}"#,
    ] {
        assert!(matches!(sk(json), Err(SkFieldError::Absent)), "{json}");
    }
    for json in [r#"{"sk":""}"#, r#"{"sk":"SK0"}"#, r#"{"sk":" SK"}"#] {
        assert!(
            matches!(sk(json), Err(SkFieldError::Malformed(_))),
            "{json}"
        );
    }
}

#[test]
fn no_message_shows_what_a_source_holds() {
    let secret = "5ec7e7".repeat(10) + "5ec7";
    let broken = format!("{{\"sk\": {secret}}}");
    let quoted = format!("{{\"sk\": \"{secret}-\"}}");
    let text = format!("{secret}x");
    let sources = [
        IdentitySources {
            flag: Some(&text),
            ..Default::default()
        },
        IdentitySources {
            environment: Some(OsStr::new(&text)),
            ..Default::default()
        },
        IdentitySources {
            config: Some((at("c"), broken.as_bytes())),
            ..Default::default()
        },
        IdentitySources {
            config: Some((at("c"), quoted.as_bytes())),
            ..Default::default()
        },
        IdentitySources {
            key_file: Some((at("k"), text.as_bytes())),
            ..Default::default()
        },
    ];
    for sources in sources {
        let error = resolve_identity(&sources).unwrap_err();
        let mut shown = format!("{error} {error:?}");
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            shown += &format!(" {error} {error:?}");
            cause = error.source();
        }
        assert!(!shown.contains("5ec7"), "{shown}");
    }
}

#[test]
fn the_place_of_a_json_error_is_told() {
    let config = Some((at("/etc/c.json"), &b"{\n  \"sk\": 7\n}"[..]));
    let error = resolve_identity(&IdentitySources {
        config,
        ..Default::default()
    })
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "-c /etc/c.json: line 2, column 9: expected a JSON object with a string `sk`"
    );
}
