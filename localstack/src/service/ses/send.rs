//! `SendEmail`: checks a message as Amazon SES does (Amazon SES API v2 Reference), and adds it to the mailbox.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::mailbox::{Mailbox, Message};
use super::mime;
use crate::service::Call;
use crate::{AwsError, Context};

/// Maximum number of recipients of one message (Amazon SES Developer Guide, "Service quotas").
const MAX_RECIPIENTS: usize = 50;

/// Adds a message of the form `Simple` or `Raw`.
pub(super) fn send_email(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let content = call.input.get("Content").filter(|content| content.is_object());
    let content = content.ok_or_else(|| bad("Content is required."))?;
    let (simple, raw) = (content.get("Simple"), content.get("Raw"));
    let message = match (simple, raw, content.get("Template")) {
        (Some(simple), None, None) => self::simple(call, simple)?,
        (None, Some(raw), None) => self::raw(call, raw)?,
        (None, None, Some(_)) => return Err(AwsError::not_implemented("ses", "SendEmail with a template")),
        _ => return Err(bad("Content must have exactly one of Simple, Raw and Template.")),
    };
    let id = message.id.clone();
    cx.shared::<Mailbox>().add(message);
    Ok(json!({"MessageId": id}))
}

fn simple(call: &Call, content: &Value) -> Result<Message, AwsError> {
    let from = call.text("FromEmailAddress").filter(|from| !from.is_empty());
    let from = from.ok_or_else(|| bad("FromEmailAddress is required."))?;
    let subject = data(content.get("Subject")).ok_or_else(|| bad("Content.Simple.Subject.Data is required."))?;
    let body = content.get("Body").unwrap_or(&Value::Null);
    let text = data(body.get("Text")).or_else(|| data(body.get("Html")));
    let text = text.ok_or_else(|| bad("Content.Simple.Body has neither Text.Data nor Html.Data."))?;
    for header in content.get("Headers").and_then(Value::as_array).into_iter().flatten() {
        check_header(header)?;
    }
    message(from, recipients(call), subject, text)
}

fn raw(call: &Call, content: &Value) -> Result<Message, AwsError> {
    let data = content.get("Data").and_then(Value::as_str).unwrap_or_default();
    let data = STANDARD.decode(data).ok().filter(|data| !data.is_empty());
    let data = data.ok_or_else(|| bad("Content.Raw.Data is not base64 text of a message."))?;
    let parsed = mime::parse(&data);
    let from = call.text("FromEmailAddress").or(parsed.from);
    let from = from.ok_or_else(|| bad("Missing required header 'From'."))?;
    let to = Some(recipients(call)).filter(|to| !to.is_empty()).unwrap_or(parsed.to);
    message(from, to, parsed.subject, parsed.text)
}

fn message(from: String, to: Vec<String>, subject: String, text: String) -> Result<Message, AwsError> {
    if to.is_empty() {
        return Err(bad(
            "Destination has no address in ToAddresses, CcAddresses and BccAddresses.",
        ));
    }
    if to.len() > MAX_RECIPIENTS {
        return Err(bad("Recipient count exceeds 50."));
    }
    for address in to.iter().chain([&from]) {
        check_address(&mime::address(address))?;
    }
    let now = OffsetDateTime::now_utc();
    let milliseconds = now.unix_timestamp_nanos() / 1_000_000;
    Ok(Message {
        id: format!("0100{milliseconds:012x}-{}-000000", uuid::Uuid::new_v4()),
        from: mime::decode_words(&from),
        to: to.iter().map(|address| mime::address(address)).collect(),
        subject,
        time: now,
        text,
    })
}

/// Returns the addresses of `Destination`.
fn recipients(call: &Call) -> Vec<String> {
    let destination = call.input.get("Destination").unwrap_or(&Value::Null);
    let lists = ["ToAddresses", "CcAddresses", "BccAddresses"].map(|name| destination.get(name));
    let addresses = lists.into_iter().flatten().filter_map(Value::as_array).flatten();
    addresses.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn data(content: Option<&Value>) -> Option<String> {
    content?.get("Data")?.as_str().map(str::to_owned)
}

/// Checks an address; the errors do not quote it, because responses are logged.
fn check_address(address: &str) -> Result<(), AwsError> {
    let Some((local, domain)) = address.rsplit_once('@') else {
        return Err(bad("Missing final '@domain'"));
    };
    if !local.is_ascii() {
        return Err(bad("Local address contains non-ASCII characters"));
    }
    if local.is_empty() || local.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(bad("Local address contains control or whitespace"));
    }
    let is_label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && !label.starts_with('-')
    };
    if !domain.split('.').all(is_label) {
        return Err(bad("Domain contains illegal character"));
    }
    Ok(())
}

/// Checks a header of `Simple` (`MessageHeader` in the API reference).
fn check_header(header: &Value) -> Result<(), AwsError> {
    let member = |name: &str| header.get(name).and_then(Value::as_str).unwrap_or_default();
    let (name, value) = (member("Name"), member("Value"));
    let is_name = (1..=126).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    let is_value = (1..=870).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if is_name && is_value {
        Ok(())
    } else {
        Err(bad("Content.Simple.Headers has an invalid header."))
    }
}

fn bad(message: &str) -> AwsError {
    AwsError::new("BadRequestException", message)
}
