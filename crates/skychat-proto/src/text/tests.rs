use std::borrow::Cow;

use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::*;

fn line(text: &str) -> String {
    one_line(text, 80).into_owned()
}

#[test]
fn plain_text_is_borrowed() {
    for text in ["", "hello", "naïve café", "漢字", "👍🏽", "שלום", "سلام"] {
        assert!(matches!(one_line(text, 80), Cow::Borrowed(_)), "{text}");
    }
    let text = "two\nlines";
    assert!(matches!(sanitize(text, Limits::MESSAGE), Cow::Borrowed(_)));
}

#[test]
fn escape_sequences_show_and_do_nothing() {
    assert_eq!(line("\u{1b}[2J"), r"\u{1b}[2J");
    assert_eq!(
        line("\u{1b}]8;;http://x\u{7}x"),
        r"\u{1b}]8;;http://x\u{7}x"
    );
    assert_eq!(line("\u{1b}]52;c;aGk=\u{1b}\\"), r"\u{1b}]52;c;aGk=\u{1b}\");
    assert_eq!(line("\u{9b}31m"), r"\u{9b}31m");
    assert_eq!(line("\u{7f}\u{0}\u{8}"), r"\u{7f}\u{0}\u{8}");
}

#[test]
fn direction_cannot_be_turned() {
    assert_eq!(line("exe.\u{202e}gpj"), r"exe.\u{202e}gpj");
    assert_eq!(line("a\u{2066}b\u{2069}"), r"a\u{2066}b\u{2069}");
    assert_eq!(line("\u{200f}\u{61c}"), r"\u{200f}\u{61c}");
}

#[test]
fn what_shows_nothing_is_shown() {
    assert_eq!(line("a\u{200b}b"), r"a\u{200b}b");
    assert_eq!(line("pass\u{ad}word"), r"pass\u{ad}word");
    assert_eq!(line("a\u{e0041}\u{e007f}"), r"a\u{e0041}\u{e007f}");
    assert_eq!(line("\u{feff}x"), r"\u{feff}x");
    assert_eq!(line("\u{3164}"), r"\u{3164}");
    assert_eq!(
        line("\u{301}x"),
        r"\u{301}x",
        "a mark that would sit on the prompt"
    );
    assert_eq!(line("a\u{fe0f}\u{fe01}"), r"a\u{fe0f}\u{fe01}");
    assert_eq!(line("a\u{2028}b"), r"a\u{2028}b");
}

#[test]
fn people_can_write_their_languages() {
    for text in [
        "👨\u{200d}👩\u{200d}👧\u{200d}👦",
        "❤\u{fe0f}\u{200d}🔥",
        "🏳\u{fe0f}\u{200d}🌈",
        "1\u{fe0f}\u{20e3}",
        "می\u{200c}خواهم",
        "क्\u{200d}ष",
        "श्री",
        "한국어",
        "葛\u{e0100}城",
        "e\u{301}\u{323}",
    ] {
        assert_eq!(line(text), text);
    }
}

#[test]
fn newlines_stay_in_blocks_only() {
    assert_eq!(line("a\r\nb\rc"), r"a\r\nb\rc");
    let block = |text| sanitize(text, Limits::block(10, 80)).into_owned();
    assert_eq!(block("a\r\nb\nc"), "a\nb\nc");
    assert_eq!(block("a\rb\r"), r"a\rb\r");
    assert_eq!(block("a\r\r\nb"), "a\\r\nb");
    assert_eq!(block("x\ty"), "x    y");
}

#[test]
fn lines_and_columns_are_capped() {
    assert_eq!(one_line("abcdef", 6), "abcdef");
    assert_eq!(one_line("abcdefg", 6), "abcde…");
    assert_eq!(one_line("漢漢漢", 5), "漢漢…");
    assert_eq!(one_line("漢漢漢", 4), "漢…");
    assert_eq!(one_line("\u{202e}", 5), "…", "an escape is cut as a whole");
    assert_eq!(one_line("ab", 1), "…");
    assert_eq!(one_line("ab", 0), "");
    assert_eq!(sanitize("a\nb\nc", Limits::block(3, 9)), "a\nb\nc");
    assert_eq!(sanitize("a\nb\nc\nd", Limits::block(3, 9)), "a\nb\n…");
    assert_eq!(sanitize("abc\nd", Limits::block(3, 2)), "a…\nd");
}

#[test]
fn marks_cannot_be_piled_up() {
    let zalgo = format!("a{}b", "\u{301}".repeat(10_000));
    let shown = line(&zalgo);
    assert_eq!(shown, format!("a{}…b", "\u{301}".repeat(MAX_MARKS)));
    let family = format!("👨{}", "\u{200d}👨".repeat(1_000));
    assert!(line(&family).chars().count() <= 2 * MAX_MARKS + 2);
}

#[test]
fn names_are_normal_and_strict() {
    assert_eq!(name("  Ann  "), "Ann");
    assert_eq!(name("Zoe\u{308}"), "Zo\u{eb}");
    assert_eq!(name("Ann\u{200d}"), r"Ann\u{200d}");
    assert_eq!(name("👨\u{200d}👩"), r"👨\u{200d}👩");
    assert_eq!(name("\n"), "");
    assert_eq!(name("a\nb"), r"a\nb");
    assert_eq!(name(&"x".repeat(100)).chars().count(), MAX_NAME_WIDTH);
}

/// Text that is more likely to be wicked than what proptest draws by itself.
fn wicked() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<char>().prop_map(String::from),
        (0_u32..0xa0).prop_map(|c| char::from_u32(c).unwrap_or(' ').to_string()),
        (0x2000_u32..0x2070).prop_map(|c| char::from_u32(c).unwrap_or(' ').to_string()),
        (0x300_u32..0x370).prop_map(|c| char::from_u32(c).unwrap_or(' ').to_string()),
        (0x600_u32..0xe00).prop_map(|c| char::from_u32(c).unwrap_or(' ').to_string()),
        (0x1100_u32..0x1200).prop_map(|c| char::from_u32(c).unwrap_or(' ').to_string()),
        (0xe0000_u32..0xe0200).prop_map(|c| char::from_u32(c).unwrap_or(' ').to_string()),
        (0x1f1e0_u32..0x1f680).prop_map(|c| char::from_u32(c).unwrap_or(' ').to_string()),
        prop::sample::select(vec![
            "\r\n",
            "\n",
            "\r",
            "\t",
            "\u{200d}",
            "\u{200c}",
            "\u{fe0f}",
            "\u{1f3fb}",
            "👨",
            "a",
            "…",
            "\\u{202e}",
            "}",
            "\u{903}",
            "\u{94d}",
            "ل",
            "ا",
            "\u{e33}",
            "\u{ff9e}",
        ])
        .prop_map(String::from),
        ("[a-z]", 1_usize..40).prop_map(|(c, n)| c + &"\u{301}".repeat(n)),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn check(text: &str, limits: Limits) {
    let shown = sanitize(text, limits);
    let lines: Vec<&str> = shown.split('\n').collect();
    assert!(lines.len() <= limits.lines.max(1), "lines of {shown:?}");
    for line in &lines {
        let sum: usize = line.graphemes(true).map(UnicodeWidthStr::width).sum();
        assert!(line.width() <= limits.width, "width of {line:?}");
        assert!(sum <= limits.width, "columns of {line:?}");
    }
    for c in shown.chars() {
        assert!(c == '\n' || !c.is_control(), "control {c:?} in {shown:?}");
        assert!(
            c == '\n' || invisible(c) != Some(Invisible::Always),
            "{c:?} in {shown:?}"
        );
        assert!(
            !matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}'),
            "{c:?} in {shown:?}"
        );
    }
    assert_eq!(sanitize(&shown, limits), shown, "twice, from {text:?}");
}

#[test]
fn what_broke_it_before() {
    for (text, width) in [
        ("\u{1161}\u{e0020}", 9),
        ("\u{1160}\u{1161}", 20),
        ("\u{1f32d}\u{903}\u{200d}\u{6ee}a", 4),
        ("\u{1f32d}\u{903}\u{200d}\u{6ee}a", 5),
    ] {
        check(text, Limits::line(width));
        check(text, Limits::block(2, width));
    }
}

proptest! {
    /// P6.
    #[test]
    fn the_result_is_harmless_and_stays(text in wicked(), lines in 0_usize..5, width in 0_usize..60) {
        check(&text, Limits { lines, width });
    }

    #[test]
    fn any_text_at_all(text in any::<String>(), width in 0_usize..200) {
        check(&text, Limits { lines: 1, width });
        check(&text, Limits { lines: 3, width });
    }

    #[test]
    fn names_stay_names(text in wicked()) {
        let once = name(&text);
        prop_assert_eq!(name(&once), once.clone());
        prop_assert!(once.width() <= MAX_NAME_WIDTH);
        prop_assert!(!once.chars().any(|c| matches!(invisible(c),
            Some(Invisible::Always | Invisible::Joiner))));
    }
}
