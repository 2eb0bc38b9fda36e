//! Inputs of the query protocols: `A.member.1.B=x` becomes `{"A": [{"B": "x"}]}`.

use http::request::Parts;
use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::casing::upper_first;
use crate::error::AwsError;

/// Maximum nesting of a parameter's name; no API has deeper ones.
const MAX_DEPTH: usize = 24;

/// Returns the `Action` and `Version` of a query request, from its body or its query string.
pub fn action(parts: &Parts, body: &[u8]) -> Option<(String, Option<String>)> {
    let pairs = pairs(parts, body);
    let of = |name: &str| pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    Some((of("Action")?, of("Version")))
}

/// Returns the input as JSON. All scalars are strings. `ec2` lists are numbered without a wrapper and named in the singular;
/// they get their API names (`VpcId.1` is `VpcIds`).
///
/// # Errors
/// `MalformedQueryString` for a name that nests too deeply.
pub fn input(parts: &Parts, body: &[u8], ec2: bool) -> Result<Value, AwsError> {
    let mut root = Node::default();
    for (name, value) in pairs(parts, body) {
        if matches!(name.as_str(), "Action" | "Version") {
            continue;
        }
        if name.split('.').count() > MAX_DEPTH {
            return Err(AwsError::new(
                "MalformedQueryString",
                "The name of a parameter nests too deeply.",
            ));
        }
        root.insert(name.split('.'), value);
    }
    Ok(match root.value(ec2) {
        Value::Object(input) => Value::Object(input),
        _ => Value::Object(Map::new()),
    })
}

fn pairs(parts: &Parts, body: &[u8]) -> Vec<(String, String)> {
    let source = if parts.method == http::Method::POST {
        body
    } else {
        parts.uri.query().unwrap_or("").as_bytes()
    };
    form_urlencoded::parse(source)
        .map(|(n, v)| (n.into_owned(), v.into_owned()))
        .collect()
}

#[derive(Default)]
struct Node {
    text: Option<String>,
    children: IndexMap<String, Node>,
}

impl Node {
    fn insert<'a>(&mut self, mut path: impl Iterator<Item = &'a str>, value: String) {
        match path.next() {
            Some(step) => self.children.entry(step.to_owned()).or_default().insert(path, value),
            None => self.text = Some(value),
        }
    }

    fn is_list(&self) -> bool {
        !self.children.is_empty() && self.children.keys().all(|k| k.parse::<u32>().is_ok())
    }

    fn value(self, ec2: bool) -> Value {
        if self.children.is_empty() {
            return Value::String(self.text.unwrap_or_default());
        }
        if self.is_list() {
            return self.list(ec2);
        }
        if !ec2 && self.children.len() == 1 && self.children[0].is_list() {
            let (wrapper, list) = self.children.into_iter().next().expect("there is exactly one child");
            let list = list.list(ec2);
            return if wrapper == "entry" { map(list) } else { list };
        }
        let members = self.children.into_iter().map(|(name, node)| {
            let name = if ec2 { ec2_name(&name, node.is_list()) } else { name };
            (name, node.value(ec2))
        });
        Value::Object(members.collect())
    }

    fn list(self, ec2: bool) -> Value {
        let mut numbered: Vec<(u32, Node)> = self
            .children
            .into_iter()
            .filter_map(|(k, node)| Some((k.parse().ok()?, node)))
            .collect();
        numbered.sort_by_key(|(n, _)| *n);
        Value::Array(numbered.into_iter().map(|(_, node)| node.value(ec2)).collect())
    }
}

fn map(entries: Value) -> Value {
    let Value::Array(entries) = entries else { return entries };
    let pairs = entries.into_iter().filter_map(|entry| {
        let key = entry.get("key")?.as_str()?.to_owned();
        Some((key, entry.get("value").cloned().unwrap_or_default()))
    });
    Value::Object(pairs.collect())
}

fn ec2_name(name: &str, is_list: bool) -> String {
    let mut name = upper_first(name);
    if is_list && !name.ends_with('s') {
        name.push('s');
    }
    name
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(body: &str, ec2: bool) -> Value {
        let (parts, ()) = http::Request::post("/").body(()).unwrap().into_parts();
        input(&parts, body.as_bytes(), ec2).unwrap()
    }

    #[test]
    fn member_lists_and_maps_become_arrays_and_objects() {
        let body = "Action=X&Version=1&A.member.2.K=b&A.member.1.K=a&M.entry.1.key=k&M.entry.1.value=v&Empty=";
        assert_eq!(
            parsed(body, false),
            json!({"A": [{"K": "a"}, {"K": "b"}], "M": {"k": "v"}, "Empty": ""})
        );
    }

    #[test]
    fn the_wrapper_of_an_rds_list_is_removed() {
        let body = "Filters.Filter.1.Name=n&Filters.Filter.1.Values.Value.1=a";
        assert_eq!(
            parsed(body, false),
            json!({"Filters": [{"Name": "n", "Values": ["a"]}]})
        );
    }

    #[test]
    fn ec2_lists_get_plural_names() {
        let body = "Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1&SubnetId.1=subnet-1&attributeName.1=x";
        let expected = json!({"Filters": [{"Name": "vpc-id", "Values": ["vpc-1"]}], "SubnetIds": ["subnet-1"], "AttributeNames": ["x"]});
        assert_eq!(parsed(body, true), expected);
    }
}
