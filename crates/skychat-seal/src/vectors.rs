//! The fixed bytes of this crate, `tests/vectors/seal.json`, for this and every other
//! implementation, with what has to be refused. The file is compared with what the code makes; a
//! difference is a change of the format. Written again only with `SKYCHAT_WRITE_VECTORS=1`.
//! `tests/vectors/recompute.py` makes the same values on its own.

use std::path::Path;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use skychat_identity::SecretKey;

use crate::script::Script;
use crate::secret::{LABEL, Secret};
use crate::{EntryAad, KeyId, Opener, SealInfo, Sealer, StoreKey};

#[test]
fn the_vectors_are_what_the_code_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/seal.json");
    let made = json!({
        "about": "Skychat sealing, docs/protocol/direct.md. Bytes are lower-case hex. In `refuse`, `error` names the reason; every implementation refuses these, the names are ours.",
        "bodies": cases().map(|case| case.vector()).to_vec(),
        "store": stores(),
        "refuse": {
            "bodies": refuse_bodies(),
            "store_key_files": refuse_files(),
            "store_records": refuse_records(),
        },
    });
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

fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

/// 32 bytes that belong to a name.
fn named(name: &str) -> [u8; 32] {
    Sha256::digest(name.as_bytes()).into()
}

fn start<const N: usize>(bytes: [u8; 32]) -> [u8; N] {
    std::array::from_fn(|n| bytes[n])
}

/// `BadSeal` of `BadSeal`, `Length` of `Length { found: 3 }`.
fn name(error: &impl std::fmt::Debug) -> String {
    format!("{error:?}")
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect()
}

struct Case {
    author: SecretKey,
    recipient: SecretKey,
    info: SealInfo,
    entry: EntryAad,
    /// What the generator gives: 32 bytes for the encapsulation, 24 for the nonce.
    random: [u8; 56],
    plaintext: Vec<u8>,
}

fn cases() -> [Case; 4] {
    [
        case("one", 1, b"see you at nine".to_vec()),
        case("two", u64::MAX, Vec::new()),
        case("three", 0x0102_0304_0506_0708, vec![0xff; 64]),
        case("four", 12, (0..=255).collect()),
    ]
}

fn case(text: &str, seq: u64, plaintext: Vec<u8>) -> Case {
    let author = SecretKey::from_seed(named(&format!("author {text}")));
    let recipient = SecretKey::from_seed(named(&format!("recipient {text}")));
    let mut keys = [author.public(), recipient.public()];
    keys.sort();
    let [lower, higher] = keys;
    let space = [
        b"skychat/v1/direct-space",
        &lower.as_bytes()[..],
        higher.as_bytes(),
    ]
    .concat();
    let info = SealInfo {
        space: Sha256::digest(space).into(),
        author: author.public(),
        recipient: recipient.public(),
        incarnation: start(named(&format!("incarnation {text}"))),
    };
    let entry = EntryAad {
        stream: 1,
        seq,
        message: start(named(&format!("message {text}"))),
        kind: 1,
    };
    let mut random = [0; 56];
    random[..32].copy_from_slice(&named(&format!("ephemeral {text}")));
    random[32..].copy_from_slice(&named(&format!("nonce {text}"))[..24]);
    Case {
        author,
        recipient,
        info,
        entry,
        random,
        plaintext,
    }
}

impl Case {
    fn body(&self) -> Vec<u8> {
        let mut rng = Script::new(&self.random);
        let mut sealer = Sealer::new(&mut rng, &self.info, 0).unwrap();
        let mut body = Vec::new();
        sealer
            .seal(&mut rng, &self.entry, &self.plaintext, &mut body)
            .unwrap();
        body
    }

