//! Finding patients by a part of their name, email or address.

use kit::{Problem, Result};

/// The longest search, in characters.
const LONGEST: usize = 100;
/// Shorter ones find the beginnings of words: the index knows three characters at a time, and a word's first ones.
const SHORT: usize = 3;

/// What is searched for, as a pattern of `like` in which nothing of the text is special.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    text: String,
    pattern: String,
}

impl Search {
    /// Reads the query parameter; nothing for a blank one.
    ///
    /// # Errors
    /// 400 when it is longer than 100 characters, or holds neither a letter nor a digit.
    pub fn parse(text: Option<&str>) -> Result<Option<Self>> {
        let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let length = text.chars().count();
        if length > LONGEST {
            return Err(Problem::field(
                "search",
                format!("Search cannot exceed {LONGEST} characters"),
            ));
        }
        if !text.chars().any(char::is_alphanumeric) {
            return Err(Problem::field("search", "Search must hold a letter or a digit"));
        }
        let mut pattern = String::from(if length < SHORT { "% " } else { "%" });
        for character in text.chars() {
            if matches!(character, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        pattern.push('%');
        Ok(Some(Self {
            text: text.to_owned(),
            pattern,
        }))
    }

    /// The text, without blanks around it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// For `search_text like lower($n)`.
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
    fn wildcards_are_found_literally_and_short_searches_at_the_beginning_of_words() {
        assert_eq!(pattern(r"50%_\"), r"%50\%\_\\%");
        assert_eq!(pattern(" Ad "), "% Ad%");
        assert_eq!(pattern("Ada"), "%Ada%");
    }

    #[test]
    fn a_blank_search_is_none_and_one_without_letters_is_refused() {
        assert_eq!(Search::parse(Some("  ")).expect("none"), None);
        for bad in ["%%%", "--", &"a".repeat(101)] {
            assert_eq!(Search::parse(Some(bad)).expect_err("a refusal").status(), 400);
        }
    }
}
