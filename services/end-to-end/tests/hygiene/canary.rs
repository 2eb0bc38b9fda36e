//! What must not be found anywhere, and where it was found.

use std::collections::BTreeSet;

use regex::Regex;

/// The beginning of every made-up value: nothing else in the house has these letters in a row.
pub const MARK: &str = "qzxv";

/// A patient's birth date that nobody else has.
pub const BORN: &str = "1917-03-29";

/// A value that is recognised wherever it turns up; `place` says where it was put.
pub fn canary(place: &str) -> String {
    format!("{MARK}{place}")
}

/// Looks for canaries, tokens and secrets in text.
pub struct Search {
    patterns: Vec<(String, Regex)>,
    secrets: Vec<(String, String)>,
}

impl Search {
    pub fn new() -> Search {
        let patterns = [
            ("a made-up value", format!("(?i){MARK}[a-z0-9-]*")),
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

    /// Looks for this very text, too.
    pub fn secret(&mut self, name: &str, text: &str) {
        assert!(text.len() >= 8, "{name} is too short to be looked for");
        self.secrets.push((name.to_owned(), text.to_owned()));
    }

    /// What was found in this text: what it is, and the line.
    pub fn look(&self, place: &str, text: &str) -> BTreeSet<String> {
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
fn what_is_looked_for_is_found() {
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
        assert_eq!(search.look("log", &leak).len(), 1, "{leak}");
    }
    assert!(
        search
            .look("log", r#"{"message":"answered","fields":{"patient.id":"1"}}"#)
            .is_empty()
    );
}
