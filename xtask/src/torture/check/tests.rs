//! Doctored histories are rejected with a sentence that names the id; a proper one passes.

use super::*;

/// A proper history: four messages from `a` to `b` and one back, a kill in the middle.
const PROPER: &str = r#"
{"op":"start","seed":7,"ready_limit_ms":2000}
{"op":"ready","node":"a","ms":40}
{"op":"ready","node":"b","ms":41}
{"op":"open","consumer":"b/1","where":"b","after":"first"}
{"op":"open","consumer":"a/1","where":"a","after":"first"}
{"op":"invoke","id":"m1","from":"a","to":"b","lane":"a>b","n":1}
{"op":"ok","id":"m1","state":"accepted"}
{"op":"seen","consumer":"b/1","where":"b","cursor":"00000001-1","id":"m1","from":"a","dir":"in"}
{"op":"seen","consumer":"a/1","where":"a","cursor":"0000000a-1","id":"m1","from":"a","dir":"out"}
{"op":"state","consumer":"a/1","where":"a","cursor":"0000000a-2","state":"stored","ids":["m1"]}
{"op":"invoke","id":"m2","from":"a","to":"b","lane":"a>b","n":2}
{"op":"seen","consumer":"b/1","where":"b","cursor":"00000001-2","id":"m2","from":"a","dir":"in"}
{"op":"kill","node":"b"}
{"op":"ready","node":"b","ms":90}
{"op":"ok","id":"m2","state":"stored"}
{"op":"invoke","id":"m3","from":"a","to":"b","lane":"a>b","n":3}
{"op":"ok","id":"m3","state":"accepted"}
{"op":"open","consumer":"b/1","where":"b","after":"00000001-2"}
{"op":"seen","consumer":"b/1","where":"b","cursor":"00000002-3","id":"m3","from":"a","dir":"in"}
{"op":"invoke","id":"m4","from":"a","to":"b","lane":"a>b","n":4}
{"op":"info","id":"m4"}
{"op":"invoke","id":"m5","from":"b","to":"a","lane":"b>a","n":1}
{"op":"ok","id":"m5","state":"accepted"}
{"op":"event","consumer":"b/1","where":"b","cursor":"00000002-4","type":"incarnation"}
{"op":"seen","consumer":"a/1","where":"a","cursor":"0000000a-3","id":"m5","from":"b","dir":"in"}
{"op":"term","node":"a","code":0,"ms":300}
{"op":"second","node":"b","code":8}
{"op":"row","where":"b","peer":"a","id":"m3","from":"a","dir":"in","state":"stored"}
{"op":"row","where":"b","peer":"a","id":"m2","from":"a","dir":"in","state":"stored"}
{"op":"row","where":"b","peer":"a","id":"m5","from":"b","dir":"out","state":"stored"}
{"op":"row","where":"b","peer":"a","id":"m1","from":"a","dir":"in","state":"stored"}
{"op":"rows_end","where":"b","peer":"a"}
{"op":"row","where":"a","peer":"b","id":"m3","from":"a","dir":"out","state":"stored"}
{"op":"row","where":"a","peer":"b","id":"m2","from":"a","dir":"out","state":"stored"}
{"op":"row","where":"a","peer":"b","id":"m5","from":"b","dir":"in","state":"stored"}
{"op":"row","where":"a","peer":"b","id":"m1","from":"a","dir":"out","state":"stored"}
{"op":"rows_end","where":"a","peer":"b"}
{"op":"end"}
"#;

fn lines() -> Vec<String> {
    let lines = PROPER.lines().filter(|line| !line.is_empty());
    lines.map(ToOwned::to_owned).collect()
}

fn judged(lines: Vec<String>) -> Verdict {
    judge(lines.into_iter().map(Ok)).unwrap()
}

/// Where the line stands that has all of these words.
fn at(lines: &[String], words: &[&str]) -> usize {
    let has = |line: &String| words.iter().all(|word| line.contains(word));
    lines.iter().position(has).unwrap()
}

/// The one sentence of a history that breaks one promise.
fn sentence(lines: Vec<String>, kind: Kind) -> String {
    let verdict = judged(lines);
    let of_kind = verdict.sentences.iter().filter(|(k, _)| *k == kind);
    let mut found: Vec<_> = of_kind.map(|(_, said)| said.clone()).collect();
    assert_eq!(found.len(), 1, "{verdict}");
    assert!(!verdict.passed());
    found.remove(0)
}

fn without(words: &[&str]) -> Vec<String> {
    let mut lines = lines();
    let place = at(&lines, words);
    lines.remove(place);
    lines
}

fn changed(words: &[&str], from: &str, to: &str) -> Vec<String> {
    let mut lines = lines();
    let place = at(&lines, words);
    assert!(lines[place].contains(from));
    lines[place] = lines[place].replace(from, to);
    lines
}

#[test]
fn a_proper_history_passes() {
    let verdict = judged(lines());
    assert!(verdict.passed(), "{verdict}");
    assert_eq!(verdict.totals.sent, 5);
    assert_eq!(verdict.totals.ok, 4);
    assert_eq!(verdict.totals.unknown, 1);
    assert_eq!(verdict.totals.kills, 1);
    assert_eq!(verdict.totals.ready_ms, [40, 41, 90]);
}

