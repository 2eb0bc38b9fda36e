//! Text of people and places, such as names and addresses, by one rule for every service.
//!
//! Text is stored in Unicode's normal form C, without surrounding white space, and without characters that nobody sees: they
//! would make two names that look alike, or a name that looks empty.

use serde_json::Value;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory as Category, GeneralCategoryGroup as Group, UnicodeGeneralCategory};

/// Zero-width non-joiner and joiner, which Persian, Hindi and other languages need inside words.
const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];

/// Rejection of a text, as the message for the client; it never quotes the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The JSON value is not a string.
    #[error("{label} must be text")]
    NotText {
        /// Name of the field, for people.
        label: &'static str,
    },
    /// Nothing of the text is visible.
    #[error("{label} is required")]
    Missing {
        /// Name of the field, for people.
        label: &'static str,
    },
    /// The text has too many characters.
    #[error("{label} cannot exceed {max} characters")]
    TooLong {
        /// Name of the field, for people.
        label: &'static str,
        /// Maximum number of characters.
        max: usize,
    },
    /// PostgreSQL does not store NUL, and line ends would inject mail headers.
    #[error("{label} cannot contain control characters")]
    ControlCharacter {
        /// Name of the field, for people.
        label: &'static str,
    },
    /// Format characters, bidirectional overrides among them, and characters that look like nothing.
    #[error("{label} cannot contain invisible or formatting characters")]
    InvisibleCharacter {
        /// Name of the field, for people.
        label: &'static str,
    },
    /// Unassigned or for private use, so that nobody knows how it looks.
    #[error("{label} cannot contain characters that Unicode does not define")]
    UndefinedCharacter {
        /// Name of the field, for people.
        label: &'static str,
    },
}

/// Parses a field of a JSON body as a line of 1 to `max` characters; null is an empty text.
///
/// # Errors
/// The first rule that the value violates.
pub fn parse(value: &Value, label: &'static str, max: usize) -> Result<String, TextError> {
    match value {
        Value::Null => Err(TextError::Missing { label }),
        Value::String(text) => parse_line(text, label, max),
        _ => Err(TextError::NotText { label }),
    }
}

/// Parses a line of 1 to `max` characters, and returns it [normalised](normalise).
///
/// # Errors
/// The first rule that the text violates.
pub fn parse_line(text: &str, label: &'static str, max: usize) -> Result<String, TextError> {
    let text = normalise(text);
    if !text.chars().any(is_visible) {
        return Err(TextError::Missing { label });
    }
    if text.chars().count() > max {
        return Err(TextError::TooLong { label, max });
    }
    let (mut before, mut rest) = (None, text.chars().peekable());
    while let Some(character) = rest.next() {
        match character.general_category() {
            Category::Control | Category::LineSeparator | Category::ParagraphSeparator => {
                return Err(TextError::ControlCharacter { label });
            }
            Category::Unassigned | Category::PrivateUse | Category::Surrogate => {
                return Err(TextError::UndefinedCharacter { label });
            }
            _ if is_invisible(character) && !is_allowed(character, before, rest.peek().copied()) => {
                return Err(TextError::InvisibleCharacter { label });
            }
            _ => before = Some(character),
        }
    }
    Ok(text)
}

/// Returns the text in Unicode's normal form C, without surrounding white space.
pub fn normalise(text: &str) -> String {
    text.trim().nfc().collect()
}

/// Returns true if nobody sees the character: a format character, or one that is drawn as nothing or as a blank.
pub fn is_invisible(character: char) -> bool {
    character.general_category() == Category::Format
        || matches!(
            character,
            // The combining grapheme joiner, fillers of Hangul, vowels of Khmer without a form, and the blank of Braille.
            '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}'
        )
        || is_variation_selector(character)
}

/// Returns true for a letter, a number, a punctuation mark or a symbol, which carries the marks behind it.
pub fn is_visible(character: char) -> bool {
    let group = character.general_category_group();
    matches!(
        group,
        Group::Letter | Group::Number | Group::Punctuation | Group::Symbol
    ) && !is_invisible(character)
}

/// Returns true if the invisible character means something between its neighbours: a joiner inside a word, or the variant of an
/// ideograph or of a letter of a script without case.
fn is_allowed(character: char, before: Option<char>, after: Option<char>) -> bool {
    let in_word = |neighbour: char| matches!(neighbour.general_category_group(), Group::Letter | Group::Mark);
    if JOINERS.contains(&character) {
        before.is_some_and(in_word) && after.is_some_and(in_word)
    } else {
        is_variation_selector(character)
            && before.is_some_and(|before| before.general_category() == Category::OtherLetter && is_visible(before))
    }
}

