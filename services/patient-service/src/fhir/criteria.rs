//! The search parameters of patients as conditions of SQL.

use kit::fhir::{DateRange, Known, Parameter};
use kit::{Email, Problem, Result, text};
use sqlx::{Postgres, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

use super::resource::IDENTIFIER_SYSTEM;
use crate::patient::search::Search;

/// The supported parameters and their modifiers.
pub(super) const KNOWN: &[Known] = &[
    ("_id", &[]),
    ("identifier", &[]),
    ("name", &["exact"]),
    ("family", &[]),
    ("birthdate", &[]),
    ("email", &[]),
];

/// A condition; one of its values must match.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Criterion {
    /// The id is one of these.
    Id(Vec<Uuid>),
    /// The canonical email address is one of these.
    Email(Vec<String>),
    /// The date of birth is in one of these.
    Birth(Vec<DateRange>),
    /// A word of the name begins so.
    Name(Vec<String>),
    /// The name is one of these.
    ExactName(Vec<String>),
}

impl Criterion {
    /// Parses a parameter.
    ///
    /// # Errors
    /// 400 if a value is malformed.
    pub fn parse(parameter: &Parameter) -> Result<Self> {
        let (name, values) = (parameter.name, &parameter.values);
        Ok(match (name, parameter.modifier) {
            ("_id", _) => Self::Id(values.iter().filter_map(|id| id.parse().ok()).collect()),
            ("identifier", _) => Self::Id(values.iter().filter_map(|token| identifier(token)).collect()),
            ("email", _) => {
                let parse = |value: &String| Email::parse(value).map(|email| email.canonical());
                let parsed = values.iter().map(parse).collect::<std::result::Result<_, _>>();
                Self::Email(parsed.map_err(|_| Problem::field(name, "This must be an email address"))?)
            }
            ("birthdate", _) => Self::Birth(values.iter().map(|value| birth(name, value)).collect::<Result<_>>()?),
            (_, Some(_)) => Self::ExactName(
                texts(name, values)?
                    .iter()
                    .map(|value| text::normalise(value))
                    .collect(),
            ),
            _ => Self::Name(texts(name, values)?),
        })
    }

    /// Returns true if the planner's estimate of the matches is too inexact to choose a plan.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Name(_))
    }

    /// Adds the condition for a row of `patient` as `p`.
    pub fn push(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(" and (false");
        match self {
            Self::Id(ids) => {
                query.push(" or p.id = any(").push_bind(ids.clone()).push(")");
            }
            Self::Email(emails) => {
                // The expression of the unique index.
                query.push(" or coalesce(p.email_key, lower(p.email collate \"C\")) = any(");
                query.push_bind(emails.clone()).push(")");
            }
            Self::Birth(ranges) => ranges.iter().for_each(|range| push_range(query, range)),
            Self::Name(beginnings) => {
                for beginning in beginnings {
                    // The first condition has an index, the second one excludes the other fields.
                    query
                        .push(" or (p.search_text like search_pattern(' ' || ")
                        .push_bind(beginning.clone());
                    query.push(") and ' ' || search_fold(p.name) like search_pattern(' ' || ");
                    query.push_bind(beginning.clone()).push("))");
                }
            }
            Self::ExactName(names) => {
                query.push(" or p.name = any(").push_bind(names.clone()).push(")");
            }
        }
        query.push(")");
    }
}

fn push_range(query: &mut QueryBuilder<Postgres>, range: &DateRange) {
    query.push(if range.is_negated { " or not (true" } else { " or (true" });
    for (operator, at) in [(">=", range.start), ("<", range.end)] {
        if let Some(date) = at.map(OffsetDateTime::date) {
            query
                .push(format_args!(" and p.date_of_birth {operator} "))
                .push_bind(date);
        }
    }
    query.push(")");
}

/// Parses `value`, `system|value` or `|value`; `None` for another system, or a value that is no patient's.
fn identifier(token: &str) -> Option<Uuid> {
    let value = match token.split_once('|') {
        Some((system, value)) => Some(value).filter(|_| system == IDENTIFIER_SYSTEM)?,
        None => token,
    };
    value.strip_prefix("urn:uuid:")?.parse().ok()
}

fn birth(name: &str, value: &str) -> Result<DateRange> {
    let range = DateRange::parse(name, value)?;
    if range.has_time {
        return Err(Problem::field(name, "A date of birth has no time"));
    }
    Ok(range)
}

/// Checks values as the search of the list does.
fn texts(name: &str, values: &[String]) -> Result<Vec<String>> {
    let text = |value: &String| match Search::parse(Some(value)) {
        Ok(Some(search)) => Ok(search.as_str().to_owned()),
        _ => Err(Problem::field(
            name,
            "This must have 1 to 100 characters, one of them alphanumeric",
        )),
    };
    values.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &'static str, value: &str) -> Result<Criterion> {
        Criterion::parse(&Parameter {
            name,
            modifier: None,
            values: vec![value.to_owned()],
        })
    }

    #[test]
    fn an_identifier_is_found_with_its_system_or_without_one() {
        let id = Uuid::from_u128(7);
        for (token, expected) in [
            (format!("urn:uuid:{id}"), vec![id]),
            (format!("urn:ietf:rfc:3986|urn:uuid:{id}"), vec![id]),
            (format!("http://example.org|urn:uuid:{id}"), vec![]),
            (format!("|urn:uuid:{id}"), vec![]),
            (id.to_string(), vec![]),
        ] {
            assert_eq!(
                parse("identifier", &token).expect("a criterion"),
                Criterion::Id(expected)
            );
        }
        assert_eq!(parse("_id", "abc").expect("a criterion"), Criterion::Id(vec![]));
    }

    #[test]
    fn a_malformed_value_is_a_client_error() {
        for (name, value) in [
            ("email", "nope"),
            ("birthdate", "1990-13"),
            ("birthdate", "1990-05-17T00:00Z"),
            ("name", "--"),
            ("family", &"x".repeat(101)),
        ] {
            assert_eq!(parse(name, value).expect_err(value).status(), 400, "{name}={value}");
        }
    }
}