#[test]
fn one_that_is_dropped_is_lost() {
    let said = sentence(without(&["row", "\"b\"", "m1", "\"in\""]), Kind::Lost);
    assert_eq!(said, "m1 was accepted, but is not in the history of b");
}

#[test]
fn an_acknowledgement_of_what_never_arrived_is_a_lie() {
    let mut doctored = without(&["row", "m2", "\"in\""]);
    doctored.retain(|line| !(line.contains("seen") && line.contains("m2")));
    let verdict = judged(doctored);
    assert!(
        verdict
            .sentences
            .iter()
            .any(|(_, said)| said == "m2 was acknowledged, but is not in the history of b"),
        "{verdict}"
    );
}

#[test]
fn one_that_is_twice_in_a_history_is_a_duplicate() {
    let mut doctored = lines();
    let place = at(&doctored, &["row", "m2", "\"in\""]);
    doctored.insert(place, doctored[place].clone());
    let said = sentence(doctored, Kind::Duplicated);
    assert_eq!(said, "m2 is 2 times in one history");
}

#[test]
fn one_that_is_seen_twice_over_a_restart_is_a_duplicate() {
    let mut doctored = lines();
    let place = at(&doctored, &["00000002-4"]);
    doctored[place] =
        doctored[at(&doctored, &["00000001-2", "seen"])].replace("00000001-2", "00000002-4");
    let said = sentence(doctored, Kind::Duplicated);
    assert_eq!(said, "m2 was seen 2 times by consumer b/1");
}

#[test]
fn two_that_are_swapped_are_out_of_order() {
    let mut doctored = lines();
    let (one, two) = (
        at(&doctored, &["seen", "m1", "\"in\""]),
        at(&doctored, &["seen", "m2"]),
    );
    let (old, new) = (doctored[one].clone(), doctored[two].clone());
    doctored[one] = old.replace("m1", "m2");
    doctored[two] = new.replace("m2", "m1");
    // It is seen only after it was sent.
    let line = doctored.remove(one);
    doctored.insert(two - 1, line);
    let said = sentence(doctored, Kind::Order);
    assert_eq!(
        said,
        "consumer b/1: m1 comes after m2, which was sent later"
    );
}

#[test]
fn a_history_that_is_out_of_order_is_rejected() {
    let mut doctored = lines();
    let place = at(&doctored, &["row", "m3", "\"in\""]);
    doctored.swap(place, place + 1);
    let said = sentence(doctored, Kind::Order);
    assert_eq!(
        said,
        "the history of b: m2 comes after m3, which was sent later"
    );
}

#[test]
fn an_event_that_is_skipped_without_a_gap_is_found() {
    let doctored = changed(&["seen", "m3"], "00000002-3", "00000002-4");
    let said = &judged(doctored).sentences[0];
    assert_eq!(said.0, Kind::Stream);
    assert_eq!(
        said.1,
        "consumer b/1 was given event 4 with id m3, but 3 was skipped without a gap"
    );
}

#[test]
fn a_consumer_that_missed_one_is_named() {
    let doctored = changed(
        &["seen", "m1", "\"in\""],
        "\"seen\"",
        "\"event\",\"type\":\"message\"",
    );
    let said = sentence(doctored, Kind::Lost);
    assert_eq!(said, "m1 is in the history, but consumer b/1 never saw it");
}

#[test]
fn a_gap_of_retention_accounts_for_what_is_not_seen() {
    let mut doctored = without(&["seen", "m1", "\"in\""]);
    let gap = r#"{"op":"gap","consumer":"b/1","where":"b","cause":"retention","after":"first","resume":"00000001-1"}"#;
    let place = at(&doctored, &["seen", "m2"]);
    doctored.insert(place, gap.to_owned());
    let verdict = judged(doctored);
    assert!(verdict.passed(), "{verdict}");
    assert_eq!(verdict.totals.gaps, 1);
}

#[test]
fn a_gap_that_nothing_explains_is_rejected() {
    let mut doctored = lines();
    let gap = r#"{"op":"gap","consumer":"b/1","where":"b","cause":"unknown_cursor","after":"00000001-2","resume":"00000001-2"}"#;
    let place = at(&doctored, &["seen", "m3"]);
    doctored.insert(place, gap.to_owned());
    assert!(sentence(doctored, Kind::Stream).contains("unknown_cursor"));
}

