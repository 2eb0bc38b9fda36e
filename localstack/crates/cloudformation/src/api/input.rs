//! Inputs that several operations have.

use regex::Regex;
use serde_json::{Value, json};

use crate::object_reader::ObjectReader;
use crate::parameter;
use crate::stack::{self, Stack, StackDefinition};
use crate::template::Template;
use crate::{request_values, transform, validate};
use endpoint_core::wire::lower_first;
use endpoint_core::{AwsError, Call, Context};

/// Maximum size of a template in a request, in bytes.
const MAX_TEMPLATE_BODY: usize = 51_200;
/// Maximum size of a template in S3, in bytes ("1 MB" in the quotas; this is the number in AWS's error).
const MAX_TEMPLATE_OBJECT: usize = 1_000_000;

/// The resource type of nested stacks.
pub const NESTED_STACK: &str = "AWS::CloudFormation::Stack";

/// Returns the stack with the name or id in `StackName`.
pub fn stack(cx: &Context, call: &Call) -> Result<Stack, AwsError> {
    stack::existing(cx, &call.required("StackName")?)
}

/// Returns the text of the template: from the request, from S3, or that of the stack with `UsePreviousTemplate`.
pub async fn template_body(
    cx: &Context,
    call: &Call,
    objects: ObjectReader,
    previous: Option<&Stack>,
) -> Result<String, AwsError> {
    if call.boolean("UsePreviousTemplate") == Some(true) {
        let previous = previous.filter(|s| !s.definition.template_body.is_empty());
        return previous
            .map(|s| s.definition.template_body.clone())
            .ok_or_else(|| AwsError::validation("There is no previous template to use."));
    }
    let text = |member: &str| call.text(member).filter(|text| !text.is_empty());
    let body = match (text("TemplateBody"), text("TemplateURL")) {
        (Some(body), None) => body,
        (None, Some(url)) => return stored_template(cx, objects, &url).await,
        _ => {
            let message = "Either Template URL or Template Body must be specified.";
            return Err(AwsError::validation(message));
        }
    };
    if body.len() > MAX_TEMPLATE_BODY {
        return Err(AwsError::validation(format!(
            "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to {MAX_TEMPLATE_BODY}"
        )));
    }
    Ok(body)
}

/// Returns the template that `TemplateURL` names, an object in S3.
async fn stored_template(cx: &Context, read: ObjectReader, url: &str) -> Result<String, AwsError> {
    if let Some(path) = url.strip_prefix("s3://") {
        let domain = path.split('/').next().unwrap_or_default();
        return Err(AwsError::validation(format!(
            "S3 error: Domain name specified in {domain} is not a valid S3 domain"
        )));
    }
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
    if bytes.len() > MAX_TEMPLATE_OBJECT {
        let message = format!("Template may not exceed {MAX_TEMPLATE_OBJECT} bytes in size.");
        return Err(AwsError::validation(message));
    }
    String::from_utf8(bytes).map_err(|_| AwsError::validation("Template format error: the template is not UTF-8 text."))
}

/// Returns the template and the definition of a request, validated. A new stack has no previous values.
pub async fn definition(
    cx: &Context,
    call: &Call,
    objects: ObjectReader,
    stack: &Stack,
) -> Result<(Template, StackDefinition), AwsError> {
    let template_body = template_body(cx, call, objects, Some(stack)).await?;
    let processed = transform::process(cx, call, objects, stack, &template_body).await?;
    let template = processed.template;
    check_options(call, &template)?;
    validate::validate(cx, &template)?;
    let parameters = parameter::gather(&template, &call.list("Parameters"), &stack.definition.parameters)?;
    let parameter_values = parameter::values(cx, &template, &parameters).await?;
    let tags = match call.input.get("Tags") {
        None => stack.definition.tags.clone(),
        Some(_) => tags(&call.list("Tags")),
    };
    check_capabilities(call, &template, &processed.transforms)?;
    request_values::check(cx, stack, &template, &parameter_values).await?;
    Ok((
        template,
        StackDefinition {
            template_body,
            processed_template: processed.text,
            parameters,
            parameter_values,
            tags,
        },
    ))
}

/// Returns the service role of a request. The endpoint checks no permissions, but the role must exist and trust CloudFormation.
///
/// # Errors
/// `ValidationError` for any other role; the wording is CloudFormation's.
pub async fn role(cx: &Context, call: &Call) -> Result<Option<String>, AwsError> {
    let Some(arn) = call.text("RoleARN") else {
        return Ok(None);
    };
    let refused = || AwsError::validation(format!("Role {arn} is invalid or cannot be assumed"));
    let name = arn
        .rsplit('/')
        .next()
        .filter(|_| arn.contains(":role/"))
        .ok_or_else(refused)?;
    let found = cx
        .call("iam", "GetRole", json!({"RoleName": name}))
        .await
        .map_err(|_| refused())?;
    // The document is URL-encoded (API reference, GetRole).
    let trust = found["Role"]["AssumeRolePolicyDocument"]
        .to_string()
        .replace("%2E", ".");
    let is_trusted = found["Role"]["Arn"] == *arn && trust.contains("cloudformation.amazonaws.com");
    if is_trusted { Ok(Some(arn)) } else { Err(refused()) }
}

