//! What the page says of figures that are there, and of those that are not.

use super::*;
use crate::bench::shape::{Report, VERSION};

fn row(id: &str, ratio: Option<f64>, target: Option<Bound>) -> Row {
    Row {
        id: id.to_owned(),
        what: format!("{id} | of it"),
        value: 25_000.0,
        unit: "messages/s".to_owned(),
        aside: String::new(),
        ratio,
        better: if target.is_some() {
            Better::Higher
        } else {
            Better::Neither
        },
        target,
        absolute: false,
    }
}

fn bench(name: &str, rows: Vec<Row>) -> Bench {
    let sections = vec![Section {
        title: "in memory".to_owned(),
        against: "raw AEAD".to_owned(),
        rows,
    }];
    let report = Report {
        version: VERSION,
        bench: name.to_owned(),
        machine: "2 cores of some".to_owned(),
        began: 1_795_286_100,
        sections,
    };
    Bench {
        name: name.to_owned(),
        report: Some(report),
    }
}

#[test]
fn a_section_is_a_table_and_a_plot() {
    let target = Some(Bound::AtLeast(0.92));
    let rows = vec![
        row("raw", None, None),
        row("1KiB", Some(0.95), target),
        row("64B", Some(0.5), target),
    ];
    let page = render(&[bench("seal", rows)]);
    for line in [
        "**Measured on:** 2 cores of some.",
        "Run on 2026-11-21, 18:35 UTC.",
        "| | value | ratio to raw AEAD | target | |",
        "| raw \\| of it | 25,000 messages/s |  |  |  |",
        "| 1KiB \\| of it | 25,000 messages/s | 0.95 | ≥ 0.92 | met |",
        "| 64B \\| of it | 25,000 messages/s | 0.50 | ≥ 0.92 | **missed** |",
        "Met: 1. Missed:",
        "| seal | in memory: 64B \\| of it | 0.50 | ≥ 0.92 |",
    ] {
        assert!(
            page.text.lines().any(|found| found == line),
            "{line}\n{}",
            page.text
        );
    }
    let [(name, svg)] = &page.plots[..] else {
        panic!("{} plots", page.plots.len());
    };
    assert_eq!(name, "seal-in-memory.svg");
    assert!(page.text.contains("](benchmarks/seal-in-memory.svg)"));
    assert!(svg.contains("64B | of it"));
    // The limit has no ratio, and no bar.
    assert!(!svg.contains("raw | of it"));
}

#[test]
fn a_bench_that_was_not_run_is_said_to_be_missing() {
    let absent = Bench {
        name: "links".to_owned(),
        report: None,
    };
    let page = render(&[
        bench("seal", vec![row("a", Some(1.0), Some(Bound::AtLeast(0.9)))]),
        absent,
    ]);
    assert!(page.text.contains("## links\n\nIt was not run"));
    assert!(page.text.contains("Not run, and so not judged: links."));
    assert!(page.text.contains("Met: 1. Missed: none."));
    // One bar would say nothing.
    assert!(page.plots.is_empty());
}

#[test]
fn values_of_one_unit_are_drawn_where_there_are_no_ratios() {
    let page = render(&[bench(
        "seal",
        vec![row("a", None, None), row("b", None, None)],
    )]);
    assert!(page.plots[0].1.contains("25,000 messages/s"));
}

#[test]
fn bars_that_should_be_short_are_marked() {
    let mut late = row("late", Some(0.5), Some(Bound::AtMost(1.0)));
    late.better = Better::Lower;
    let rate = row("rate", Some(1.5), Some(Bound::AtLeast(1.0)));
    let page = render(&[bench("seal", vec![rate, late])]);
    let svg = &page.plots[0].1;
    assert!(svg.contains(">↓ late | of it<") && svg.contains(">rate | of it<"));
    assert!(svg.contains("raw AEAD; ↓ less is better; the mark is the target"));
}

#[test]
fn what_people_wrote_is_linked_and_never_rendered() {
    let page = render(&[bench("seal", vec![])]);
    assert!(page.text.contains("](benchmarks/tried.md)"));
    assert!(page.plots.iter().all(|(name, _)| name.ends_with(".svg")));
}

#[test]
fn plots_of_one_title_have_files_of_their_own() {
    let mut twice = bench("seal", vec![row("a", None, None), row("b", None, None)]);
    let report = twice.report.as_mut().unwrap();
    report.sections.push(report.sections[0].clone());
    let page = render(&[twice]);
    let names: Vec<&str> = page.plots.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["seal-in-memory.svg", "seal-in-memory-2.svg"]);
}

#[test]
fn dates_and_figures_are_as_people_write_them() {
    assert_eq!(date(0), "1970-01-01, 00:00 UTC");
    assert_eq!(date(951_782_400), "2000-02-29, 00:00 UTC");
    assert_eq!(date(4_107_542_399), "2100-02-28, 23:59 UTC");
    assert_eq!(date(4_107_542_400), "2100-03-01, 00:00 UTC");
    let figures = [
        0.0,
        0.004,
        0.957,
        12.34,
        999.6,
        1234.0,
        1_234_567.0,
        -25_000.0,
    ];
    assert_eq!(
        figures.map(grouped),
        [
            "0.00",
            "4.0e-3",
            "0.96",
            "12.3",
            "1000",
            "1234",
            "1,234,567",
            "-25,000"
        ]
    );
}
