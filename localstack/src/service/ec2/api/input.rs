//! Translation of inputs to properties.

use serde_json::{Map, Value, json};

use super::super::error::invalid_parameter;
use crate::records::{Record, Records, scalar};
use crate::service::Call;
use crate::{AwsError, Context, Initiated, KeyedLocks};

/// The resources that a `ClientToken` has created.
const TOKENS: Records = Records("ec2.client-tokens");

/// Marks the locks of client tokens: of two calls with the same token, the second waits for what the first creates.
struct ClientToken;

/// Returns the members of a call that are properties of the same name, with the tags of `TagSpecifications` for this kind of resource.
///
/// # Errors
/// `InvalidParameterValue` for another member: this endpoint would ignore it.
pub fn properties(
    call: &Call,
    kind: &str,
    members: &[&str],
    defaults: &[(&str, &str)],
) -> Result<Map<String, Value>, AwsError> {
    let mut properties = Map::new();
    for (name, value) in call.input.as_object().into_iter().flatten() {
        let text = scalar(value);
        let is_default = defaults
            .iter()
            .any(|(member, default)| member == name && text.as_deref() == Some(default));
        if name == "TagSpecifications" {
            properties.insert("Tags".into(), tags(call, kind)?.into());
        } else if members.contains(&name.as_str()) {
            properties.insert(name.clone(), value.clone());
        } else if !is_default && !matches!(name.as_str(), "DryRun" | "ClientToken") {
            return Err(unsupported(name, value));
        }
    }
    Ok(properties)
}

/// Creates the error for a member that the endpoint cannot act on.
pub fn unsupported(name: &str, value: &Value) -> AwsError {
    let value = scalar(value).unwrap_or_else(|| value.to_string());
    invalid_parameter(format!(
        "Value ({value}) for parameter {name} is invalid. The embedded endpoint does not support it."
    ))
}

/// Returns the tags of `TagSpecifications`.
///
/// # Errors
/// `InvalidParameterValue` for tags of another kind of resource (EC2 User Guide, "Tag your Amazon EC2 resources").
pub fn tags(call: &Call, kind: &str) -> Result<Vec<Value>, AwsError> {
    let mut tags = Vec::new();
    for specification in call.list("TagSpecifications") {
        let given = specification["ResourceType"].as_str().unwrap_or_default();
        if given != kind {
            let reason = format!("'{given}' is not a valid taggable resource type for this operation.");
            return Err(invalid_parameter(reason));
        }
        tags.extend(specification["Tags"].as_array().cloned().unwrap_or_default());
    }
    super::tags::check(&tags)?;
    Ok(tags)
}

/// Creates a resource, or returns the one that an earlier call with the same `ClientToken` created (EC2 API Reference, "Ensuring
/// idempotency").
///
/// # Errors
/// The error of the resource type, and `IdempotentParameterMismatch` for other properties with the same token.
pub async fn create_once(
    cx: &Context,
    call: &Call,
    resource_type: &str,
    properties: Value,
) -> Result<String, AwsError> {
    let Some(token) = call.text("ClientToken").filter(|token| !token.is_empty()) else {
        return Ok(cx.create_resource(resource_type, properties).await?.physical_id);
    };
    let id = format!("{} {token}", call.operation);
    let locks = cx.extension::<KeyedLocks<ClientToken>>();
    let _guard = locks.lock(&id).await;
    if let Some(before) = TOKENS.get(cx, &id)? {
        if before.properties.get("Properties") == Some(&properties) {
            return Ok(before.text("Id").unwrap_or_default());
        }
        return Err(AwsError::new(
            "IdempotentParameterMismatch",
            "The request uses the same client token as a previous, but non-identical request.",
        ));
    }
    let (store, given) = (cx.store().clone(), properties.clone());
    let recorded = Initiated::new(move |physical_id| {
        let record = Record::from_properties(&id, json!({"Id": physical_id, "Properties": given}));
        store.put(TOKENS.0, &id, &record)
    });
    let created = cx.create_recorded_resource(resource_type, properties, recorded).await?;
    Ok(created.physical_id)
}
