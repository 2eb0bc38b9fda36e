//! Differences between two values.

use serde_json::{Map, Value};

use crate::scope::text;

/// One difference: a JSON pointer and the values on both sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    pub path: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// Returns true if two values are equal for CloudFormation, as `7` and `"7"` are.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(v, w)| same(v, w)),
        (Value::Object(_) | Value::Array(_), _) | (_, Value::Object(_) | Value::Array(_)) => false,
        _ => a == b || text(a).is_some() && text(a) == text(b),
    }
}

/// Returns the smallest parts that differ. Lists of different lengths are one difference.
pub fn differences(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Difference> {
    let mut found = Vec::new();
    members(before, after, "", &mut found);
    found
}

fn members(before: &Map<String, Value>, after: &Map<String, Value>, path: &str, found: &mut Vec<Difference>) {
    for (name, value) in before {
        descend(Some(value), after.get(name), format!("{path}/{name}"), found);
    }
    for (name, value) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
        descend(None, Some(value), format!("{path}/{name}"), found);
    }
}

fn descend(before: Option<&Value>, after: Option<&Value>, path: String, found: &mut Vec<Difference>) {
    match (before, after) {
        (Some(a), Some(b)) if same(a, b) => {}
        (Some(Value::Object(a)), Some(Value::Object(b))) => members(a, b, &path, found),
        (Some(Value::Array(a)), Some(Value::Array(b))) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                descend(Some(a), Some(b), format!("{path}/{i}"), found);
            }
        }
        (before, after) => found.push(Difference {
            path,
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

/// Returns true if a change at `path` (`/A/B/0`) replaces a resource: a create-only property is at, above or below it.
pub fn replaces(path: &str, create_only: &[&str]) -> bool {
    let path = path.trim_start_matches('/');
    let within =
        |inner: &str, outer: &str| inner == outer || inner.strip_prefix(outer).is_some_and(|r| r.starts_with('/'));
    create_only.iter().any(|only| within(path, only) || within(only, path))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "callers write `json!` in place")]
    fn paths(before: Value, after: Value) -> Vec<String> {
        let of = |v: &Value| v.as_object().unwrap().clone();
        differences(&of(&before), &of(&after))
            .into_iter()
            .map(|d| d.path)
            .collect()
    }

    #[test]
    fn the_smallest_part_differs_and_equal_scalars_do_not() {
        assert_eq!(
            paths(
                json!({"A": {"B": [1, {"C": "x"}]}, "N": 7}),
                json!({"A": {"B": ["1", {"C": "y"}]}, "N": "7"})
            ),
            ["/A/B/1/C"]
        );
        assert_eq!(
            paths(json!({"L": [1], "G": 1}), json!({"L": [1, 2], "H": 1})),
            ["/L", "/G", "/H"]
        );
    }

    #[test]
    fn a_create_only_path_reaches_into_objects() {
        assert!(replaces("/A/B", &["A/B"]) && replaces("/A", &["A/B"]) && replaces("/A/B/0", &["A/B"]));
        assert!(!replaces("/A/C", &["A/B"]) && !replaces("/AB", &["A"]));
    }
}
