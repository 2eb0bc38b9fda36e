//! Responses in XML and JSON as values.

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::{Map, Value};

/// Returns the content of a document's root: elements as members, their text as strings, repeated elements as arrays. `Null` if the
/// document cannot be read.
pub fn parse(text: &str) -> Value {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<(String, Map<String, Value>, String)> = Vec::new();
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                let name = start.local_name().into_inner().to_owned();
                open.push((name, Map::new(), String::new()));
            }
            Ok(Event::Empty(empty)) => {
                let name = empty.local_name().into_inner().to_owned();
                if let Some((_, members, _)) = open.last_mut() {
                    put(members, name, Value::String(String::new()));
                }
            }
            Ok(Event::Text(piece)) => {
                if let Some((.., text)) = open.last_mut() {
                    text.push_str(&piece);
                }
            }
            Ok(Event::GeneralRef(reference)) => {
                if let Some((.., text)) = open.last_mut() {
                    let name = format!("&{};", &*reference);
                    text.push_str(&quick_xml::escape::unescape(&name).unwrap_or_default());
                }
            }
            Ok(Event::End(_)) => {
                let Some((name, members, text)) = open.pop() else { break };
                let value = if members.is_empty() {
                    Value::String(text.trim().to_owned())
                } else {
                    Value::Object(members)
                };
                match open.last_mut() {
                    Some((_, parent, _)) => put(parent, name, value),
                    None => return value,
                }
            }
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    Value::Null
}

fn put(members: &mut Map<String, Value>, name: String, value: Value) {
    match members.get_mut(&name) {
        None => {
            members.insert(name, value);
        }
        Some(Value::Array(many)) => many.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

/// Returns the items of a repeated element: a single one is not an array in [`parse`]'s result.
pub fn items<'a>(list: &'a Value, name: &str) -> Vec<&'a Value> {
    match &list[name] {
        Value::Null => Vec::new(),
        Value::Array(many) => many.iter().collect(),
        one => vec![one],
    }
}

/// Returns code and message of an error response in any of AWS' protocols; both are empty if it is not one.
pub fn service_error(body: &str) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Ok(json) = serde_json::from_str::<Value>(body) {
        let code = json["__type"].as_str().or(json["code"].as_str()).unwrap_or_default();
        let message = [&json["message"], &json["Message"]];
        let message = message.into_iter().find(|message| message.is_string());
        return (
            code.rsplit('#').next().unwrap_or_default().to_owned(),
            message.map(text).unwrap_or_default(),
        );
    }
    let document = parse(body);
    // The query protocol nests `Error`, EC2 `Errors/Error`; in S3 it is the root.
    let nested = [&document["Error"], &document["Errors"]["Error"], &document];
    let error = nested.into_iter().find(|error| error["Code"].is_string());
    error.map_or_else(Default::default, |error| {
        (text(&error["Code"]), text(&error["Message"]))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn elements_become_members_and_repeated_ones_lists() {
        let text = "<?xml version='1.0'?><R xmlns='x'><S><T>a &amp; b</T><T>c</T></S><E/></R>";
        assert_eq!(parse(text), json!({"S": {"T": ["a & b", "c"]}, "E": ""}));
        assert_eq!(parse("not xml"), Value::Null);
        assert_eq!(items(&json!({"T": "one"}), "T"), [&json!("one")]);
    }

    #[test]
    fn every_protocols_errors_are_read() {
        let is = |body: &str, code: &str, message: &str| {
            assert_eq!(service_error(body), (code.to_owned(), message.to_owned()), "{body}");
        };
        is(r#"{"__type": "com.amazonaws#Denied", "Message": "no"}"#, "Denied", "no");
        is("<R><Error><Code>A</Code><Message>b</Message></Error></R>", "A", "b");
        is("<R><Errors><Error><Code>A</Code></Error></Errors></R>", "A", "");
        is(
            "<Error><Code>NoSuchBucket</Code><Message>m</Message></Error>",
            "NoSuchBucket",
            "m",
        );
        is("<html><body>502</body></html>", "", "");
        is("nothing", "", "");
    }
}
