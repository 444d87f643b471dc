//! The fixed bytes of our own formats, `tests/vectors/identity.json`, for this and every other
//! implementation. The file is compared with what the code makes; a difference is a change of
//! the format. Written again only with `SKYCHAT_WRITE_VECTORS=1`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics is a test that fails"
)]

use std::path::Path;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use skychat_identity::{
    Address, BadSignature, Domain, HostPort, PublicKey, SecretKey, Signature, Tagged, keyfile,
};

#[test]
fn the_vectors_are_what_the_code_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/identity.json");
    let made = make();
    if std::env::var_os("SKYCHAT_WRITE_VECTORS").is_some_and(|value| value == "1") {
        let text = serde_json::to_string_pretty(&made).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for (name, part) in kept.as_object().unwrap() {
        assert_eq!(part, &made[name], "{name}");
    }
    assert_eq!(kept, made);
}

fn make() -> Value {
    json!({
        "about": "Skychat identity formats, docs/protocol/identity.md. Bytes are lower-case hex. In `refuse`, `error` names the reason; every implementation refuses these, the names are ours.",
        "domains": domains(),
        "keys": seeds().map(key).to_vec(),
        "signatures": signatures(),
        "addresses": addresses(),
        "refuse": {
            "public_key_bytes": refuse_key_bytes(),
            "public_key_text": refuse_key_text(),
            "secret_key_text": refuse_secret_text(),
            "tagged": refuse_tagged(),
            "signatures": refuse_signatures(),
            "addresses": refuse_addresses(),
            "key_files": refuse_key_files(),
        },
    })
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

/// `SmallOrder` of `SmallOrder { .. }`, and of `Key { source: SmallOrder }` the pair.
fn name(error: &impl std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    let word = |text: &str| -> String {
        text.chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect()
    };
    match text.split_once("source: ") {
        Some((outer, inner)) => format!("{}: {}", word(outer), word(inner)),
        None => word(&text),
    }
}

fn seeds() -> [[u8; 32]; 4] {
    let counted = std::array::from_fn(|n| n as u8);
    let hashed = Sha256::digest(b"skychat identity vectors").into();
    [[0; 32], [0xff; 32], counted, hashed]
}

fn domains() -> Value {
    Domain::ALL
        .map(|domain| json!({ "tag": domain.to_string(), "signed": domain.is_signed() }))
        .to_vec()
        .into()
}

fn key(seed: [u8; 32]) -> Value {
    let secret = SecretKey::from_seed(seed);
    let public = secret.public();
    json!({
        "seed": hex(seed),
        "public": public.to_string(),
        "short": public.short().to_string(),
        "x25519_public": hex(public.x25519()),
        "x25519_secret": hex(secret.x25519().expose_bytes()),
        "key_file": hex(&*keyfile::encode(&secret)),
    })
}

fn message(domain: Domain) -> Vec<u8> {
    [domain.tag(), b"\x00\x01\x02 what follows the tag"].concat()
}

fn signatures() -> Value {
    let secret = SecretKey::from_seed(seeds()[2]);
    let signed = Domain::ALL.into_iter().filter(|domain| domain.is_signed());
    signed
        .map(|domain| {
            let message = message(domain);
            let tagged = Tagged::new(domain, &message).unwrap();
            let signature = secret.sign(tagged);
            assert_eq!(secret.public().verify(tagged, &signature), Ok(()));
            json!({
                "public": secret.public().to_string(),
                "domain": domain.to_string(),
                "message": hex(message),
                "signature": hex(signature.as_bytes()),
            })
        })
        .collect()
}

fn with_key(form: &str) -> String {
    form.replace(
        "KEY",
        &SecretKey::from_seed(seeds()[2]).public().to_string(),
    )
}

fn addresses() -> Value {
    [
        "skychat:KEY",
        "skychat:KEY?at=example.org:8801",
        "skychat:KEY?at=Example.ORG:8801&at=192.0.2.7:1&at=[2001:DB8:0::7]:65535",
        "skychat:KEY?at=%5B2001%3adb8%3A%3A7%5d%3A8801",
        "skychat:KEY?at=a:1&at=a:1",
        "skychat:KEY?name=ann&at=a:1",
        "tcp://KEY@my_host.example:8801",
        "tcp://KEY@[::ffff:192.0.2.7]:8801",
    ]
    .map(|form| {
        let text = with_key(form);
        let address: Address = text.parse().unwrap();
        let hints: Vec<String> = address.hints().iter().map(HostPort::to_string).collect();
        json!({
            "text": text,
            "key": address.key().to_string(),
            "hints": hints,
            "printed": address.to_string(),
            "tcp": address.tcp_forms().collect::<Vec<_>>(),
        })
    })
    .to_vec()
    .into()
}

fn refuse_key_bytes() -> Value {
    let ones = |first: &str, last: &str| format!("{first}{}{last}", "ff".repeat(30));
    let noughts = |first: &str, last: &str| format!("{first}{}{last}", "00".repeat(30));
    [
        // Orders 1, 2, 4, 4, 8, 8, 8, 8.
        noughts("01", "00"),
        ones("ec", "7f"),
        noughts("00", "00"),
        noughts("00", "80"),
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05".into(),
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85".into(),
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a".into(),
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa".into(),
        // x = 0 with the sign set; y from p on, small order or not.
        noughts("01", "80"),
        ones("ec", "ff"),
        ones("ed", "7f"),
        ones("ee", "7f"),
        ones("f0", "7f"),
        ones("ff", "ff"),
        // No point.
        noughts("02", "00"),
        // Mixed order (cases 2 and 3 of speccheck).
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43".into(),
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d".into(),
    ]
    .map(|bytes| {
        let encoding = HEXLOWER
            .decode(bytes.as_bytes())
            .unwrap()
            .try_into()
            .unwrap();
        let error = PublicKey::from_bytes(&encoding).unwrap_err();
        json!({ "bytes": bytes, "error": name(&error) })
    })
    .to_vec()
    .into()
}

fn refuse_key_text() -> Value {
    let key = with_key("KEY");
    [
        String::new(),
        key[1..].into(),
        format!("{key}0"),
        key.to_uppercase(),
        format!("0x{key}"),
        format!(" {key}"),
        format!("{key}\n"),
        key.replace('0', "o"),
        "0".repeat(64),
    ]
    .map(|text| {
        let error = text.parse::<PublicKey>().unwrap_err();
        json!({ "text": text, "error": name(&error) })
    })
    .to_vec()
    .into()
}

fn refuse_secret_text() -> Value {
    let seed = hex(seeds()[2]);
    [
        String::new(),
        seed[1..].into(),
        format!("{seed}0"),
        format!("0x{seed}"),
        format!("{seed}\n"),
    ]
    .map(|text| {
        let error = SecretKey::from_hex(&text).unwrap_err();
        json!({ "text": text, "error": name(&error) })
    })
    .to_vec()
    .into()
}

fn refuse_tagged() -> Value {
    [
        (Domain::Card, message(Domain::Invite)),
        (Domain::PairRequest, message(Domain::PairAnswer)),
        (Domain::FeedEntry, Vec::new()),
        (Domain::FeedEntry, b"skychat/v1/feed-entr".to_vec()),
        (Domain::FeedEntry, b"skychat/v2/feed-entry".to_vec()),
        (Domain::DirectSpace, message(Domain::DirectSpace)),
    ]
    .map(|(domain, message)| {
        let error = Tagged::new(domain, &message).unwrap_err();
        json!({ "taken_for": domain.to_string(), "message": hex(message), "error": name(&error) })
    })
    .to_vec()
    .into()
}

/// Signatures under a good key that do not hold.
fn refuse_signatures() -> Value {
    let secret = SecretKey::from_seed(seeds()[2]);
    let right = message(Domain::Card);
    let good = secret
        .sign(Tagged::new(Domain::Card, &right).unwrap())
        .to_bytes();
    let half = |first: &[u8], second: &[u8]| [first, second].concat().try_into().unwrap();

    // S + l is the same number modulo the group order l.
    let order = HEXLOWER
        .decode(b"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
        .unwrap();
    let mut carry = 0;
    let s_plus_l: Vec<u8> = good[32..]
        .iter()
        .zip(order)
        .map(|(s, l)| {
            let sum = u16::from(*s) + u16::from(l) + carry;
            carry = sum >> 8;
            sum as u8
        })
        .collect();
    let mut flipped = good;
    flipped[40] ^= 1;
    let identity = [&[1][..], &[0; 31]].concat();

    let cases: [(&str, Vec<u8>, [u8; 64]); 6] = [
        ("one bit of S changed", right.clone(), flipped),
        (
            "S + l instead of S",
            right.clone(),
            half(&good[..32], &s_plus_l),
        ),
        (
            "R is the identity",
            right.clone(),
            half(&identity, &good[32..]),
        ),
        ("all zeros", right.clone(), [0; 64]),
        ("a byte more is signed", [&right[..], b"!"].concat(), good),
        ("the same under another tag", message(Domain::Invite), good),
    ];
    cases
        .map(|(why, message, signature)| {
            let domain = Domain::of(&message).unwrap();
            let tagged = Tagged::new(domain, &message).unwrap();
            let signature = Signature::from_bytes(signature);
            assert_eq!(
                secret.public().verify(tagged, &signature),
                Err(BadSignature)
            );
            json!({
                "why": why,
                "public": secret.public().to_string(),
                "message": hex(&message),
                "signature": hex(signature.as_bytes()),
                "error": name(&BadSignature),
            })
        })
        .to_vec()
        .into()
}

fn refuse_addresses() -> Value {
    let nine: Vec<String> = (1..=9).map(|n| format!("at=a:{n}")).collect();
    [
        "KEY",
        "SKYCHAT:KEY",
        "http://KEY@a:1",
        "skychat://KEY",
        "skychat:KEY?",
        "skychat:KEY?at",
        "skychat:KEY?AT=a:1",
        "skychat:KEY?at=",
        "skychat:KEY?at=a",
        "skychat:KEY?at=a:0",
        "skychat:KEY?at=a:65536",
        "skychat:KEY?at=a:080",
        "skychat:KEY?at=2001:db8::7:1",
        "skychat:KEY?at=[fe80::1%25eth0]:1",
        "skychat:KEY?at=127.1:1",
        "skychat:KEY?at=256.0.0.1:1",
        "skychat:KEY?at=b\u{fc}cher.example:1",
        "skychat:KEY?at=a..b:1",
        "skychat:KEY?at=%61:1",
        "skychat:KEY?at=a:1&req-via=tor",
        &format!("skychat:KEY?{}", nine.join("&")),
        "tcp://a:1",
        "tcp://KEY@",
        "tcp://KEY@a",
        "tcp://KEY@a:1/",
        "tcp://KEY@[::1",
        "tcp://KEY@[fe80::1%eth0]:1",
    ]
    .map(|form| {
        let text = with_key(form);
        let error = text.parse::<Address>().unwrap_err();
        json!({ "text": text, "error": name(&error) })
    })
    .to_vec()
    .into()
}

fn refuse_key_files() -> Value {
    let good = keyfile::encode(&SecretKey::from_seed(seeds()[2])).to_vec();
    let flip = |at: usize| {
        let mut file = good.clone();
        file[at] ^= 1;
        file
    };
    let mut version_2 = good[..50].to_vec();
    version_2[17] = 2;
    let check = Sha256::digest(&version_2);
    version_2.extend_from_slice(&check[..16]);
    [
        Vec::new(),
        good[..65].to_vec(),
        [&good[..], &[0]].concat(),
        hex(seeds()[2]).into_bytes(),
        flip(0),
        flip(16),
        flip(18),
        flip(49),
        flip(50),
        flip(65),
        version_2,
    ]
    .map(|file| {
        let error = keyfile::decode(&file).unwrap_err();
        json!({ "file": hex(file), "error": name(&error) })
    })
    .to_vec()
    .into()
}