fn is_variation_selector(character: char) -> bool {
    matches!(character, '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const LABEL: &str = "Name";

    fn line(text: &str) -> Result<String, TextError> {
        parse_line(text, LABEL, 100)
    }

    #[test]
    fn text_without_anything_visible_is_missing() {
        for text in [
            "",
            " \t\n",
            "\u{200b}",
            "\u{feff}",
            "\u{ad}",
            "\u{3164}",
            "\u{115f}\u{1160}",
            "\u{ffa0}",
            "\u{2800}",
            "\u{202e}",
            "\u{a0}\u{3000}",
            "\u{301}",
            "\u{200d}",
            "\u{fe0f}",
            "\u{e0041}",
            "\0",
            "\u{e000}",
            "\u{34f}",
        ] {
            assert_eq!(line(text), Err(TextError::Missing { label: LABEL }), "{text:?}");
        }
        assert_eq!(parse(&Value::Null, LABEL, 9), Err(TextError::Missing { label: LABEL }));
        assert_eq!(parse(&json!(7), LABEL, 9), Err(TextError::NotText { label: LABEL }));
    }

    #[test]
    fn characters_that_nobody_sees_are_rejected() {
        for text in [
            "Ada\u{200b}",
            "\u{feff}Ada",
            "A\u{ad}da",
            "Ada\u{202e}",
            "Ada\u{2066}x\u{2069}",
            "Ada\u{3164}",
            "Ada\u{2800}",
            "Ada \u{200d} King",
            "Ada\u{200d}",
            "\u{200c}Ada",
            "A\u{200d}\u{200d}da",
            "Ada\u{fe0f}",
            "A\u{34f}da",
        ] {
            assert_eq!(
                line(text),
                Err(TextError::InvisibleCharacter { label: LABEL }),
                "{text:?}"
            );
        }
        for text in ["a\0b", "a\nb", "a\u{2028}b", "a\u{85}b"] {
            assert_eq!(
                line(text),
                Err(TextError::ControlCharacter { label: LABEL }),
                "{text:?}"
            );
        }
        for text in ["a\u{e000}", "a\u{378}", "a\u{ffff}"] {
            assert_eq!(
                line(text),
                Err(TextError::UndefinedCharacter { label: LABEL }),
                "{text:?}"
            );
        }
    }

    #[test]
    fn names_of_people_pass_in_normal_form_c() {
        for name in [
            "Ada Lovelace",
            "O'Brien-Smith, Jr.",
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "\u{915}\u{94d}\u{200d}\u{937}",
            "李小龙",
            "\u{845b}\u{e0100}",
            "김철수",
            "Nguyễn Thị",
            "Zoë 🦀",
            "12 St James's Square",
        ] {
            assert_eq!(line(name).as_deref(), Ok(name));
        }
        assert_eq!(line(" \u{3000}Jose\u{301}\u{a0}").as_deref(), Ok("Jos\u{e9}"));
        assert_eq!(line(&"e\u{301}".repeat(100)).map(|text| text.chars().count()), Ok(100));
        assert_eq!(
            line(&"é".repeat(101)),
            Err(TextError::TooLong { label: LABEL, max: 100 })
        );
    }

    proptest! {
        #[test]
        fn what_passes_is_visible_normal_and_passes_unchanged(text in any::<String>()) {
            if let Ok(accepted) = line(&text) {
                prop_assert!(accepted.chars().any(is_visible));
                prop_assert!(!accepted.chars().any(char::is_control));
                prop_assert_eq!(accepted.trim(), &*accepted);
                prop_assert_eq!(line(&accepted), Ok(accepted));
            }
        }

        #[test]
        fn equal_names_are_equal_whatever_their_normal_form(text in "[A-Za-zÀ-ſ가-힣ぁ-ん]{1,20}") {
            let decomposed: String = text.nfd().collect();
            prop_assert_eq!(line(&decomposed), line(&text));
        }

        #[test]
        fn an_invisible_character_never_passes_among_letters(text in "[a-z]{1,9}", at in 0usize..9, index in 0usize..9) {
            let invisible = ['\u{200b}', '\u{feff}', '\u{ad}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}', '\u{3164}', '\u{2060}'];
            let mut characters: Vec<char> = text.chars().collect();
            characters.insert(at.min(characters.len()), invisible[index]);
            let text: String = characters.into_iter().collect();
            prop_assert_eq!(line(&text), Err(TextError::InvisibleCharacter { label: LABEL }));
        }
    }
}
