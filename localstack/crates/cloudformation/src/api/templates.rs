//! Operations on templates.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::input;
use crate::object_reader::ObjectReader;
use crate::stack::Stack;
use crate::template::Template;
use crate::{change_set, parameter, transform, validate as validation};
use endpoint_core::{AwsError, Call, Context};

/// Handles `GetTemplate`.
pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let definition = match call.text("ChangeSetName") {
        None if call.text("StackName").is_none() => {
            let message = "StackName is required if ChangeSetName is not specified.";
            return Err(AwsError::validation(message));
        }
        Some(name) if !name.starts_with("arn:") && call.text("StackName").is_none() => {
            return Err(AwsError::validation("StackName is a required parameter."));
        }
        Some(name) => change_set::existing(cx, &name, call.text("StackName").as_deref())?.definition,
        None => input::stack(cx, call)?.definition,
    };
    let body = match call.text("TemplateStage").as_deref() {
        Some("Processed") => definition.template_text().to_owned(),
        _ => definition.template_body,
    };
    Ok(json!({"TemplateBody": body, "StagesAvailable": ["Original", "Processed"]}))
}

/// Handles `ValidateTemplate`.
pub async fn validate(cx: &Context, call: &Call, objects: ObjectReader) -> Result<Value, AwsError> {
    let body = input::template_body(cx, call, objects, None).await?;
    let processed = transform::process(cx, call, objects, &Stack::default(), &body).await?;
    let template = processed.template;
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
        "Parameters": parameters, "Description": template.description, "CapabilitiesReason": reason,
        "Capabilities": input::unless_empty(json!(needed)),
        "DeclaredTransforms": input::unless_empty(json!(processed.transforms)),
    }))
}

/// Handles `GetTemplateSummary`.
pub async fn summary(cx: &Context, call: &Call, objects: ObjectReader) -> Result<Value, AwsError> {
    let mut stack = Stack::default();
    let body = match call.text("StackName") {
        Some(_) => {
            stack = input::stack(cx, call)?;
            if stack.status == "REVIEW_IN_PROGRESS" {
                let message = "GetTemplateSummary cannot be called on REVIEW_IN_PROGRESS stacks.";
                return Err(AwsError::validation(message));
            }
            stack.definition.template_body.clone()
        }
        None => input::template_body(cx, call, objects, None).await?,
    };
    let (template, transforms) = if stack.id.is_empty() {
        let processed = transform::process(cx, call, objects, &stack, &body).await?;
        (processed.template, processed.transforms)
    } else {
        (
            stack.definition.template()?,
            transform::names(&Template::sections(&body)?)?,
        )
    };
    let parameters: Vec<Value> = template
        .parameters
        .iter()
        .map(|(name, spec)| {
            let constraints = spec.get("AllowedValues").map_or_else(|| json!({}), |allowed| json!({"AllowedValues": allowed}));
            json!({
                "ParameterKey": name, "DefaultValue": spec.get("Default"), "ParameterType": parameter::parameter_type(spec),
                "NoEcho": parameter::no_echo(spec), "Description": spec.get("Description"),
                "ParameterConstraints": constraints,
            })
        })
        .collect();
    let mut resources: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, resource) in &template.resources {
        resources.entry(&resource.resource_type).or_default().push(id);
    }
    // Without `ResourceIdentifiers`: the endpoint does not import resources.
    let identifiers = resources.iter();
    let identifiers: Vec<Value> = identifiers
        .map(|(resource_type, ids)| json!({"ResourceType": resource_type, "LogicalResourceIds": ids}))
        .collect();
    let types: Vec<&&str> = resources.keys().collect();
    let needed: Vec<&str> = input::required_capabilities(&template).into_iter().collect();
    let reason = (!needed.is_empty()).then(|| iam_reason(&template));
    Ok(json!({
        "Parameters": parameters, "Description": template.description, "CapabilitiesReason": reason,
        "Capabilities": input::unless_empty(json!(needed)), "ResourceTypes": types, "ResourceIdentifierSummaries": identifiers, "Version": "2010-09-09", "Metadata": template.metadata.as_ref().map(Value::to_string),
        "DeclaredTransforms": input::unless_empty(json!(transforms)),
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
