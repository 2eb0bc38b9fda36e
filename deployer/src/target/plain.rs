//! The few questions to services whose SDK is not linked: one operation of each, signed here. The SDK of RDS alone would
//! cost a minute of every clean build.

use std::time::{Duration, SystemTime};

use aws_sdk_cloudformation::config::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::{Map, Value};

use super::credentials::Renewing;
use super::{Clock, http, identity};
use crate::error::{Error, Result};

/// An operation, and how its service is spoken to.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// The signing name, which begins the host's name, too.
    pub service: &'static str,
    pub operation: &'static str,
    speech: Speech,
}

#[derive(Debug, Clone, Copy)]
enum Speech {
    /// AWS query protocol, with the API's version.
    Query(&'static str),
    /// AWS JSON 1.1, with what stands before the operation's name in `X-Amz-Target`.
    Json(&'static str),
}

pub const SNAPSHOTS: Question = Question {
    service: "rds",
    operation: "DescribeDBSnapshots",
    speech: Speech::Query("2014-10-31"),
};
pub const SECRETS: Question = Question {
    service: "secretsmanager",
    operation: "ListSecrets",
    speech: Speech::Json("secretsmanager"),
};
pub const KEY: Question = Question {
    service: "kms",
    operation: "DescribeKey",
    speech: Speech::Json("TrentService"),
};
pub const CERTIFICATE: Question = Question {
    service: "acm",
    operation: "DescribeCertificate",
    speech: Speech::Json("CertificateManager"),
};

/// All that are asked; permissions are derived from it.
#[cfg(test)]
pub const ALL: [Question; 4] = [SNAPSHOTS, SECRETS, KEY, CERTIFICATE];

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(10);
const TRIES: u32 = 3;

/// Asks them, as who the SDK's clients are.
#[derive(Clone)]
pub struct Plain {
    pub(super) credentials: Renewing,
    pub(super) region: String,
    pub(super) clock: Clock,
    /// The URL of CloudFormation's endpoint: a service's own differs in that word, or not at all.
    pub(super) base: String,
}

impl Plain {
    /// The answer's members, as JSON; from XML every value is a text, and what is repeated an array.
    pub async fn ask(&self, question: Question, input: &Value) -> Result<Value> {
        let mut tries = 1;
        loop {
            match self.once(question, input).await {
                Err(error) if tries < TRIES && may_pass(&error) => {
                    self.clock.sleep(Duration::from_millis(300) * tries).await;
                    tries += 1;
                }
                ended => return ended,
            }
        }
    }

    async fn once(&self, question: Question, input: &Value) -> Result<Value> {
        let Question {
            service,
            operation,
            speech,
        } = question;
        let credentials = self.credentials.provide_credentials().await;
        let credentials = credentials.map_err(|error| identity::refused(&error))?.into();
        let url = self.base.replacen("//cloudformation.", &format!("//{service}."), 1) + "/";
        let (kind, target, body) = match speech {
            Speech::Query(version) => (
                "application/x-www-form-urlencoded",
                None,
                form(operation, version, input),
            ),
            Speech::Json(prefix) => (
                "application/x-amz-json-1.1",
                Some(format!("{prefix}.{operation}")),
                input.to_string(),
            ),
        };
        let mut headers = vec![("content-type".to_owned(), kind.to_owned())];
        headers.extend(target.map(|target| ("x-amz-target".to_owned(), target)));
        let parameters = v4::SigningParams::builder()
            .identity(&credentials)
            .region(&self.region)
            .name(service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(anyhow::Error::from)?
            .into();
        let signable = SignableRequest::new(
            "POST",
            &url,
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())),
            SignableBody::Bytes(body.as_bytes()),
        );
        let signed = sign(signable.map_err(anyhow::Error::from)?, &parameters).map_err(anyhow::Error::from)?;
        let own = signed.output().headers();
        headers.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let what = format!("{service} {operation}");
        let (status, text) = http::send_signed(&url, &headers, body, ANSWER)
            .await
            .map_err(|reason| Error::unreached(what.clone(), &reason))?;
        if !(200..300).contains(&status) {
            let (code, message) = refusal(&text);
            return Err(Error::refused(what, status, &code, message));
        }
        match speech {
            Speech::Query(_) => {
                let whole = from_xml(&text);
                let result = whole.get(format!("{operation}Result"));
                result.cloned().ok_or_else(|| {
                    Error::refused(what, status, "HttpBody", format!("an answer without {operation}Result"))
                })
            }
            Speech::Json(_) => serde_json::from_str(&text).map_err(|error| {
                Error::refused(what, status, "HttpBody", format!("an answer that is no JSON: {error}"))
            }),
        }
    }
}

/// The items of a list in an answer of the query protocol: one is not an array there.
pub fn items<'a>(list: &'a Value, name: &str) -> Vec<&'a Value> {
    match &list[name] {
        Value::Null => Vec::new(),
        Value::Array(many) => many.iter().collect(),
        one => vec![one],
    }
}