/// Refuses the options that have no effect here, and applies `ResourceTypes`.
fn check_options(call: &Call, template: &Template) -> Result<(), AwsError> {
    const UNSUPPORTED: &[&str] = &[
        "NotificationARNs",
        "ResourcesToImport",
        "RollbackConfiguration",
        "StackPolicyBody",
        "StackPolicyDuringUpdateBody",
        "StackPolicyDuringUpdateURL",
        "StackPolicyURL",
    ];
    let is_given = |option: &str| match call.input.get(option) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty() && text != "false",
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(members)) => !members.is_empty(),
        Some(_) => true,
    };
    if let Some(option) = UNSUPPORTED.iter().find(|option| is_given(option)) {
        let message = format!("{option} is not supported by the embedded endpoint.");
        return Err(AwsError::validation(message));
    }
    let permitted = call.texts("ResourceTypes");
    let is_permitted = |name: &str| {
        permitted.iter().any(|one| match one.strip_suffix("::*") {
            Some(prefix) => name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with("::")),
            None => name == one,
        })
    };
    let mut types = template.resources.values().map(|r| r.resource_type.as_str());
    match types.find(|name| !permitted.is_empty() && !is_permitted(name)) {
        Some(name) => Err(AwsError::validation(format!(
            "Resource type {name} is not allowed by parameter ResourceTypes [{}]",
            permitted.join(", ")
        ))),
        None => Ok(()),
    }
}

/// Returns a list, or null for an empty one, which AWS leaves out of some answers.
pub fn unless_empty(list: Value) -> Value {
    if list.as_array().is_some_and(Vec::is_empty) {
        return Value::Null;
    }
    list
}

/// Returns tags in the form of the API.
pub fn tag_list(tags: &[(String, String)]) -> Value {
    tags.iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect()
}

fn tags(list: &[Value]) -> Vec<(String, String)> {
    let text = |v: &Value, name: &str| v.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    list.iter().map(|tag| (text(tag, "Key"), text(tag, "Value"))).collect()
}

/// Checks that the caller acknowledged IAM resources; named ones need another capability. Transforms need one where no change set shows
/// their result first (API reference, `CreateStack`, Capabilities).
fn check_capabilities(call: &Call, template: &Template, transforms: &[String]) -> Result<(), AwsError> {
    let expands = !transforms.is_empty() && call.operation != "CreateChangeSet";
    let required = required_capabilities(template)
        .into_iter()
        .chain(expands.then_some("CAPABILITY_AUTO_EXPAND"));
    let acknowledged = call.texts("Capabilities");
    let suffices = |needed: &str| {
        let includes_needed =
            |one: &String| one == needed || one == "CAPABILITY_NAMED_IAM" && needed == "CAPABILITY_IAM";
        acknowledged.iter().any(includes_needed)
    };
    let lacking: Vec<&str> = required.filter(|needed| !suffices(needed)).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let message = format!("Requires capabilities : [{}]", lacking.join(", "));
    Err(AwsError::new("InsufficientCapabilitiesException", message))
}

/// Returns the capability that a template requires.
pub fn required_capabilities(template: &Template) -> Option<&'static str> {
    const NAMED: &[(&str, &str)] = &[
        ("AWS::IAM::Role", "RoleName"),
        ("AWS::IAM::ManagedPolicy", "ManagedPolicyName"),
        ("AWS::IAM::User", "UserName"),
        ("AWS::IAM::Group", "GroupName"),
        ("AWS::IAM::InstanceProfile", "InstanceProfileName"),
    ];
    let mut iam_resources = template
        .resources
        .values()
        .filter(|r| r.resource_type.starts_with("AWS::IAM::") && r.resource_type != "AWS::IAM::ServiceLinkedRole")
        .peekable();
    iam_resources.peek()?;
    let is_named = iam_resources.any(|r| {
        NAMED
            .iter()
            .any(|(resource_type, name)| r.resource_type == *resource_type && r.properties.contains_key(*name))
    });
    Some(if is_named {
        "CAPABILITY_NAMED_IAM"
    } else {
        "CAPABILITY_IAM"
    })
}

/// Returns the name of a new stack or change set.
///
/// # Errors
/// `ValidationError` for a name that CloudFormation does not permit.
pub fn name(call: &Call, member: &str) -> Result<String, AwsError> {
    let name = call.required(member)?;
    let valid = Regex::new("^[a-zA-Z][-a-zA-Z0-9]{0,127}$").map_err(|e| AwsError::internal(e.to_string()))?;
    if valid.is_match(&name) {
        return Ok(name);
    }
    let member = lower_first(member);
    Err(AwsError::validation(format!(
        "1 validation error detected: Value '{name}' at '{member}' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
    )))
}

/// Returns one page of a list, and the token of the next page.
///
/// # Errors
/// `ValidationError` for an invalid token.
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
