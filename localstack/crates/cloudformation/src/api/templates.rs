//! Templates, as they were given and as they are understood.

use serde_json::{Value, json};

use super::super::template::Template;
use super::super::{change_set, parameter, validate as check};
use super::{ObjectReader, input};
use endpoint_core::{AwsError, Call, Context};

pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let body = match call.text("ChangeSetName") {
        Some(name) => {
            change_set::existing(cx, &name, call.text("StackName").as_deref())?
                .goal
                .body
        }
        None => input::stack(cx, call)?.goal.body,
    };
    Ok(json!({"TemplateBody": body, "StagesAvailable": ["Original", "Processed"]}))
}

pub async fn validate(cx: &Context, call: &Call, objects: ObjectReader) -> Result<Value, AwsError> {
    let template = Template::parse(&input::body(cx, call, objects, None).await?)?;
    check::validate(cx, &template)?;
    let parameters: Vec<Value> = template
        .parameters
        .iter()
        .map(|(name, spec)| {
            json!({"ParameterKey": name, "DefaultValue": spec.get("Default"), "NoEcho": parameter::no_echo(spec), "Description": spec.get("Description")})
        })
        .collect();
    let needed: Vec<&str> = input::required_capabilities(&template).into_iter().collect();
    let reason = (!needed.is_empty()).then(|| iam_reason(&template));
    Ok(json!({
        "Parameters": parameters, "Description": template.description, "Capabilities": needed, "CapabilitiesReason": reason,
    }))
}

pub async fn summary(cx: &Context, call: &Call, objects: ObjectReader) -> Result<Value, AwsError> {
    let body = match call.text("StackName") {
        Some(_) => input::stack(cx, call)?.goal.body,
        None => input::body(cx, call, objects, None).await?,
    };
    let template = Template::parse(&body)?;
    let parameters: Vec<Value> = template
        .parameters
        .iter()
        .map(|(name, spec)| {
            let allowed = spec.get("AllowedValues").cloned().unwrap_or_else(|| json!([]));
            json!({
                "ParameterKey": name, "DefaultValue": spec.get("Default"), "ParameterType": parameter::kind(spec),
                "NoEcho": parameter::no_echo(spec), "Description": spec.get("Description"),
                "ParameterConstraints": {"AllowedValues": allowed},
            })
        })
        .collect();
    let mut types: Vec<&str> = template.resources.values().map(|s| s.kind.as_str()).collect();
    types.sort_unstable();
    types.dedup();
    let needed: Vec<&str> = input::required_capabilities(&template).into_iter().collect();
    let reason = (!needed.is_empty()).then(|| iam_reason(&template));
    Ok(json!({
        "Parameters": parameters, "Description": template.description, "Capabilities": needed, "CapabilitiesReason": reason,
        "ResourceTypes": types, "Version": "2010-09-09", "Metadata": template.metadata.as_ref().map(Value::to_string),
    }))
}

fn iam_reason(template: &Template) -> String {
    let kinds: Vec<&str> = template
        .resources
        .values()
        .map(|s| s.kind.as_str())
        .filter(|k| k.starts_with("AWS::IAM::"))
        .collect();
    format!("The following resource(s) require capabilities: [{}]", kinds.join(", "))
}