    fn vector(self) -> Value {
        let body = self.body();
        let key_id = KeyId::of(&self.info.recipient.x25519());
        let info = self.info.to_bytes(key_id);
        let encapsulation = body[8..40].try_into().unwrap();
        let own = self.recipient.x25519();
        let secret = Secret::decapsulate(own.expose_bytes(), &encapsulation, &info, LABEL).unwrap();
        let opened = Opener::new()
            .open(&own, &self.info, &self.entry, &body)
            .unwrap();
        assert_eq!(*opened, self.plaintext);
        json!({
            "author_seed": hex(self.author.expose_bytes()),
            "author": self.info.author.to_string(),
            "recipient_seed": hex(self.recipient.expose_bytes()),
            "recipient": self.info.recipient.to_string(),
            "space": hex(self.info.space),
            "incarnation": hex(self.info.incarnation),
            "stream": self.entry.stream,
            "seq": self.entry.seq.to_string(),
            "message": hex(self.entry.message),
            "kind": self.entry.kind,
            "ephemeral_ikm": hex(&self.random[..32]),
            "nonce": hex(&self.random[32..]),
            "recipient_x25519": hex(self.info.recipient.x25519()),
            "key_id": hex(key_id.as_bytes()),
            "info": hex(info),
            "encapsulation": hex(encapsulation),
            "secret": hex(secret.bytes()),
            "body_key": hex(*secret.body_key(self.entry.seq)),
            "aad": hex(self.entry.to_bytes(&self.info)),
            "plaintext": hex(&self.plaintext),
            "body": hex(body),
        })
    }
}

/// Changes to the first case, one each; `body` or the context may be another one.
fn refuse_bodies() -> Value {
    let case = || case("one", 1, b"see you at nine".to_vec());
    let good = case();
    let body = good.body();
    let mut refused = Vec::new();
    let mut refuse = |what: &str, info: SealInfo, entry: EntryAad, body: &[u8]| {
        let recipient = case().recipient;
        let error = Opener::new()
            .open(&recipient.x25519(), &info, &entry, body)
            .unwrap_err();
        refused.push(json!({
            "what": what,
            "recipient_seed": hex(recipient.expose_bytes()),
            "author": info.author.to_string(),
            "recipient": info.recipient.to_string(),
            "space": hex(info.space),
            "incarnation": hex(info.incarnation),
            "stream": entry.stream,
            "seq": entry.seq.to_string(),
            "message": hex(entry.message),
            "kind": entry.kind,
            "body": hex(body),
            "error": name(&error),
        }));
    };
    let flipped = |at: usize, bit: u8| {
        let mut body = body.clone();
        body[at] ^= bit;
        body
    };
    let (info, entry) = (good.info, good.entry);
    let stranger = SecretKey::from_seed(named("stranger")).public();
    let last = body.len() - 1;
    refuse("key id, one bit", info, entry, &flipped(0, 1));
    refuse("encapsulation, one bit", info, entry, &flipped(8, 1));
    refuse("encapsulation, top bit", info, entry, &flipped(39, 0x80));
    refuse("nonce, one bit", info, entry, &flipped(63, 1));
    refuse("ciphertext, one bit", info, entry, &flipped(64, 1));
    refuse("tag, one bit", info, entry, &flipped(last, 0x80));
    refuse("without its last byte", info, entry, &body[..last]);
    let longer = [&body[..], &[0]].concat();
    refuse("with one byte more", info, entry, &longer);
    refuse("79 bytes", info, entry, &body[..79]);
    refuse("no bytes", info, entry, &[]);
    for (what, point) in [("0", [0; 32]), ("1", start_with(1))] {
        let mut body = body.clone();
        body[8..40].copy_from_slice(&point);
        let what = format!("encapsulation of small order: u = {what}");
        refuse(&what, info, entry, &body);
    }
    let mut under = |what: &str, info: SealInfo| refuse(what, info, entry, &body);
    let space = named("another space");
    under("another space", SealInfo { space, ..info });
    let author = stranger;
    under("another author", SealInfo { author, ..info });
    let incarnation = [0; 8];
    under(
        "another incarnation",
        SealInfo {
            incarnation,
            ..info
        },
    );
    let recipient = stranger;
    under("another recipient", SealInfo { recipient, ..info });
    let (author, recipient) = (info.recipient, info.author);
    let swapped = SealInfo {
        author,
        recipient,
        ..info
    };
    under("author and recipient exchanged", swapped);
    let mut at = |what: &str, entry: EntryAad| refuse(what, info, entry, &body);
    at("another stream", EntryAad { stream: 0, ..entry });
    at("another seq", EntryAad { seq: 2, ..entry });
    let message = [0; 16];
    at("another message", EntryAad { message, ..entry });
    at("another kind", EntryAad { kind: 2, ..entry });
    refused.into()
}

