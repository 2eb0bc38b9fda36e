//! Conversion between S3's XML and JSON.

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};

use crate::AwsError;
use crate::wire::escape;

pub const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
/// A limit for malicious input; documents of S3 nest a few elements.
const MAX_DEPTH: usize = 32;

/// Writes a document with this root element. A list becomes repeated elements; null is omitted.
pub fn document(root: &str, content: &Value) -> String {
    let mut out = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"{NAMESPACE}\">");
    write(&mut out, content);
    out.push_str(&format!("</{root}>"));
    out
}

/// Writes an `<Error>` document, which has no namespace.
pub fn error(error: &AwsError, resource: &str, id: &str) -> String {
    let element = |name: &str, text: &str| format!("<{name}>{}</{name}>", escape(text));
    // Errors of a bucket name it, as AWS' do; those of an object have its path.
    let bucket = resource.trim_matches('/');
    let subject = if bucket.is_empty() || bucket.contains('/') {
        element("Resource", resource)
    } else {
        element("BucketName", bucket)
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>{}{}{}{}</Error>",
        element("Code", &error.code),
        element("Message", &error.message),
        subject,
        element("RequestId", id)
    )
}

fn write(out: &mut String, value: &Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
                let all = match value {
                    Value::Array(list) => list.as_slice(),
                    one => std::slice::from_ref(one),
                };
                for value in all {
                    out.push_str(&format!("<{name}>"));
                    write(out, value);
                    out.push_str(&format!("</{name}>"));
                }
            }
        }
        Value::String(text) => out.push_str(&escape(text)),
        other => out.push_str(&other.to_string()),
    }
}

/// An element of which the end tag is still to come.
#[derive(Default)]
struct Element {
    name: String,
    members: Map<String, Value>,
    text: String,
}

impl Element {
    fn value(self) -> Value {
        if self.members.is_empty() {
            Value::String(self.text.trim().to_owned())
        } else {
            Value::Object(self.members)
        }
    }
}

/// Reads a document with this root element. Elements become members, repeated elements a list, anything else text.
pub fn parse(root: &str, bytes: &[u8]) -> Result<Value, AwsError> {
    let malformed = || {
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        AwsError::new("MalformedXML", message)
    };
    let text = std::str::from_utf8(bytes).map_err(|_| malformed())?;
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    loop {
        let event = reader.read_event().map_err(|_| malformed())?;
        let ended = match event {
            Event::Start(_) if open.len() >= MAX_DEPTH => return Err(malformed()),
            Event::Start(tag) => {
                open.push(named(&tag));
                None
            }
            Event::Empty(tag) => Some(named(&tag)),
            Event::Text(text) => {
                add(&mut open, &text.xml10_content());
                None
            }
            Event::GeneralRef(reference) => {
                let reference = format!("&{};", reference.xml10_content());
                add(&mut open, &unescape(&reference).map_err(|_| malformed())?);
                None
            }
            Event::End(_) => Some(open.pop().ok_or_else(malformed)?),
            Event::Eof => return Err(malformed()),
            _ => None,
        };
        let Some(ended) = ended else { continue };
        let name = ended.name.clone();
        let Some(parent) = open.last_mut() else {
            return if name == root {
                Ok(ended.value())
            } else {
                Err(malformed())
            };
        };
        let value = ended.value();
        match parent.members.get_mut(&name) {
            Some(Value::Array(list)) => list.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
            None => {
                parent.members.insert(name, value);
            }
        }
    }
}

fn named(tag: &BytesStart<'_>) -> Element {
    Element {
        name: tag.local_name().as_ref().to_owned(),
        ..Element::default()
    }
}

/// Adds text to the innermost element.
fn add(open: &mut [Element], text: &str) {
    if let Some(last) = open.last_mut() {
        last.text.push_str(text);
    }
}

/// Returns the values of a member that may be repeated.
pub fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(list) => list.iter().collect(),
        one => vec![one],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_written_document_can_be_read() {
        let content = json!({"Rule": [{"ID": "a & <b>", "Status": "Enabled"}, {"ID": "c", "Filter": {"Prefix": ""}}], "No": null});
        let text = document("Rules", &content);
        assert!(
            text.contains("<Rule><ID>a &amp; &lt;b&gt;</ID>") && !text.contains("No"),
            "{text}"
        );
        let read = parse("Rules", text.as_bytes()).unwrap();
        assert_eq!(read["Rule"], content["Rule"]);
        assert_eq!(list(&read["Rule"]).len(), 2);
    }

    #[test]
    fn an_invalid_document_is_malformed() {
        let deep = format!("{}{}", "<A>".repeat(40), "</A>".repeat(40));
        for bad in ["", "no", "<A>", "<B></B>", "<A>&nope;</A>", deep.as_str()] {
            assert_eq!(parse("A", bad.as_bytes()).unwrap_err().code, "MalformedXML", "{bad}");
        }
    }
}