/// Whether asking again may help: throttling, and faults that pass.
fn may_pass(error: &Error) -> bool {
    matches!(error, Error::Aws { code, .. } if code.is_empty() || code.starts_with("Throttl") || code == "RequestLimitExceeded" || code == "TooManyRequestsException")
}

fn form(operation: &str, version: &str, input: &Value) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", operation).append_pair("Version", version);
    for (name, value) in input.as_object().into_iter().flatten() {
        form.append_pair(name, value.as_str().unwrap_or_default());
    }
    form.finish()
}

/// Code and message of an error in either protocol.
fn refusal(text: &str) -> (String, String) {
    if let Ok(said) = serde_json::from_str::<Value>(text) {
        let code = said["__type"].as_str().or(said["code"].as_str()).unwrap_or_default();
        let message = said["message"]
            .as_str()
            .or(said["Message"].as_str())
            .unwrap_or_default();
        return (
            code.rsplit('#').next().unwrap_or_default().to_owned(),
            message.to_owned(),
        );
    }
    let said = from_xml(text);
    let error = if said["Error"].is_object() {
        &said["Error"]
    } else {
        &said["Errors"]["Error"]
    };
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    (text("Code"), text("Message"))
}

/// The content of a document's root: elements as members, their text as strings. What cannot be read ends it.
fn from_xml(text: &str) -> Value {
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
            Ok(Event::GeneralRef(named)) => {
                if let Some((.., text)) = open.last_mut() {
                    let name = format!("&{};", &*named);
                    text.push_str(&quick_xml::escape::unescape(&name).unwrap_or_default());
                }
            }
            Ok(Event::End(_)) => {
                let Some((name, members, text)) = open.pop() else { break };
                let value = match members.is_empty() {
                    true => Value::String(text.trim().to_owned()),
                    false => Value::Object(members),
                };
                match open.last_mut() {
                    Some((_, around, _)) => put(around, name, value),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::target::scripted::Scripted;
    use ui::Ui;

    #[test]
    fn xml_becomes_members_and_what_is_repeated_a_list() {
        let text = "<?xml version='1.0'?><R xmlns='x'><S><T>a &amp; b</T><T>c</T></S><E/></R>";
        assert_eq!(from_xml(text), json!({"S": {"T": ["a & b", "c"]}, "E": ""}));
        assert_eq!(from_xml("not xml"), Value::Null);
        assert_eq!(items(&json!({"T": "one"}), "T"), [&json!("one")]);
    }

    #[tokio::test]
    async fn a_question_is_signed_asked_again_when_throttled_and_its_refusal_is_an_error_of_its_kind() {
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let endpoint = Scripted::hear(move |call| {
            assert_eq!((call.key.as_str(), call.operation.is_empty()), ("test", false));
            let first = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
            let said = match call.operation.as_str() {
                "DescribeKey" if first => (400, json!({"__type": "ThrottlingException", "message": "slower"})),
                "DescribeKey" => (200, json!({"KeyMetadata": {"KeyState": "Enabled"}})),
                _ => (
                    400,
                    json!({"__type": "com.amazonaws#AccessDeniedException", "Message": "no"}),
                ),
            };
            Some((said.0, said.1.to_string()))
        })
        .await;
        let (ui, _) = Ui::recording();
        let aws = endpoint.aws(&ui).await;
        let key = aws.plain.ask(KEY, &json!({"KeyId": "k"})).await.expect("an answer");
        assert_eq!(key["KeyMetadata"]["KeyState"], "Enabled");
        let refused = aws.plain.ask(SECRETS, &json!({})).await.expect_err("a refusal");
        assert_eq!(
            (refused.exit_code(), refused.to_string().as_str()),
            (3, "secretsmanager ListSecrets was refused: no")
        );
    }
}
