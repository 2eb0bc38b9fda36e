//! Search for patients by a part of their name, email or address.

use kit::{Problem, Result, text};

/// Maximum length of a search, in characters.
const MAX_CHARACTERS: usize = 100;

/// The text of a search; the database function `search_pattern` makes a pattern of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search(String);

impl Search {
    /// Parses the text; `None` if it is blank.
    ///
    /// # Errors
    /// 400 if it is longer than 100 characters, contains NUL, or no alphanumeric character.
    pub fn parse(text: Option<&str>) -> Result<Option<Self>> {
        let Some(text) = text.map(text::normalise).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        if text.chars().count() > MAX_CHARACTERS {
            return Err(Problem::field(
                "search",
                format!("Search cannot exceed {MAX_CHARACTERS} characters"),
            ));
        }
        // PostgreSQL's text cannot contain NUL.
        if text.contains('\0') || !text.chars().any(|one| one.is_alphanumeric() && text::is_visible(one)) {
            return Err(Problem::field(
                "search",
                "Search must contain an alphanumeric character",
            ));
        }
        Ok(Some(Self(text)))
    }

    /// Returns the text, for `search_text like search_pattern($n)`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_search_is_none_and_one_without_alphanumeric_characters_is_rejected() {
        assert_eq!(Search::parse(Some("  ")).expect("none"), None);
        for bad in ["%%%", "--", "a\0", "\u{345}", "\u{3164}", &"a".repeat(101)] {
            assert_eq!(Search::parse(Some(bad)).expect_err("a rejection").status(), 400);
        }
        let decomposed = Search::parse(Some(&"e\u{301}".repeat(100)))
            .expect("a search")
            .expect("text");
        assert_eq!(decomposed.as_str(), "é".repeat(100));
    }
}
