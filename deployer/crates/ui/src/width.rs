//! Text measured in terminal columns.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Returns the number of columns that a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// Returns at most this many columns of a text; a cut text ends in an ellipsis.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut free = columns.saturating_sub(1);
    let mut cut = String::new();
    for character in text.chars() {
        let needed = character.width().unwrap_or(0);
        if needed > free {
            break;
        }
        free -= needed;
        cut.push(character);
    }
    if columns > 0 {
        cut.push('…');
    }
    cut
}

/// Returns the text padded with spaces to this many columns.
pub fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Returns the text without control sequences: the output of another program must not break the screen.
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\t' => cleaned.push_str("    "),
            '\x1b' => {
                // CSI sequences end with a byte from @ to ~; others have one character.
                if characters.next_if_eq(&'[').is_some() {
                    while characters.next().is_some_and(|part| !('@'..='~').contains(&part)) {}
                } else {
                    characters.next();
                }
            }
            control if control.is_control() => {}
            other => cleaned.push(other),
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_character_is_never_split() {
        assert_eq!(cut("患者サービス", 12), "患者サービス");
        assert_eq!(cut("患者サービス", 6), "患者…");
        assert_eq!(cut("患者サービス", 5), "患者…");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(width(&pad("患者", 6)), 6);
    }

    #[test]
    fn colours_and_cursor_movements_are_removed() {
        assert_eq!(clean("\x1b[31mred\x1b[0m\tand\r\x07 plain\x1b[2K"), "red    and plain");
    }
}
