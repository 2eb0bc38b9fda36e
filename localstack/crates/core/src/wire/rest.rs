//! restJson1: method and path select the operation, as the model of the service says.

use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::model::Model;

/// Returns the operation of a request and the input members in its path and query string. Of several templates that match, the one with
/// the fewest variables wins.
pub fn route(service: &str, parts: &Parts) -> Option<(String, Map<String, Value>)> {
    let path: Vec<&str> = parts.uri.path().trim_matches('/').split('/').collect();
    let routes = Model::of(service)?.routes();
    let matching = routes.filter_map(|(operation, [method, template])| {
        let variables = (method == parts.method.as_str()).then(|| variables(template, &path))??;
        Some((operation, variables))
    });
    let (operation, mut input) = matching.min_by_key(|(_, variables)| variables.len())?;
    for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes()) {
        add(&mut input, name.into_owned(), value.into_owned());
    }
    Some((operation.to_owned(), input))
}

/// Returns the values of the variables of a path template such as `/v1/clusters/{clusterArn}`; `None` for another path.
fn variables(template: &str, path: &[&str]) -> Option<Map<String, Value>> {
    let template: Vec<&str> = template.trim_matches('/').split('/').collect();
    if template.len() != path.len() {
        return None;
    }
    let mut input = Map::new();
    let matches = template.iter().zip(path).all(|(expected, found)| {
        match expected.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(member) => {
                let text = percent_decode_str(found).decode_utf8_lossy().into_owned();
                input.insert(member.to_owned(), Value::String(text));
                !found.is_empty()
            }
            None => expected == found,
        }
    });
    matches.then_some(input)
}

/// Adds a member; a name that occurs twice becomes a list.
fn add(input: &mut Map<String, Value>, name: String, value: String) {
    match input.get_mut(&name) {
        Some(Value::Array(list)) => list.push(Value::String(value)),
        Some(first) => *first = Value::Array(vec![first.take(), Value::String(value)]),
        None => {
            input.insert(name, Value::String(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_arn_is_one_segment() {
        let uri = "/v1/clusters/arn%3Aaws%3Akafka%3A%3A%3Acluster%2Fa%2Fb/bootstrap-brokers?max=1";
        let (parts, ()) = http::Request::get(uri).body(()).unwrap().into_parts();
        let (operation, input) = route("kafka", &parts).unwrap();
        assert_eq!(operation, "GetBootstrapBrokers");
        assert_eq!(input["clusterArn"], "arn:aws:kafka:::cluster/a/b");
        assert_eq!(input["max"], "1");
    }
}