fn start_with(first: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = first;
    bytes
}

fn store_key(text: &str) -> StoreKey {
    StoreKey::generate(&mut Script::new(&named(text)))
}

const PLACE: [&[u8]; 3] = [b"value", &[5], b"row key"];

fn store_record(key: &StoreKey) -> Vec<u8> {
    let mut record = Vec::new();
    let mut rng = Script::new(&named("store nonce")[..24]);
    key.seal(&mut rng, &PLACE, b"row value", &mut record)
        .unwrap();
    record
}

fn stores() -> Value {
    let keys = ["store key one", "store key two"];
    keys.map(|text| {
        let key = store_key(text);
        let record = store_record(&key);
        assert_eq!(*key.open(&PLACE, &record).unwrap(), b"row value");
        json!({
            "key": hex(named(text)),
            "check": hex(key.check()),
            "file": hex(&*key.to_file_bytes()),
            "place": PLACE.map(hex).to_vec(),
            "nonce": hex(&record[..24]),
            "plaintext": hex(b"row value"),
            "record": hex(record),
        })
    })
    .to_vec()
    .into()
}

fn refuse_files() -> Value {
    let good = store_key("store key one").to_file_bytes();
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.to_vec();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let mut other_key = with(18, &named("store key two"));
    let sum = Sha256::digest(&other_key[..66]);
    other_key[66..].copy_from_slice(&sum[..16]);
    [
        ("another magic", with(0, b"skychat identity")),
        ("version 2", with(16, &[0, 2])),
        ("key, one bit", with(18, &[good[18] ^ 1])),
        ("check value, one bit", with(50, &[good[50] ^ 1])),
        ("checksum, one bit", with(81, &[good[81] ^ 0x80])),
        ("check value of another key, checksum right", other_key),
        ("without its last byte", good[..81].to_vec()),
        ("with one byte more", [&good[..], &[0]].concat()),
        ("no bytes", Vec::new()),
    ]
    .map(|(what, file)| {
        let error = StoreKey::from_file_bytes(&file).unwrap_err();
        json!({ "what": what, "file": hex(file), "error": name(&error) })
    })
    .to_vec()
    .into()
}

fn refuse_records() -> Value {
    let key = store_key("store key one");
    let good = store_record(&key);
    let flipped = |at: usize| {
        let mut record = good.clone();
        record[at] ^= 1;
        record
    };
    let elsewhere = [
        ("another table", vec![b"value", &[6][..], b"row key"]),
        (
            "another kind of record",
            vec![b"content", &[5][..], b"row key"],
        ),
        (
            "parts joined otherwise",
            vec![b"value", &b"\x05row"[..], b" key"],
        ),
    ]
    .map(|(what, place)| (what, place, good.clone()));
    let under_another = store_record(&store_key("store key two"));
    let changed = [
        ("nonce, one bit", flipped(0)),
        ("ciphertext, one bit", flipped(24)),
        ("tag, one bit", flipped(good.len() - 1)),
        ("39 bytes", good[..39].to_vec()),
        ("sealed under another key", under_another),
    ]
    .map(|(what, record)| (what, PLACE.to_vec(), record));
    changed
        .into_iter()
        .chain(elsewhere)
        .map(|(what, place, record)| {
            let error = key.open(&place, &record).unwrap_err();
            let place: Vec<_> = place.iter().map(hex).collect();
            json!({ "what": what, "place": place, "record": hex(record), "error": name(&error) })
        })
        .collect::<Vec<_>>()
        .into()
}
