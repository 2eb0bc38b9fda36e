//! Text as wide as a terminal shows it.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// At most this many columns of a text; what is cut off is told by an ellipsis.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut room = columns.saturating_sub(1);
    let mut kept = String::new();
    for letter in text.chars() {
        let takes = letter.width().unwrap_or(0);
        if takes > room {
            break;
        }
        room -= takes;
        kept.push(letter);
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// The text with spaces behind it, so that it takes this many columns.
pub fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// The text without what moves the cursor or changes colours: a line from elsewhere must not break the screen.
pub fn clean(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\t' => kept.push_str("    "),
            '\x1b' => {
                // CSI sequences end with a byte from @ to ~; others have one letter.
                if letters.next_if_eq(&'[').is_some() {
                    while letters.next().is_some_and(|part| !('@'..='~').contains(&part)) {}
                } else {
                    letters.next();
                }
            }
            control if control.is_control() => {}
            other => kept.push(other),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_letter_is_kept_whole_or_not_at_all() {
        assert_eq!(cut("患者サービス", 12), "患者サービス");
        assert_eq!(cut("患者サービス", 6), "患者…");
        assert_eq!(cut("患者サービス", 5), "患者…");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(width(&pad("患者", 6)), 6);
    }

    #[test]
    fn colours_and_cursor_movements_of_others_are_taken_out() {
        assert_eq!(clean("\x1b[31mred\x1b[0m\tand\r\x07 plain\x1b[2K"), "red    and plain");
    }
}
