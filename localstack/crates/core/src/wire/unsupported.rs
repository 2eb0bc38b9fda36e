//! The members that AWS has and this endpoint does not act on (`models/unsupported.txt`): refused by name, or kept and returned.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::casing::lower_first;
use super::constraints::Constraints;
use crate::error::AwsError;
use crate::records::scalar;

const TABLE: &str = include_str!("../../models/unsupported.txt");

/// The treatment of a member that this endpoint does not act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Treatment {
    /// Refused by name, except with the value that changes nothing, if there is one.
    Refused(Option<&'static str>),
    /// Stored and returned, without any other effect.
    Kept,
    /// Acted on, under a name that the code derives.
    Derived,
}

/// One line of the table for one operation: a path such as `Actions.Order`, without the numbers of items.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The signing name of the service.
    pub service: &'static str,
    /// The operation, or `*` for each that has the member.
    pub operation: &'static str,
    /// The names of the members, from the outermost.
    pub path: &'static str,
    /// The treatment.
    pub treatment: Treatment,
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| parse(TABLE));

static BY_OPERATION: LazyLock<HashMap<(&str, &str), Vec<&'static Entry>>> = LazyLock::new(|| {
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    for entry in ENTRIES.iter() {
        found.entry((entry.service, entry.operation)).or_default().push(entry);
    }
    found
});

/// Returns the whole table.
pub fn entries() -> &'static [Entry] {
    &ENTRIES
}

/// Checks that an input has no member that this endpoint would ignore.
///
/// # Errors
/// The service's code of an invalid value, with the name of the member.
pub fn check(service: &str, operation: &str, input: &Value) -> Result<(), AwsError> {
    for key in [(service, operation), (service, "*")] {
        for entry in BY_OPERATION.get(&key).into_iter().flatten() {
            let Treatment::Refused(allowed) = entry.treatment else {
                continue;
            };
            let path: Vec<&str> = entry.path.split('.').collect();
            if let Some(value) = refused(input, &path, allowed) {
                return Err(Constraints { service }.unsupported(operation, entry.path, &value, allowed));
            }
        }
    }
    Ok(())
}

/// Returns a value at the path that is given, and not the one that is allowed.
fn refused(value: &Value, path: &[&str], allowed: Option<&str>) -> Option<String> {
    match value {
        Value::Array(items) => items.iter().find_map(|item| refused(item, path, allowed)),
        Value::Object(members) => match path {
            // The members of REST services are in lower camel case on the wire.
            [first, rest @ ..] => {
                let member = members.get(*first).or_else(|| members.get(&lower_first(first)));
                refused(member?, rest, allowed)
            }
            [] => (!members.is_empty()).then(|| value.to_string()),
        },
        Value::Null => None,
        _ if path.is_empty() => {
            let text = scalar(value).unwrap_or_default();
            (!text.is_empty() && Some(text.as_str()) != allowed).then_some(text)
        }
        _ => None,
    }
}

fn parse(table: &'static str) -> Vec<Entry> {
    let (mut service, mut found) = ("", Vec::new());
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some((operations, members)) = line.split_once(':') else {
            service = line.trim();
            continue;
        };
        for operation in operations.split_whitespace() {
            found.extend(members.split_whitespace().map(|member| {
                let (path, treatment) = match (
                    member.strip_prefix('~'),
                    member.strip_prefix('+'),
                    member.split_once('='),
                ) {
                    (Some(path), ..) => (path, Treatment::Kept),
                    (_, Some(path), _) => (path, Treatment::Derived),
                    (.., Some((path, value))) => (path, Treatment::Refused(Some(value))),
                    _ => (member, Treatment::Refused(None)),
                };
                Entry {
                    service,
                    operation,
                    path,
                    treatment,
                }
            }));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_is_refused_unless_its_value_changes_nothing() {
        for (input, path, allowed, expected) in [
            (json!({"A": "x"}), "A", None, Some("x")),
            (json!({"A": "x"}), "A", Some("x"), None),
            (json!({"A": false}), "A", Some("false"), None),
            (json!({"A": ""}), "A", None, None),
            (json!({"A": [], "B": {}}), "A", None, None),
            (json!({"A": [{"B": 1}, {"B": 2}]}), "A.B", Some("1"), Some("2")),
            (json!({"A": {"B": "x"}}), "A", None, Some("{\"B\":\"x\"}")),
            (json!({"B": {"A": "x"}}), "A", None, None),
            (
                json!({"brokerNode": {"zoneIds": ["z"]}}),
                "BrokerNode.ZoneIds",
                None,
                Some("z"),
            ),
        ] {
            let path: Vec<&str> = path.split('.').collect();
            assert_eq!(refused(&input, &path, allowed).as_deref(), expected, "{input} {path:?}");
        }
    }
}
