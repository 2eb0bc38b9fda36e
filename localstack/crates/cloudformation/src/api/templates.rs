//! Operations on templates.

use serde_json::{Value, json};

use super::{ObjectReader, input};
use crate::template::Template;
use crate::{change_set, parameter, validate as validation};
use endpoint_core::{AwsError, Call, Context};

/// Handles `GetTemplate`.
pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let body = match call.text("ChangeSetName") {
        Some(name) => {
            change_set::existing(cx, &name, call.text("StackName").as_deref())?
                .definition
                .template_body
        }
        None => input::stack(cx, call)?.definition.template_body,
    };
    Ok(json!({"TemplateBody": body, "StagesAvailable": ["Original", "Processed"]}))
}

/// Handles `ValidateTemplate`.
pub async fn validate(cx: &Context, call: &Call, objects: ObjectReader) -> Result<Value, AwsError> {
    let template = Template::parse(&input::template_body(cx, call, objects, None).await?)?;
    validation::validate(cx, &template)?;
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

/// Handles `GetTemplateSummary`.
pub async fn summary(cx: &Context, call: &Call, objects: ObjectReader) -> Result<Value, AwsError> {
    let body = match call.text("StackName") {
        Some(_) => input::stack(cx, call)?.definition.template_body,
        None => input::template_body(cx, call, objects, None).await?,
    };
    let template = Template::parse(&body)?;
    let parameters: Vec<Value> = template
        .parameters
        .iter()
        .map(|(name, spec)| {
            let allowed = spec.get("AllowedValues").cloned().unwrap_or_else(|| json!([]));
            json!({
                "ParameterKey": name, "DefaultValue": spec.get("Default"), "ParameterType": parameter::parameter_type(spec),
                "NoEcho": parameter::no_echo(spec), "Description": spec.get("Description"),
                "ParameterConstraints": {"AllowedValues": allowed},
            })
        })
        .collect();
    let mut types: Vec<&str> = template.resources.values().map(|r| r.resource_type.as_str()).collect();
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
    let resource_types: Vec<&str> = template
        .resources
        .values()
        .map(|r| r.resource_type.as_str())
        .filter(|name| name.starts_with("AWS::IAM::"))
        .collect();
    format!(
        "The following resource(s) require capabilities: [{}]",
        resource_types.join(", ")
    )
}
