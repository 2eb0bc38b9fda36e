//! restJson1: method and path select the operation.

use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::service::Route;

/// Returns the operation of a request and the input members in its path and query string. The first matching route wins.
pub fn route(routes: &[Route], parts: &Parts) -> Option<(String, Map<String, Value>)> {
    let path: Vec<&str> = parts.uri.path().trim_matches('/').split('/').collect();
    for route in routes {
        let template: Vec<&str> = route.path.trim_matches('/').split('/').collect();
        if route.method != parts.method.as_str() || template.len() != path.len() {
            continue;
        }
        let mut input = Map::new();
        let matches = template.iter().zip(&path).all(|(expected, found)| {
            match expected.strip_prefix('{').and_then(|w| w.strip_suffix('}')) {
                Some(member) => {
                    let text = percent_decode_str(found).decode_utf8_lossy().into_owned();
                    input.insert(member.to_owned(), Value::String(text));
                    !found.is_empty()
                }
                None => expected == found,
            }
        });
        if matches {
            for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes()) {
                add(&mut input, name.into_owned(), value.into_owned());
            }
            return Some((route.operation.to_owned(), input));
        }
    }
    None
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

    const ROUTES: &[Route] = &[
        Route {
            method: "GET",
            path: "/v1/clusters",
            operation: "ListClusters",
        },
        Route {
            method: "GET",
            path: "/v1/clusters/{clusterArn}/bootstrap-brokers",
            operation: "GetBootstrapBrokers",
        },
    ];

    #[test]
    fn an_encoded_arn_is_one_segment() {
        let uri = "/v1/clusters/arn%3Aaws%3Akafka%3A%3A%3Acluster%2Fa%2Fb/bootstrap-brokers?max=1";
        let (parts, ()) = http::Request::get(uri).body(()).unwrap().into_parts();
        let (operation, input) = route(ROUTES, &parts).unwrap();
        assert_eq!(operation, "GetBootstrapBrokers");
        assert_eq!(input["clusterArn"], "arn:aws:kafka:::cluster/a/b");
        assert_eq!(input["max"], "1");
    }
}
