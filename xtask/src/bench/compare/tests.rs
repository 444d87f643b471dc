//! Ratios that got worse, better, lost, and those that are none.

use super::*;
use crate::bench::shape::{Report, Section, VERSION};

fn row(id: &str, ratio: f64, better: Better) -> Row {
    Row {
        id: id.to_owned(),
        what: id.to_owned(),
        value: 5.0,
        unit: "us".to_owned(),
        aside: String::new(),
        ratio: Some(ratio),
        better,
        target: None,
        absolute: false,
    }
}

fn report(rows: Vec<Row>) -> Report {
    Report {
        version: VERSION,
        bench: "some".to_owned(),
        machine: "m".to_owned(),
        began: 0,
        sections: vec![Section {
            title: "t".to_owned(),
            against: "raw".to_owned(),
            rows,
        }],
    }
}

fn committed(rows: Vec<Row>) -> Baseline {
    accepted(Baseline::default(), &[&report(rows)]).unwrap()
}

fn held(was: Vec<Row>, is: Vec<Row>) -> Outcome {
    compare(&committed(was), &[&report(is)], &[]).unwrap()
}

#[test]
fn a_ratio_that_falls_by_more_than_its_tolerance_fails() {
    let was = || vec![row("a", 1.0, Better::Higher)];
    let within = held(was(), vec![row("a", 0.86, Better::Higher)]);
    assert!(!within.failed());
    assert_eq!(within.kept, 1);
    let beyond = held(was(), vec![row("a", 0.84, Better::Higher)]);
    assert!(beyond.failed());
    let said = beyond.to_string();
    assert!(
        said.contains("some: a") && said.contains("-16.0%"),
        "{said}"
    );
    assert!(said.ends_with("0 kept, 1 worse, 0 missing, 0 new, 0 targets missed"));
}

#[test]
fn where_less_is_better_growth_fails() {
    let was = || vec![row("a", 1.0, Better::Lower)];
    assert!(!held(was(), vec![row("a", 1.14, Better::Lower)]).failed());
    assert!(held(was(), vec![row("a", 1.16, Better::Lower)]).failed());
}

#[test]
fn what_got_better_is_not_punished() {
    let was = vec![row("a", 1.0, Better::Higher), row("b", 1.0, Better::Lower)];
    let is = vec![row("a", 9.0, Better::Higher), row("b", 0.1, Better::Lower)];
    let outcome = held(was, is);
    assert!(!outcome.failed());
    assert_eq!(outcome.kept, 2);
}

#[test]
fn tails_may_move_more() {
    let was = || vec![row("ping/p99", 1.0, Better::Lower)];
    assert!(!held(was(), vec![row("ping/p99", 1.49, Better::Lower)]).failed());
    assert!(held(was(), vec![row("ping/p99", 1.51, Better::Lower)]).failed());
}

#[test]
fn a_row_that_is_gone_fails_and_a_new_one_is_said() {
    let outcome = held(
        vec![row("a", 1.0, Better::Higher)],
        vec![row("b", 1.0, Better::Higher)],
    );
    assert!(outcome.failed());
    assert_eq!(outcome.missing, ["some: a"]);
    assert_eq!(outcome.new, ["some: b"]);
}

#[test]
fn a_bench_that_was_not_run_is_missing_unless_others_were_asked_for() {
    let committed = committed(vec![row("a", 1.0, Better::Higher)]);
    let all = compare(&committed, &[], &[]).unwrap();
    assert_eq!(all.missing, ["some: a"]);
    let asked = compare(&committed, &[], &["other".to_owned()]).unwrap();
    assert!(!asked.failed());
}

#[test]
fn what_is_not_judged_or_absolute_is_not_compared() {
    let mut absolute = row("a", 1.0, Better::Higher);
    absolute.absolute = true;
    let shown = row("b", 1.0, Better::Neither);
    let committed = committed(vec![absolute.clone(), shown]);
    assert_eq!(committed.len(), 0);
    absolute.ratio = Some(0.1);
    absolute.target = Some(Bound::AtLeast(1.0));
    let outcome = compare(&committed, &[&report(vec![absolute])], &[]).unwrap();
    assert!(!outcome.failed() && outcome.new.is_empty());
    // Its target is held against it all the same.
    assert_eq!(outcome.missed.len(), 1);
    assert!(
        outcome.to_string().contains("0.100   target ≥ 1.00"),
        "{outcome}"
    );
}

#[test]
fn a_ratio_that_is_none_is_refused_by_name() {
    let committed = committed(vec![row("a", 1.0, Better::Higher)]);
    for bad in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
        let report = report(vec![row("a", bad, Better::Higher)]);
        for error in [
            compare(&committed, &[&report], &[]).map(drop),
            accepted(Baseline::default(), &[&report]).map(drop),
        ] {
            let error = error.unwrap_err().to_string();
            assert!(
                error.starts_with("some: row `a`: found the ratio"),
                "{error}"
            );
            assert!(error.ends_with("expected a number above 0"), "{error}");
        }
    }
}

#[test]
fn a_direction_that_has_changed_is_an_error() {
    let committed = committed(vec![row("a", 1.0, Better::Higher)]);
    let report = report(vec![row("a", 1.0, Better::Lower)]);
    let error = compare(&committed, &[&report], &[]).map(drop).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("which way is better has changed")
    );
}

#[test]
fn four_digits_are_committed() {
    let rows = [("a", 0.957_199_5), ("b", 31.415_9), ("c", 0.000_123_456)];
    let rows = rows.map(|(id, ratio)| row(id, ratio, Better::Higher));
    let committed = committed(rows.to_vec());
    let ratios: Vec<f64> = committed.benches["some"]
        .values()
        .map(|kept| kept.ratio)
        .collect();
    assert_eq!(ratios, [0.9572, 31.42, 0.000_123_5]);
}

#[test]
fn accepting_keeps_tolerances_and_benches_that_were_not_run() {
    let mut old = committed(vec![
        row("a", 1.0, Better::Higher),
        row("gone", 1.0, Better::Higher),
    ]);
    if let Some(kept) = old
        .benches
        .get_mut("some")
        .and_then(|rows| rows.get_mut("a"))
    {
        kept.tolerance = 0.3;
    }
    let other = old.benches["some"].clone();
    old.benches.insert("other".to_owned(), other.clone());
    let next = accepted(old, &[&report(vec![row("a", 2.0, Better::Higher)])]).unwrap();
    assert_eq!(next.benches["other"], other);
    let rows = &next.benches["some"];
    assert_eq!(rows.len(), 1);
    assert_eq!((rows["a"].ratio, rows["a"].tolerance), (2.0, 0.3));
}
