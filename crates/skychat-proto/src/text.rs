//! The one sanitizer of remote text.
//!
//! Everything that others wrote (messages, names, agent strings, causes of errors) passes here
//! before a terminal, a log or a page shows it, so that text can only say something and never do
//! something: move the cursor, ring, change colours, turn the direction of what follows, hide
//! itself, or stack marks over its neighbours. JSON carries the exact text and needs none of this.
//!
//! What cannot be shown is shown escaped, as `\u{202e}`: nothing disappears in silence.
//!
//! ```
//! use skychat_proto::text::{Limits, one_line, sanitize};
//!
//! assert_eq!(one_line("red \u{1b}[31malert", 40), r"red \u{1b}[31malert");
//! assert_eq!(one_line("two\nlines", 40), r"two\nlines");
//! assert_eq!(one_line("a rather long name", 10), "a rather …");
//! assert_eq!(sanitize("two\r\nlines", Limits::MESSAGE), "two\nlines");
//! ```
//!
//! Rules: C31, C32, C33 of the threat model.

mod hidden;

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use hidden::{Invisible, invisible, is_joined_there, is_selected_there};

/// Characters of no width of their own that one visible character may carry; languages need far
/// fewer, an emoji of a family of four has eleven.
pub const MAX_MARKS: usize = 16;

/// Columns of a [`name`].
pub const MAX_NAME_WIDTH: usize = 32;

/// Stands where something was cut off.
const CUT: char = '…';

/// What a tab is shown as.
const TAB: &str = "    ";

/// How much of a text is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Lines. With 1 or less there are no lines: a newline is shown as `\n`.
    pub lines: usize,
    /// Columns of each line, as terminals count them.
    pub width: usize,
}

impl Limits {
    /// The text of a message: no more than one content can hold, at most 1,000 lines.
    pub const MESSAGE: Limits = Limits::block(1_000, crate::limits::MAX_CONTENT);

    /// One line of so many columns.
    pub const fn line(width: usize) -> Self {
        Limits { lines: 1, width }
    }

    /// So many lines of so many columns each.
    pub const fn block(lines: usize, width: usize) -> Self {
        Limits { lines, width }
    }
}

/// Makes remote text fit to be shown.
///
/// - Control characters (C0, DEL, C1, so every escape sequence), bidirectional controls, tags,
///   line and paragraph separators, noncharacters, and whatever else shows nothing are escaped. A
///   joiner stays inside an emoji and between letters of scripts that are written with it, a
///   variation selector behind what it selects a form of.
/// - A tab becomes four spaces. CR LF becomes a newline, a CR alone is escaped. A newline stays if
///   `limits` has more than one line, and is escaped otherwise.
/// - A visible character keeps at most [`MAX_MARKS`] marks.
/// - A line that is too wide ends in `…`, and so do too many lines.
///
/// Applied to its own result, with the same limits, it changes nothing.
pub fn sanitize(text: &str, limits: Limits) -> Cow<'_, str> {
    clean(text, limits, Joiners::Keep)
}

/// The same as [`sanitize`] with [`Limits::line`]: for lists, prompts and logs.
pub fn one_line(text: &str, width: usize) -> Cow<'_, str> {
    sanitize(text, Limits::line(width))
}

/// A name that somebody gave itself: one line of at most [`MAX_NAME_WIDTH`] columns, normalized
/// (NFC), without space around it and without joiners anywhere. It is still only a claim: show it
/// marked, and beside the key.
pub fn name(text: &str) -> String {
    let normal: String = text.trim().nfc().collect();
    clean(&normal, Limits::line(MAX_NAME_WIDTH), Joiners::Escape)
        .trim()
        .to_owned()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Joiners {
    Keep,
    Escape,
}

fn clean(text: &str, limits: Limits, joiners: Joiners) -> Cow<'_, str> {
    if is_plain(text, limits) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    if limits.lines <= 1 {
        push_line(&mut out, text, limits.width, joiners);
    } else {
        push_lines(&mut out, text, limits, joiners);
    }
    if out == text {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(out)
    }
}

/// Whether it is short and plain ASCII, as most text is.
fn is_plain(text: &str, limits: Limits) -> bool {
    text.len() <= limits.width && text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

fn push_lines(out: &mut String, text: &str, limits: Limits, joiners: Joiners) {
    let mut lines = text.split('\n').enumerate().peekable();
    while let Some((n, line)) = lines.next() {
        if n > 0 {
            out.push('\n');
        }
        let is_last = lines.peek().is_none();
        if n.saturating_add(1) == limits.lines && !is_last {
            push_line(out, "…", limits.width, joiners);
            return;
        }
        // The CR of a CR LF. At the very end there is no LF, and the CR stands alone.
        let line = match line.strip_suffix('\r') {
            Some(line) if !is_last => line,
            _ => line,
        };
        push_line(out, line, limits.width, joiners);
    }
}

fn push_line(out: &mut String, line: &str, width: usize, joiners: Joiners) {
    let mut used = 0_usize;
    // Where the line could be cut and still have room for the mark.
    let mut cut = out.len();
    let mut piece = String::new();
    for (at, cluster) in line.grapheme_indices(true) {
        let behind = line
            .get(at.saturating_add(cluster.len())..)
            .and_then(|rest| rest.chars().next());
        piece.clear();
        if matches!(cluster.as_bytes(), [b' '..=b'~']) {
            piece.push_str(cluster);
            used = used.saturating_add(1);
        } else {
            push_cluster(&mut piece, cluster, behind, joiners);
            used = used.saturating_add(columns(&piece));
        }
        if used > width {
            out.truncate(cut);
            if width > 0 {
                out.push(CUT);
            }
            return;
        }
        out.push_str(&piece);
        // A joiner that stayed for what follows it is not parted from it.
        if used < width && !piece.ends_with(['\u{200c}', '\u{200d}']) {
            cut = out.len();
        }
    }
}

/// One visible character with all that belongs to it.
fn push_cluster(piece: &mut String, cluster: &str, behind: Option<char>, joiners: Joiners) {
    let mut marks = 0_usize;
    // Whether something visible stands there for a mark to belong to.
    let mut based = false;
    let mut before = None;
    let mut chars = cluster.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied().or(behind);
        let is_mark = c.width() == Some(0);
        let shows = match invisible(c) {
            // A mark that stands alone would sit on whatever is shown before this text.
            None => based || !is_mark,
            Some(Invisible::Always) => false,
            Some(Invisible::Joiner) => {
                based && joiners == Joiners::Keep && is_joined_there(before, c, next)
            }
            Some(Invisible::Selector) => based && is_selected_there(before),
        };
        before = Some(c);
        if c == '\t' {
            piece.push_str(TAB);
        } else if !shows {
            based = false;
            if c.is_control() {
                piece.extend(c.escape_default());
            } else {
                piece.extend(c.escape_unicode());
            }
        } else {
            if is_mark {
                marks = marks.saturating_add(1);
            } else {
                based = true;
            }
            if marks > MAX_MARKS {
                piece.push(CUT);
                return;
            }
            piece.push(c);
        }
    }
}

/// Columns of what is shown, counted as the next pass counts them.
fn columns(piece: &str) -> usize {
    piece
        .graphemes(true)
        .map(UnicodeWidthStr::width)
        .fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests;
