//! Filter patterns ("Filter pattern syntax for metric filters, subscription filters, filter log events").

use regex::Regex;
use serde_json::Value;

use super::invalid;
use crate::AwsError;
use crate::records::scalar;

/// What an event's message must hold.
pub enum Pattern {
    All,
    Terms {
        every: Vec<String>,
        any: Vec<String>,
        none: Vec<String>,
    },
    Expression(Regex),
    /// Comparisons of JSON fields; all must hold.
    Fields(Vec<Comparison>),
}

pub struct Comparison {
    path: Vec<String>,
    equal: bool,
    value: String,
}

impl Pattern {
    /// Reads terms, `"quoted phrases"`, `?any`, `-none`, `%expressions%`, and `{ $.field = "value" && … }`.
    pub fn parse(text: &str) -> Result<Self, AwsError> {
        let text = text.trim();
        let wrong = |why: &str| invalid(format!("Invalid filter pattern: {why}: {text}"));
        if text.is_empty() {
            return Ok(Self::All);
        }
        if let Some(expression) = text.strip_prefix('%').and_then(|t| t.strip_suffix('%')) {
            return Regex::new(expression)
                .map(Self::Expression)
                .map_err(|_| wrong("not a regular expression"));
        }
        if let Some(inner) = text.strip_prefix('{') {
            let inner = inner
                .strip_suffix('}')
                .ok_or_else(|| wrong("the closing brace is missing"))?;
            let fields: Option<_> = inner.split("&&").map(comparison).collect();
            let only = "of the JSON patterns this endpoint knows comparisons with = and !=, joined with &&";
            return fields.map(Self::Fields).ok_or_else(|| wrong(only));
        }
        let (mut every, mut any, mut none) = (Vec::new(), Vec::new(), Vec::new());
        for (sign, term) in terms(text).ok_or_else(|| wrong("a quote is not closed"))? {
            match sign {
                '?' => any.push(term),
                '-' => none.push(term),
                _ => every.push(term),
            }
        }
        Ok(Self::Terms { every, any, none })
    }

    pub fn matches(&self, message: &str) -> bool {
        match self {
            Self::All => true,
            Self::Terms { every, any, none } => {
                // AWS ignores ?terms that stand beside plain ones.
                let some = any.is_empty() || !every.is_empty() || any.iter().any(|term| message.contains(term));
                some && every.iter().all(|term| message.contains(term))
                    && !none.iter().any(|term| message.contains(term))
            }
            Self::Expression(expression) => expression.is_match(message),
            Self::Fields(fields) => {
                let Ok(value) = serde_json::from_str::<Value>(message) else {
                    return false;
                };
                fields.iter().all(|field| field.holds(&value))
            }
        }
    }
}

impl Comparison {
    fn holds(&self, event: &Value) -> bool {
        let found = self
            .path
            .iter()
            .try_fold(event, |value, step| value.get(step))
            .and_then(scalar);
        match found {
            Some(found) => glob(&self.value, &found) == self.equal,
            None => false,
        }
    }
}

/// Whether `text` fits a pattern in which `*` stands for any characters and `?` for one.
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    t = from + 1;
                    star = Some((at, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

fn comparison(text: &str) -> Option<Comparison> {
    let text = text.trim().trim_start_matches('(').trim_end_matches(')');
    let (path, equal, value) = match text.split_once("!=") {
        Some((path, value)) => (path, false, value),
        None => text.split_once('=').map(|(path, value)| (path, true, value))?,
    };
    let path = path.trim().strip_prefix("$.")?.split('.').map(str::to_owned).collect();
    let value = value.trim();
    let value = value.strip_prefix('"').map_or(Some(value), |v| v.strip_suffix('"'))?;
    (!value.is_empty() && !value.starts_with(['<', '>'])).then(|| Comparison {
        path,
        equal,
        value: value.to_owned(),
    })
}

/// Splits at spaces, keeping quoted phrases whole; none when a quote stays open.
fn terms(text: &str) -> Option<Vec<(char, String)>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let sign = if matches!(first, '?' | '-') { first } else { '+' };
        rest = if sign == '+' { rest } else { &rest[1..] };
        let (term, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        if !term.is_empty() {
            found.push((sign, term.to_owned()));
        }
        rest = after.trim_start();
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_finds_what_aws_would_find() {
        let message = r#"{"level":"ERROR","message":"no such table","patient":{"id":7}}"#;
        let fits = |pattern: &str| Pattern::parse(pattern).unwrap().matches(message);
        assert!(fits("") && fits("ERROR table") && fits("\"such table\"") && fits("?WARN ?ERROR") && fits("%no s.ch%"));
        assert!(!fits("ERROR chair") && !fits("ERROR -table") && !fits("?WARN ?INFO") && !fits("error"));
        assert!(fits("{ $.level = \"ERR*\" && $.patient.id = 7 }") && !fits("{ $.level != ERROR }"));
        assert!(Pattern::parse("\"open").is_err() && Pattern::parse("{ $.a > 3 }").is_err());
    }
}
