//! Search for patients by a part of their name, email or address.

use kit::{Problem, Result};

/// Maximum length of a search, in characters.
const MAX_CHARACTERS: usize = 100;
/// Length from which a search finds any part of a word; a shorter one finds the beginnings of words.
///
/// The trigram index contains three characters at a time, and the first ones of each word.
const MIN_TRIGRAM_CHARACTERS: usize = 3;

/// A search as a pattern of `like`, in which the characters of the text are escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    pattern: String,
}

impl Search {
    /// Parses the query parameter; `None` if it is blank.
    ///
    /// # Errors
    /// 400 if it is longer than 100 characters, or contains no alphanumeric character.
    pub fn parse(text: Option<&str>) -> Result<Option<Self>> {
        let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let length = text.chars().count();
        if length > MAX_CHARACTERS {
            return Err(Problem::field(
                "search",
                format!("Search cannot exceed {MAX_CHARACTERS} characters"),
            ));
        }
        if !text.chars().any(char::is_alphanumeric) {
            return Err(Problem::field(
                "search",
                "Search must contain an alphanumeric character",
            ));
        }
        let mut pattern = String::from(if length < MIN_TRIGRAM_CHARACTERS { "% " } else { "%" });
        for character in text.chars() {
            if matches!(character, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        pattern.push('%');
        Ok(Some(Self { pattern }))
    }

    /// Returns the pattern, for `search_text like lower($n)`.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> String {
        let search = Search::parse(Some(text)).expect("a search").expect("not blank");
        search.pattern().to_owned()
    }

    #[test]
    fn wildcards_are_escaped_and_short_searches_find_the_beginnings_of_words() {
        assert_eq!(pattern(r"50%_\"), r"%50\%\_\\%");
        assert_eq!(pattern(" Ad "), "% Ad%");
        assert_eq!(pattern("Ada"), "%Ada%");
    }

    #[test]
    fn a_blank_search_is_none_and_one_without_alphanumeric_characters_is_rejected() {
        assert_eq!(Search::parse(Some("  ")).expect("none"), None);
        for bad in ["%%%", "--", &"a".repeat(101)] {
            assert_eq!(Search::parse(Some(bad)).expect_err("a rejection").status(), 400);
        }
    }
}
