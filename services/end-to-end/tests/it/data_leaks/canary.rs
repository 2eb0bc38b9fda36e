//! Canary values, and a search for them and for secrets in text.

use std::collections::BTreeSet;

use regex::Regex;

/// The prefix of every canary value; no other text contains it.
pub const MARK: &str = "qzxv";

/// A unique birth date of a patient.
pub const BORN: &str = "1917-03-29";

/// Returns a unique value that is recognised anywhere; `place` names the input that has it.
pub fn canary(place: &str) -> String {
    format!("{MARK}{place}")
}

/// A search for canary values, tokens and secrets in text.
pub struct Search {
    patterns: Vec<(String, Regex)>,
    secrets: Vec<(String, String)>,
}

impl Search {
    pub fn new() -> Search {
        let patterns = [
            ("a canary value", format!("(?i){MARK}[a-z0-9-]*")),
            ("a birth date", BORN.replace('-', "[-/. ]?")),
            // A header of {"typ":… or {"alg":…, claims, signature
            (
                "a token",
                r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*".to_owned(),
            ),
            ("a password hash", r"\$argon2".to_owned()),
            ("a private key", r"PRIVATE KEY".to_owned()),
        ];
        Search {
            patterns: patterns
                .map(|(name, pattern)| (name.to_owned(), Regex::new(&pattern).expect("a pattern")))
                .into(),
            secrets: Vec::new(),
        }
    }

    /// Adds a secret to the search.
    pub fn secret(&mut self, name: &str, text: &str) {
        assert!(text.len() >= 8, "{name} is too short to search for");
        self.secrets.push((name.to_owned(), text.to_owned()));
    }

    /// Returns the findings in a text, with their lines.
    pub fn find_in(&self, place: &str, text: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for line in text.lines() {
            for (name, pattern) in &self.patterns {
                if let Some(hit) = pattern.find(line) {
                    found.insert(format!("{place}: {name} ({}) in {}", hit.as_str(), short(line)));
                }
            }
            for (name, secret) in &self.secrets {
                if line.contains(secret.as_str()) {
                    found.insert(format!("{place}: {name} in {}", short(line)));
                }
            }
        }
        found
    }
}

fn short(line: &str) -> String {
    line.chars().take(400).collect()
}

#[test]
fn canary_values_tokens_and_secrets_are_found() {
    let mut search = Search::new();
    search.secret("the link's secret", "s3cret-of-the-link");
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0abc.c2lnbmF0dXJl";
    for leak in [
        "name=QZXVname".to_owned(),
        format!("born {BORN}"),
        format!("authorization: Bearer {token}"),
        "$argon2id$v=19$m=19456".to_owned(),
        "metadata s3cret-of-the-link".to_owned(),
    ] {
        assert_eq!(search.find_in("log", &leak).len(), 1, "{leak}");
    }
    assert!(
        search
            .find_in("log", r#"{"message":"responded","fields":{"patient.id":"1"}}"#)
            .is_empty()
    );
}
