//! Plots are well formed, and say in words what they show.

use super::*;

/// Reads XML as strictly as a plot needs it: elements nest, attributes are quoted and there once, text has no bare
/// `&` or `<`. Returns the names of all elements with their text.
fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let (mut open, mut found): (Vec<usize>, Vec<(String, String)>) = (Vec::new(), Vec::new());
    let mut rest = text.trim();
    while !rest.is_empty() {
        if found.is_empty() || !open.is_empty() {
        } else {
            return Err(format!("behind the end: {rest}"));
        }
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.split_once("-->").ok_or("an open comment")?.1;
        } else if let Some(end) = rest.strip_prefix("</") {
            let (name, after) = end.split_once('>').ok_or("an open end")?;
            let at = open.pop().ok_or("an end of nothing")?;
            if found[at].0 != name {
                return Err(format!("found the end of {name}, expected {}", found[at].0));
            }
            rest = after;
        } else if let Some(tag) = rest.strip_prefix('<') {
            let (inside, after) = tag.split_once('>').ok_or("an open tag")?;
            let whole = inside.strip_suffix('/');
            let (name, attributes) = whole
                .unwrap_or(inside)
                .split_once(' ')
                .unwrap_or((whole.unwrap_or(inside), ""));
            attributes_are_sound(attributes)?;
            if name.is_empty() || !name.chars().all(char::is_alphanumeric) {
                return Err(format!("no name: {name}"));
            }
            if whole.is_none() {
                open.push(found.len());
            }
            found.push((name.to_owned(), String::new()));
            rest = after;
        } else {
            let end = rest.find('<').ok_or("text behind the end")?;
            let at = *open.last().ok_or("text in front")?;
            found[at].1.push_str(&unescaped(&rest[..end])?);
            rest = &rest[end..];
        }
    }
    match open.last() {
        Some(at) => Err(format!("{} is not ended", found[*at].0)),
        None => Ok(found),
    }
}

fn attributes_are_sound(mut text: &str) -> Result<(), String> {
    let mut seen = Vec::new();
    while !text.trim().is_empty() {
        let (name, rest) = text.trim_start().split_once("=\"").ok_or(text)?;
        let (value, after) = rest.split_once('"').ok_or("an open quote")?;
        unescaped(value)?;
        if name.contains(char::is_whitespace) || seen.contains(&name) {
            return Err(format!("attribute {name}"));
        }
        seen.push(name);
        text = after;
    }
    Ok(())
}

fn unescaped(text: &str) -> Result<String, String> {
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, after) = part.split_once(';').ok_or("a bare &")?;
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            other => return Err(format!("entity {other}")),
        });
        out.push_str(after);
    }
    if text.contains(['<', '>']) {
        return Err("a bare bracket".to_owned());
    }
    Ok(out)
}

fn chart() -> Chart {
    let bar = |label: &str, value, target, tone| Bar {
        label: label.to_owned(),
        value,
        shown: format!("{value:.2}"),
        target,
        tone,
    };
    Chart {
        title: "seal & open, \"<1 KiB>\"".to_owned(),
        axis: "ratio to raw AEAD".to_owned(),
        bars: vec![
            bar("64 B < 1 KiB & more", 0.91, Some(0.92), Tone::Missed),
            bar(
                "a label that is longer than what fits in front of a bar\u{7}",
                4.2,
                None,
                Tone::Good,
            ),
            bar("a peer", 0.0, None, Tone::Beside),
        ],
    }
}

#[test]
fn the_parser_sees_what_is_wrong() {
    assert!(parse("<a b=\"c\"><d/>e &amp; f</a>").is_ok());
    for bad in [
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a b=c/>",
        "<a b=\"1\" b=\"2\"/>",
        "<a>& b</a>",
        "<a>&b;</a>",
        "<a b=\"<\"/>",
        "<a/>b",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_plot_is_well_formed_and_says_what_it_shows() {
    let chart = chart();
    let svg = chart.svg();
    let elements = parse(&svg).unwrap();
    let text = |name: &str| {
        let found = elements.iter().find(|(element, _)| element == name);
        found.map(|(_, text)| text.clone()).unwrap()
    };
    assert_eq!(elements[0].0, "svg");
    assert_eq!(text("title"), chart.title);
    assert!(text("desc").contains("64 B < 1 KiB & more: 0.91 (target missed)"));
    let axis = "ratio to raw AEAD; the mark is the target";
    assert!(elements.iter().any(|(_, text)| text == axis));
    let bars = elements.iter().filter(|(name, _)| name == "rect").count();
    assert_eq!(bars, 1 + chart.bars.len());
    assert!(svg.contains("prefers-color-scheme:dark") && svg.contains(MARK));
    assert!(!svg.contains('\u{7}'));
}

#[test]
fn bars_end_within_the_plot() {
    for value in [0.0, 1e-9, 0.3, 1.0, 97.0, 2.5e7, f64::NAN] {
        let mut chart = chart();
        chart.bars[1].value = value;
        let svg = chart.svg();
        parse(&svg).unwrap();
        for width in svg.split("width=\"").skip(1) {
            let width: f64 = width.split('"').next().unwrap().parse().unwrap();
            assert!((0.0..=WIDTH).contains(&width), "{value}: {width}");
        }
    }
}

#[test]
fn ticks_are_round_and_few() {
    for most in [0.013, 0.92, 1.0, 1.7, 4.2, 12.0, 99.0, 31_000.0, 2.5e7] {
        let ticks = (most / tick(most)).ceil();
        assert!((2.0..=7.0).contains(&ticks), "{most}: {ticks}");
    }
    assert_eq!(
        [0.05, 2.0, 20_000.0, 5e6].map(plain),
        ["0.05", "2", "20 k", "5 M"]
    );
}
