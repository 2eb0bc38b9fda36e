//! VPC endpoints.

use serde_json::{Value, json};

use super::super::endpoint;
use super::super::error::invalid_parameter;
use super::input::unsupported;
use super::{Creation, update};
use crate::records::texts;
use crate::service::Call;
use crate::{AwsError, Context};

const ENDPOINT: &str = "AWS::EC2::VPCEndpoint";
/// Lists that `Add…` and `Remove…` change.
const LISTS: [&str; 3] = ["RouteTableIds", "SubnetIds", "SecurityGroupIds"];
const OPTIONS: [&str; 3] = ["IpAddressType", "DnsOptions", "PrivateDnsEnabled"];

pub async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut properties = json!({});
    if let Some(policy) = policy(call)? {
        properties["PolicyDocument"] = policy;
    }
    let mut call = call.clone();
    if let Some(input) = call.input.as_object_mut() {
        input.shift_remove("PolicyDocument");
    }
    let creation = Creation {
        resource_type: ENDPOINT,
        kind: "vpc-endpoint",
        members: &[
            "VpcEndpointType",
            "VpcId",
            "ServiceName",
            "RouteTableIds",
            "SubnetIds",
            "SecurityGroupIds",
            "IpAddressType",
            "DnsOptions",
            "PrivateDnsEnabled",
        ],
        defaults: &[],
        output: ("VpcEndpoint", "VpcEndpointId"),
        describe: endpoint::describe,
    };
    creation.create_with(cx, &call, properties).await
}

pub async fn modify(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    if let Some(value) = call.input.get("SubnetConfigurations") {
        return Err(unsupported("SubnetConfigurations", value));
    }
    let policy = policy(call)?;
    update(cx, call, ENDPOINT, "VpcEndpointId", |properties| {
        for property in LISTS {
            let removed = texts(call.input.get(format!("Remove{property}")));
            let mut list = texts(properties.get(property));
            list.retain(|id| !removed.contains(id));
            for added in texts(call.input.get(format!("Add{property}"))) {
                if !list.contains(&added) {
                    list.push(added);
                }
            }
            if !list.is_empty() || properties.contains_key(property) {
                properties.insert(property.into(), list.into());
            }
        }
        for option in OPTIONS {
            if let Some(value) = call.input.get(option) {
                properties.insert(option.into(), value.clone());
            }
        }
        if call.boolean("ResetPolicy") == Some(true) {
            properties.shift_remove("PolicyDocument");
        } else if let Some(policy) = policy {
            properties.insert("PolicyDocument".into(), policy);
        }
        Ok(())
    })
    .await?;
    Ok(json!({"Return": true}))
}

pub async fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut unsuccessful = Vec::new();
    for id in call.texts("VpcEndpointIds") {
        let error = match cx.delete_resource(ENDPOINT, &id).await {
            Ok(true) => continue,
            Ok(false) => super::not_found("VpcEndpointId", &id),
            Err(error) => error,
        };
        unsuccessful.push(json!({"ResourceId": id, "Error": {"Code": error.code, "Message": error.message}}));
    }
    Ok(json!({ "Unsuccessful": unsuccessful }))
}

fn policy(call: &Call) -> Result<Option<Value>, AwsError> {
    let Some(text) = call.text("PolicyDocument").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match serde_json::from_str::<Value>(&text) {
        Ok(policy) if policy.is_object() => Ok(Some(policy)),
        _ => Err(invalid_parameter("The policy document is not a JSON object.")),
    }
}