#[test]
fn a_gap_of_what_was_given_away_is_for_copies_only() {
    let mut doctored = lines();
    let gap = r#"{"op":"gap","consumer":"b/1","where":"b","cause":"dropped"}"#;
    let place = at(&doctored, &["seen", "m3"]);
    doctored.insert(place, gap.to_owned());
    let said = sentence(doctored.clone(), Kind::Stream);
    assert!(said.contains("explains: dropped"), "{said}");
    doctored.insert(1, r#"{"op":"copy","node":"b","of":"d"}"#.to_owned());
    let said = judged(doctored).to_string();
    assert!(!said.contains("explains: dropped"), "{said}");
}

#[test]
fn a_start_that_is_too_slow_is_named() {
    let said = sentence(changed(&["\"ms\":90"], "90", "2001"), Kind::Start);
    assert_eq!(said, "b was ready after 2001 ms, not 2000");
}

#[test]
fn a_stop_that_is_not_clean_is_named() {
    let said = sentence(changed(&["term"], "\"code\":0", "\"code\":1"), Kind::Start);
    assert_eq!(said, "a ended with 1, 300 ms after SIGTERM");
    let said = sentence(changed(&["term"], "300", "5001"), Kind::Start);
    assert_eq!(said, "a ended with 0, 5001 ms after SIGTERM");
    let said = sentence(changed(&["second"], "8}", "0}"), Kind::Start);
    assert_eq!(
        said,
        "a second daemon on the directory of b ended with 0, not 8"
    );
}

#[test]
fn what_is_owed_at_the_end_is_named() {
    let doctored = changed(&["row", "m3", "\"out\""], "stored", "accepted");
    assert_eq!(
        sentence(doctored, Kind::State),
        "m3 is still accepted at the end"
    );
    let doctored = changed(&["row", "m3", "\"out\""], "stored", "failed");
    assert_eq!(sentence(doctored, Kind::State), "m3 failed without a cause");
}

#[test]
fn a_refusal_with_a_cause_is_an_end() {
    let mut doctored = changed(
        &["row", "m3", "\"out\""],
        "\"stored\"",
        "\"failed\",\"cause\":\"blocked\"",
    );
    doctored.retain(|line| !(line.contains("m3") && line.contains("\"in\"")));
    // Its event at the recipient is another one then.
    let place = at(&doctored, &["00000002-4"]);
    doctored[place] = doctored[place].replace("00000002-4", "00000002-3");
    let verdict = judged(doctored);
    assert!(verdict.passed(), "{verdict}");
}

#[test]
fn a_state_that_goes_back_is_named() {
    let mut doctored = lines();
    let place = at(&doctored, &["0000000a-2"]);
    let back = doctored[place]
        .replace("0000000a-2", "0000000a-3")
        .replace("stored", "accepted");
    doctored.insert(place + 1, back);
    let later = at(&doctored, &["m5", "seen"]);
    doctored[later] = doctored[later].replace("0000000a-3", "0000000a-4");
    assert_eq!(sentence(doctored, Kind::State), "m1 went back to accepted");
}

#[test]
fn what_nobody_sent_is_found() {
    let mut doctored = lines();
    let place = at(&doctored, &["row", "m1", "\"in\""]);
    let ghost = doctored[place].replace("m1", "m9");
    doctored.insert(place, ghost);
    let said = sentence(doctored, Kind::Duplicated);
    assert_eq!(said, "m9 is in the history of b, but nobody sent it");
}

#[test]
fn a_file_that_is_cut_off_is_rejected() {
    let mut doctored = lines();
    doctored.pop();
    assert!(sentence(doctored, Kind::Form).contains("no `end` line"));
    let doctored = without(&["rows_end", "\"where\":\"a\""]);
    assert!(sentence(doctored, Kind::Form).contains("the history of a with b"));
    assert!(!judged(Vec::new()).passed());
    assert!(!judged(vec!["{".to_owned()]).passed());
}

#[test]
fn events_that_have_to_be_seen_are_counted() {
    let expecting = |least: u64, most: u64| {
        let mut lines = lines();
        let line = format!(
            r#"{{"op":"expect","where":"b","type":"incarnation","least":{least},"most":{most}}}"#
        );
        let end = lines.len() - 1;
        lines.insert(end, line);
        lines
    };
    assert!(judged(expecting(1, 1)).passed());
    assert_eq!(
        sentence(expecting(0, 0), Kind::Stream),
        "consumer b/1 saw 1 events of type incarnation, not 0 to 0"
    );
    assert_eq!(
        sentence(expecting(2, 9), Kind::Stream),
        "consumer b/1 saw 1 events of type incarnation, not 2 to 9"
    );
}

#[test]
fn a_forked_feed_is_always_wrong() {
    let doctored = changed(&["incarnation"], "incarnation", "fork");
    assert_eq!(sentence(doctored, Kind::State), "b saw a forked feed");
}

#[test]
fn a_copy_may_have_what_was_said_to_the_original() {
    let more = [
        r#"{"op":"row","where":"b2","peer":"a","id":"m1","from":"a","dir":"in","state":"stored"}"#,
        r#"{"op":"rows_end","where":"b2","peer":"a"}"#,
    ];
    let with = |copy: bool| {
        let mut lines = lines();
        if copy {
            lines.insert(1, r#"{"op":"copy","node":"b2","of":"b"}"#.to_owned());
        }
        let end = lines.len() - 1;
        lines.splice(end..end, more.map(ToOwned::to_owned));
        lines
    };
    assert!(judged(with(true)).passed());
    assert_eq!(
        sentence(with(false), Kind::State),
        "m1 is in the history of b2, where it does not belong"
    );
}
