//! What several operations are given.

use regex::Regex;
use serde_json::Value;

use super::super::parameter::{self, Given};
use super::super::stack::{self, Goal, Stack};
use super::super::template::Template;
use super::super::validate;
use super::ObjectReader;
use endpoint_core::{AwsError, Call, Context};

/// The largest template that a request may carry, in bytes.
const LARGEST_TEMPLATE: usize = 51_200;
/// The largest one that S3 may hold, in bytes ("1 MB" in the quotas; the number is the one of AWS's own error).
const LARGEST_OBJECT: usize = 1_000_000;

/// The stack that `StackName` means: it must exist.
pub fn stack(cx: &Context, call: &Call) -> Result<Stack, AwsError> {
    stack::existing(cx, &call.required("StackName")?)
}

/// The template's text: given, from S3, or the stack's own with `UsePreviousTemplate`.
pub async fn body(
    cx: &Context,
    call: &Call,
    objects: ObjectReader,
    previous: Option<&Stack>,
) -> Result<String, AwsError> {
    if call.boolean("UsePreviousTemplate") == Some(true) {
        let previous = previous.filter(|s| !s.goal.body.is_empty());
        return previous
            .map(|s| s.goal.body.clone())
            .ok_or_else(|| AwsError::validation("There is no previous template to use."));
    }
    let given = |member: &str| call.text(member).filter(|text| !text.is_empty());
    let body = match (given("TemplateBody"), given("TemplateURL")) {
        (Some(body), None) => body,
        (None, Some(url)) => return stored(cx, objects, &url).await,
        _ => {
            let words = "Either Template URL or Template Body must be specified.";
            return Err(AwsError::validation(words));
        }
    };
    if body.len() > LARGEST_TEMPLATE {
        return Err(AwsError::validation(format!(
            "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to {LARGEST_TEMPLATE}"
        )));
    }
    Ok(body)
}

/// The template that `TemplateURL` names: an object of S3 here, whether its URL is this endpoint's or AWS's own.
async fn stored(cx: &Context, read: ObjectReader, url: &str) -> Result<String, AwsError> {
    let (cx, url) = (cx.clone(), url.to_owned());
    let read = tokio::task::spawn_blocking(move || read(&cx, &url));
    let read = read.await.map_err(|error| AwsError::internal(error.to_string()))?;
    let object = read.map_err(|error| match error.status {
        500 => error,
        _ => AwsError::validation(format!(
            "S3 error: {}\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html",
            error.message
        )),
    })?;
    let bytes = object.ok_or_else(|| AwsError::validation("TemplateURL must be a supported URL."))?;
    if bytes.len() > LARGEST_OBJECT {
        let words = format!("Template may not exceed {LARGEST_OBJECT} bytes in size.");
        return Err(AwsError::validation(words));
    }
    String::from_utf8(bytes)
        .map_err(|_| AwsError::validation("Template format error: the template is no text in UTF-8."))
}

/// Template, parameters and tags of a request, checked against each other.
pub async fn goal(
    cx: &Context,
    call: &Call,
    objects: ObjectReader,
    previous: Option<&Stack>,
) -> Result<(Template, Goal), AwsError> {
    let body = body(cx, call, objects, previous).await?;
    let template = Template::parse(&body)?;
    validate::validate(cx, &template)?;
    let before: Option<&Given> = previous.map(|s| &s.goal.given);
    let given = parameter::gather(&template, &call.list("Parameters"), before)?;
    let values = parameter::values(cx, &template, &given).await?;
    let tags = match call.input.get("Tags") {
        None => previous.map(|s| s.goal.tags.clone()).unwrap_or_default(),
        Some(_) => tags(&call.list("Tags")),
    };
    capabilities(call, &template)?;
    Ok((
        template,
        Goal {
            body,
            given,
            values,
            tags,
        },
    ))
}

fn tags(list: &[Value]) -> Vec<(String, String)> {
    let text = |v: &Value, name: &str| v.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    list.iter().map(|tag| (text(tag, "Key"), text(tag, "Value"))).collect()
}

/// IAM resources need the caller's word; those with names of their own need the stronger one.
fn capabilities(call: &Call, template: &Template) -> Result<(), AwsError> {
    let required = required_capabilities(template);
    let given = call.texts("Capabilities");
    let suffices = |needed: &str| given.iter().any(|g| g == needed || g == "CAPABILITY_NAMED_IAM");
    match required {
        Some(needed) if !suffices(needed) => Err(AwsError::new(
            "InsufficientCapabilitiesException",
            format!("Requires capabilities : [{needed}]"),
        )),
        _ => Ok(()),
    }
}

/// The capability that a template needs, if any.
pub fn required_capabilities(template: &Template) -> Option<&'static str> {
    const NAMED: &[(&str, &str)] = &[
        ("AWS::IAM::Role", "RoleName"),
        ("AWS::IAM::ManagedPolicy", "ManagedPolicyName"),
        ("AWS::IAM::User", "UserName"),
        ("AWS::IAM::Group", "GroupName"),
        ("AWS::IAM::InstanceProfile", "InstanceProfileName"),
    ];
    let mut of_iam = template
        .resources
        .values()
        .filter(|s| s.kind.starts_with("AWS::IAM::") && s.kind != "AWS::IAM::ServiceLinkedRole")
        .peekable();
    of_iam.peek()?;
    let is_named = of_iam.any(|s| {
        NAMED
            .iter()
            .any(|(kind, name)| s.kind == *kind && s.properties.contains_key(*name))
    });
    Some(if is_named {
        "CAPABILITY_NAMED_IAM"
    } else {
        "CAPABILITY_IAM"
    })
}

/// A new stack's name, in the form that CloudFormation takes.
pub fn name(call: &Call, member: &str) -> Result<String, AwsError> {
    let name = call.required(member)?;
    let form = Regex::new("^[a-zA-Z][-a-zA-Z0-9]{0,127}$").map_err(|e| AwsError::internal(e.to_string()))?;
    if form.is_match(&name) {
        return Ok(name);
    }
    let mut letters = member.chars();
    let shown: String = letters
        .next()
        .map(|c| c.to_ascii_lowercase())
        .into_iter()
        .chain(letters)
        .collect();
    Err(AwsError::validation(format!(
        "1 validation error detected: Value '{name}' at '{shown}' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
    )))
}

/// A page of a list, and the token of the next.
pub fn page(items: Vec<Value>, call: &Call, size: usize) -> Result<(Vec<Value>, Option<String>), AwsError> {
    let from: usize = match call.text("NextToken") {
        None => 0,
        Some(token) => token
            .parse()
            .map_err(|_| AwsError::validation("The NextToken is not valid."))?,
    };
    let total = items.len();
    let page: Vec<Value> = items.into_iter().skip(from).take(size).collect();
    let end = from + page.len();
    Ok((page, (end < total).then(|| end.to_string())))
}
