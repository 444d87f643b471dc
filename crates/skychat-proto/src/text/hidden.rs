//! Which characters do something instead of showing something.

/// A character that shows nothing by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invisible {
    /// Is never let through.
    Always,
    /// Joins or parts its neighbours; some scripts and emoji need it.
    Joiner,
    /// Selects a form of the character before it.
    Selector,
}

/// Whether, and how, a character is invisible.
pub(super) fn invisible(c: char) -> Option<Invisible> {
    match c {
        // C0, DEL, C1: all of general category Cc.
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => Some(Invisible::Always),
        ' '..='~' => None,
        '\u{200c}' | '\u{200d}' => Some(Invisible::Joiner),
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => Some(Invisible::Selector),
        // Soft hyphen, grapheme joiner, fillers that are letters without a form.
        '\u{ad}' | '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{3164}' | '\u{ffa0}'
        // Mongolian selectors and vowel separator.
        | '\u{180b}'..='\u{180f}'
        // Bidirectional marks, embeddings, overrides and isolates.
        | '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        // Zero-width space, separators, word joiner, invisible operators, isolates, deprecated.
        | '\u{200b}' | '\u{2028}'..='\u{2029}' | '\u{2060}'..='\u{206f}'
        // Byte order mark, annotations and what is reserved beside them.
        | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
        // Controls of hieroglyphs, shorthand and musical notation.
        | '\u{13430}'..='\u{13440}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        // Tags, and the rest of that plane.
        | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}'
        // Noncharacters.
        | '\u{fdd0}'..='\u{fdef}' => Some(Invisible::Always),
        c if u32::from(c) & 0xfffe == 0xfffe => Some(Invisible::Always),
        _ => None,
    }
}

/// Whether a joiner has its use between these two.
pub(super) fn is_joined_there(before: Option<char>, c: char, next: Option<char>) -> bool {
    let (Some(before), Some(next)) = (before, next) else {
        return false;
    };
    let in_emoji = c == '\u{200d}'
        && (is_pictograph(before) || matches!(before, '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}'))
        && is_pictograph(next);
    in_emoji || (is_joining_script(before) && is_joining_script(next))
}

/// Whether a variation selector has its use behind this one: at most one, and only behind what has
/// forms to select from.
pub(super) fn is_selected_there(before: Option<char>) -> bool {
    match before {
        Some('0'..='9' | '#' | '*') => true,
        Some(c) => !c.is_ascii() && invisible(c).is_none(),
        None => false,
    }
}

fn is_pictograph(c: char) -> bool {
    matches!(c,
        '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}' | '\u{25a0}'..='\u{27bf}'
        | '\u{2b00}'..='\u{2bff}' | '\u{1f000}'..='\u{1f3fa}' | '\u{1f400}'..='\u{1faff}')
}

/// Scripts written with joiners: Arabic and its neighbours, Indic scripts, Mongolian.
fn is_joining_script(c: char) -> bool {
    let in_blocks = matches!(c,
        '\u{620}'..='\u{8ff}' | '\u{900}'..='\u{dff}' | '\u{1000}'..='\u{109f}'
        | '\u{1780}'..='\u{17ff}' | '\u{1820}'..='\u{18af}' | '\u{a8e0}'..='\u{a8ff}'
        | '\u{fb50}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}');
    in_blocks && invisible(c).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_and_format_character_that_does_something_is_known() {
        let known = |c| invisible(c).is_some();
        assert!(
            (0..=0x9f_u8)
                .map(char::from)
                .filter(|c| c.is_control())
                .all(known)
        );
        let bidi = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\
                    \u{2066}\u{2067}\u{2068}\u{2069}";
        assert!(bidi.chars().all(known));
        assert!(('\u{e0000}'..='\u{e007f}').all(known));
        assert!(!"aß漢 é\u{a0}\u{3000}👍".chars().any(known));
    }

    #[test]
    fn joiners_stay_where_they_have_a_use() {
        assert!(is_joined_there(Some('👨'), '\u{200d}', Some('👩')));
        assert!(is_joined_there(Some('\u{fe0f}'), '\u{200d}', Some('🔥')));
        assert!(is_joined_there(Some('ی'), '\u{200c}', Some('خ')));
        assert!(is_joined_there(Some('\u{94d}'), '\u{200d}', Some('ष')));
        assert!(!is_joined_there(Some('a'), '\u{200d}', Some('b')));
        assert!(!is_joined_there(Some('👨'), '\u{200c}', Some('👩')));
        assert!(!is_joined_there(Some('👨'), '\u{200d}', None));
        assert!(!is_joined_there(None, '\u{200d}', Some('👩')));
    }

    #[test]
    fn selectors_stay_one_by_one() {
        assert!(is_selected_there(Some('❤')));
        assert!(is_selected_there(Some('葛')));
        assert!(is_selected_there(Some('1')));
        assert!(!is_selected_there(Some('a')));
        assert!(!is_selected_there(Some('\u{fe0f}')));
        assert!(!is_selected_there(None));
    }
}
