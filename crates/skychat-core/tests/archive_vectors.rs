//! The vectors of archives (`docs/protocol/archive.md`): what is taken in, and what is refused, and why. They are written
//! again only with `SKYCHAT_WRITE_VECTORS=1`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a test that panics is a test that fails"
)]

mod archives;
#[path = "archives/directory.rs"]
mod directory;

use std::fs;
use std::path::Path;

use archives::*;
use directory::*;
use serde_json::{Value, json};
use skychat_api::Code;
use skychat_identity::Domain;
use skychat_proto::entry::{Header, Kind};
use skychat_proto::ids::{Position, Seq};
use skychat_proto::record::{Record, tables};
use skychat_proto::sync::{Branch, ForkProof, SyncMessage};

/// The lines of what Ann has, and the place of the first that `begins` so.
fn of_ann(begins: &str) -> (Vec<String>, usize) {
    let lines = lines(&groups());
    let start = format!(r#"{{"type":"{begins}""#);
    let place = lines.iter().position(|line| line.starts_with(&start));
    (lines, place.unwrap())
}

/// The file with one line put in the place of another one, ended as it has to be.
fn with(begins: &str, line: &str) -> String {
    let (mut lines, place) = of_ann(begins);
    lines[place] = line.to_owned();
    file(lines)
}

/// The file with a history of one group with these records.
fn of(records: Vec<Record>) -> String {
    file(lines(&[group(Some(life(1)), &mut 0, records)]))
}

/// A proof that Ann wrote her first entry twice, of which the second is signed by `signer`.
fn fork(signer: &skychat_identity::SecretKey) -> Record {
    let (first, _) = whole_range(&ann()).headers().next().unwrap();
    let second = Header {
        time: skychat_proto::ids::Timestamp::from_millis(7),
        ..first
    };
    assert_eq!((first.kind, first.seq), (Kind::Open, Seq::FIRST));
    let branch = |header: Header, signer| Branch {
        headers: vec![header],
        signature: header.sign(signer),
    };
    let proof = ForkProof {
        feed: feed(&ann()),
        branches: [branch(first, &ann()), branch(second, signer)],
    };
    let value = SyncMessage::ForkProof(Box::new(proof)).encode();
    put(tables::FORK, &feed(&ann()).to_bytes(), &value)
}

/// What is refused, and why.
#[allow(clippy::too_many_lines, reason = "a list")]
fn refusals() -> Vec<(&'static str, String)> {
    let whole = lines(&groups());
    let good = file(whole.clone());
    let end = end(&whole, &ann());
    let ended = |end: String| joined(&[&whole[..], &[end]].concat());
    let swapped = |of: &[String], a: usize, b: usize| {
        let mut lines = of.to_vec();
        lines.swap(a, b);
        lines
    };
    let (_, record) = of_ann("record");
    let (_, close) = of_ann("group");
    let without = |place: usize| {
        let mut lines = whole.clone();
        lines.remove(place);
        lines
    };
    let doubled = |place: usize| {
        let mut lines = whole.clone();
        lines.insert(place, lines[place].clone());
        lines
    };
    let data = |data: &str| with("record", &format!(r#"{{"type":"record","data":"{data}"}}"#));
    let (mine, bodies) = (whole_range(&ann()), bodies().map(Some));
    let forged = |signer: &_, bodies: &[Option<Vec<u8>>]| {
        of(vec![Record::Range {
            range: range(&bob(), signer, bodies),
        }])
    };
    let altered = |at: usize| {
        let mut bodies = bodies.clone();
        bodies[at].as_mut().unwrap()[0] ^= 1;
        forged(&bob(), &bodies)
    };
    let other_end = |from: &str, to: &str| ended(end.replace(from, to));
    let hash = hash(&whole);
    let signed = |by: String| other_end(&signature(&ann(), Domain::Archive, &hash), &by);
    let mut no_signature = end.split(r#","signature""#).next().unwrap().to_owned();
    no_signature.push('}');
    let late = {
        let mut lines = whole.clone();
        let message = lines.remove(1);
        lines.push(message);
        lines
    };
    let mut open = whole.clone();
    open.pop();
    vec![
        ("nothing", String::new()),
        ("another file", "#!/bin/sh\n".into()),
        ("other JSON", "{\"type\":\"ready\",\"v\":1}\n".into()),
        (
            "an export of the first version",
            format!(
                "{{\"v\":1,\"type\":\"skychat-export\",\"public_key\":\"{}\",\"exported\":7}}\n\
                 {{\"type\":\"end\",\"messages\":\"0\"}}\n",
                ann().public()
            ),
        ),
        (
            "version 2",
            with(
                "skychat-export",
                &whole[0].replace(r#""archive":1"#, r#""archive":2"#),
            ),
        ),
        (
            "another version of documents",
            with("skychat-export", &whole[0].replace(r#""v":1"#, r#""v":2"#)),
        ),
        (
            "a first line with more",
            with("skychat-export", &whole[0].replace('}', r#","more":1}"#)),
        ),
        (
            "a first line with a space",
            with("skychat-export", &whole[0].replace(",\"v", ", \"v")),
        ),
        ("another owner", {
            let mut lines = whole.clone();
            lines[0] = lines[0].replace(&ann().public().to_string(), &bob().public().to_string());
            let end = archives::end(&lines, &bob());
            lines.push(end);
            joined(&lines)
        }),
        ("two first lines", file(doubled(0))),
        ("no first line", file(without(0))),
        (
            "a message that is no JSON",
            with("message", r#"{"type":"message",}"#),
        ),
        ("a message behind the history", file(late)),
        (
            "a line of another type",
            with("message", r#"{"type":"note"}"#),
        ),
        ("an empty line", with("message", "")),
        ("lines that end in CRLF", good.replace('\n', "\r\n")),
        (
            "base64 with bits left over",
            data("AAAAAAAAAAAGAAAAAgZiYR=="),
        ),
        ("base64 without padding", data("AAAAAAAAAAAGAAAAAgZiYQ")),
        ("base64 of URLs", data("AAAAAAAAAAAGAAAAAgZiY-__")),
        ("base64 with a space", data("AAAA AAAAAAAGAAAAAgZiYQ==")),
        (
            "a record with more fields",
            with("record", &whole[record].replace('}', r#","a":1}"#)),
        ),
        (
            "a life in capitals",
            with("group", r#"{"type":"group","life":"0A0A0A0A0A0A0A0A"}"#),
        ),
        (
            "a life that is short",
            with("group", r#"{"type":"group","life":"0101"}"#),
        ),
        (
            "a group with more fields",
            with("group", r#"{"type":"group","a":1}"#),
        ),
        ("an empty record", of_item(b"")),
        ("an unknown kind", of_item(&item(6, b"", b""))),
        (
            "a meta longer than the item",
            of_item(&item(4, b"\x06bob", b"")[..15]),
        ),
        (
            "a row of the state of keys, first table",
            of_item(&item(4, b"\x80chain", b"secret")),
        ),
        (
            "a row of the state of keys, last table",
            of_item(&item(5, b"\xc7chain", b"")),
        ),
        (
            "a row of the store's own",
            of_item(&item(4, b"\xc8life", &[0; 8])),
        ),
        ("a drop with a body", of_item(&item(3, &[0; 90], b"?"))),
        ("a range that is none", of_item(&item(1, &[1; 40], b""))),
        (
            "a content without its range",
            of_item(&item(2, &[1, 0, 1, 0, 0], b"\0one")),
        ),
        (
            "a content behind the range",
            of(vec![
                Record::Range {
                    range: mine.clone(),
                },
                content(&mine, 1, 1, "one"),
                content(&mine, 1, 1, "two"),
            ]),
        ),
        ("records that no group closes", {
            open.retain(|line| !line.contains(r#""group""#));
            file(open)
        }),
        ("a range that Ann signed for Bob", forged(&ann(), &bodies)),
        ("an altered body", altered(1)),
        ("an altered opening", altered(0)),
        (
            "an opening without its body",
            forged(&bob(), &[None, bodies[1].clone(), None]),
        ),
        ("a range with another signature", {
            let item = item(
                1,
                &{
                    let mut head = mine.head_block().to_vec();
                    let last = head.len() - 1;
                    head[last - 60] ^= 1;
                    head
                },
                mine.bodies(),
            );
            of_item(&item)
        }),
        (
            "a range twice",
            of(vec![
                Record::Range {
                    range: mine.clone(),
                },
                Record::Range {
                    range: mine.clone(),
                },
            ]),
        ),
        (
            "a range that does not join",
            of(vec![Record::Range {
                range: mine.suffix(Position::new(1)).unwrap(),
            }]),
        ),
        ("a proof of nothing", of(vec![fork(&bob())])),
        (
            "a proof that is none",
            of(vec![put(tables::FORK, &feed(&ann()).to_bytes(), b"?")]),
        ),
        (
            "a proof for another feed",
            of(vec![{
                let Record::Put { value, .. } = fork(&ann()) else {
                    unreachable!()
                };
                put(tables::FORK, &feed(&bob()).to_bytes(), &value)
            }]),
        ),
        ("no end", joined(&whole)),
        ("cut in the last line", good[..good.len() - 9].into()),
        ("no end of the last line", good[..good.len() - 1].into()),
        ("something behind the end", format!("{good}x")),
        ("an empty line behind the end", format!("{good}\n")),
        ("two ends", format!("{good}{end}\n")),
        (
            "a line left out",
            joined(&[&without(record)[..], std::slice::from_ref(&end)].concat()),
        ),
        (
            "a line twice",
            joined(&[&doubled(close)[..], std::slice::from_ref(&end)].concat()),
        ),
        (
            "lines swapped",
            joined(&[&swapped(&whole, 1, 2)[..], std::slice::from_ref(&end)].concat()),
        ),
        (
            "an altered text",
            good.replace(r#""text":"one""#, r#""text":"two""#),
        ),
        ("an altered text, hashed again", {
            let mut lines = whole.clone();
            lines[1] = lines[1].replace(r#""text":"one""#, r#""text":"two""#);
            let old = data_encoding::HEXLOWER.encode(&hash);
            let new = data_encoding::HEXLOWER.encode(&archives::hash(&lines));
            lines.push(end.replace(&old, &new));
            joined(&lines)
        }),
        (
            "a hash in capitals",
            other_end(
                &data_encoding::HEXLOWER.encode(&hash),
                &data_encoding::HEXUPPER.encode(&hash),
            ),
        ),
        (
            "a hash that is short",
            other_end(&data_encoding::HEXLOWER.encode(&hash), "00"),
        ),
        (
            "other messages",
            other_end(r#""messages":"3""#, r#""messages":"4""#),
        ),
        (
            "other groups",
            other_end(r#""groups":"3""#, r#""groups":"2""#),
        ),
        (
            "other records",
            other_end(r#""records":"11""#, r#""records":"12""#),
        ),
        (
            "a count with a zero before it",
            other_end(r#""messages":"3""#, r#""messages":"03""#),
        ),
        (
            "an end with more fields",
            other_end(r#""type":"end","#, r#""type":"end","a":1,"#),
        ),
        (
            "an end in another order",
            ended(end.replace(
                r#""type":"end","messages":"3","#,
                r#""messages":"3","type":"end","#,
            )),
        ),
        ("no signature", ended(no_signature)),
        ("a signature that is short", signed("00".into())),
        (
            "a signature by another key",
            signed(signature(&bob(), Domain::Archive, &hash)),
        ),
        (
            "a signature under another tag",
            signed(signature(&ann(), Domain::Card, &hash)),
        ),
        (
            "a signature of another file",
            signed(signature(&ann(), Domain::Archive, &[7; 32])),
        ),
    ]
}

#[test]
fn the_vectors_of_archives_are_what_the_code_makes() {
    let whole = [
        ("all kinds of records", file(lines(&groups()))),
        (
            "nothing but a first line and an end",
            file(lines(&[])[..1].to_vec()),
        ),
        (
            "a proof that a feed was written twice",
            of(vec![fork(&ann())]),
        ),
    ];
    let accepted = whole.map(|(what, file)| {
        let home = directory();
        let done =
            imported(&home, file.as_bytes()).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let archive = done.archive;
        assert_eq!(archive.public_key, ann().public());
        json!({
            "what": what,
            "file": file,
            "messages": archive.messages,
            "groups": archive.groups,
            "records": archive.records,
        })
    });
    let refuse: Vec<Value> = refusals()
        .into_iter()
        .map(|(what, file)| {
            let home = directory();
            let Err(error) = imported(&home, file.as_bytes()) else {
                panic!("{what} is taken");
            };
            let code = error.code();
            let owner = what == "another owner";
            assert_eq!(
                code,
                if owner {
                    Code::StoreOwner
                } else {
                    Code::BackupDamaged
                },
                "{what}"
            );
            let dir = home.path().join("ann");
            for left in ["journal", "HEAD", "rebuild.new", "rebuild", "index"] {
                assert!(!dir.join(left).exists(), "{what} leaves {left}");
            }
            json!({ "what": what, "error": name(&error), "file": file })
        })
        .collect();
    let vectors = json!({
        "about": "Archives, docs/protocol/archive.md, of the identity `owner`. In `refuse`, `error` names the reason; every implementation refuses these, the names are ours.",
        "owner": ann().public().to_string(),
        "seed": data_encoding::HEXLOWER.encode(ann().expose_bytes()),
        "accept": accepted,
        "refuse": refuse,
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/archive.json");
    if std::env::var_os("SKYCHAT_WRITE_VECTORS").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut text = serde_json::to_string_pretty(&vectors).unwrap();
        text.push('\n');
        fs::write(&path, text).unwrap();
    }
    let written: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(written, vectors);
}
