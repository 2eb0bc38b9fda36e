//! Filter patterns (CloudWatch Logs User Guide, "Filter pattern syntax for metric filters, subscription filters, filter
//! log events").

use regex::Regex;
use serde_json::Value;

use super::invalid;
use crate::AwsError;
use crate::records::scalar;
use crate::service::wildcard;

/// A condition on the message of an event.
pub enum Pattern {
    All,
    Terms {
        every: Vec<String>,
        any: Vec<String>,
        none: Vec<String>,
    },
    Expression(Regex),
    /// Comparisons of JSON fields, all of which must be true.
    Fields(Vec<Comparison>),
}

pub struct Comparison {
    path: Vec<String>,
    equal: bool,
    value: String,
}

impl Pattern {
    /// Parses terms, `"quoted phrases"`, `?any`, `-none`, `%expressions%`, and `{ $.field = "value" && … }`.
    pub fn parse(text: &str) -> Result<Self, AwsError> {
        let text = text.trim();
        let error = |why: &str| invalid(format!("Invalid filter pattern: {why}: {text}"));
        if text.is_empty() {
            return Ok(Self::All);
        }
        if let Some(expression) = text.strip_prefix('%').and_then(|t| t.strip_suffix('%')) {
            return Regex::new(expression)
                .map(Self::Expression)
                .map_err(|_| error("not a regular expression"));
        }
        if let Some(inner) = text.strip_prefix('{') {
            let inner = inner
                .strip_suffix('}')
                .ok_or_else(|| error("the closing brace is missing"))?;
            let fields: Option<_> = inner.split("&&").map(comparison).collect();
            let supported = "the embedded endpoint supports only JSON comparisons with = and !=, joined with &&";
            return fields.map(Self::Fields).ok_or_else(|| error(supported));
        }
        let (mut every, mut any, mut none) = (Vec::new(), Vec::new(), Vec::new());
        for (sign, term) in terms(text).ok_or_else(|| error("a quote is not closed"))? {
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
                // AWS ignores ?terms beside plain terms.
                let some = any.is_empty() || !every.is_empty() || any.iter().any(|term| message.contains(term));
                some && every.iter().all(|term| message.contains(term))
                    && !none.iter().any(|term| message.contains(term))
            }
            Self::Expression(expression) => expression.is_match(message),
            Self::Fields(fields) => {
                let Ok(value) = serde_json::from_str::<Value>(message) else {
                    return false;
                };
                fields.iter().all(|field| field.matches(&value))
            }
        }
    }
}

impl Comparison {
    fn matches(&self, event: &Value) -> bool {
        let found = self
            .path
            .iter()
            .try_fold(event, |value, step| value.get(step))
            .and_then(scalar);
        match found {
            Some(found) => wildcard::matches(&self.value, &found) == self.equal,
            None => false,
        }
    }
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

/// Splits at spaces except in quoted phrases; returns `None` if a quote is not closed.
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
    fn a_pattern_matches_as_on_aws() {
        let message = r#"{"level":"ERROR","message":"no such table","patient":{"id":7}}"#;
        let matches = |pattern: &str| Pattern::parse(pattern).unwrap().matches(message);
        assert!(
            matches("")
                && matches("ERROR table")
                && matches("\"such table\"")
                && matches("?WARN ?ERROR")
                && matches("%no s.ch%")
        );
        assert!(!matches("ERROR chair") && !matches("ERROR -table") && !matches("?WARN ?INFO") && !matches("error"));
        assert!(matches("{ $.level = \"ERR*\" && $.patient.id = 7 }") && !matches("{ $.level != ERROR }"));
        assert!(Pattern::parse("\"open").is_err() && Pattern::parse("{ $.a > 3 }").is_err());
    }
}
