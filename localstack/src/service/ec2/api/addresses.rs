//! Elastic IP addresses.

use serde_json::{Value, json};

use super::super::model;
use super::input;
use crate::service::Call;
use crate::{AwsError, Context};

const ADDRESS: &str = "AWS::EC2::EIP";

pub async fn allocate(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let defaults = [
        ("NetworkBorderGroup", cx.region()),
        ("PublicIpv4Pool", "amazon"),
        ("Domain", "vpc"),
    ];
    let properties = input::properties(call, "elastic-ip", &[], &defaults)?;
    let created = cx.create_resource(ADDRESS, properties.into()).await?;
    Ok(json!({
        "PublicIp": created.physical_id, "AllocationId": created.attributes.get("AllocationId"), "Domain": "vpc",
        "PublicIpv4Pool": "amazon", "NetworkBorderGroup": cx.region(),
    }))
}

pub async fn release(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    input::properties(call, "", &["AllocationId"], &[("NetworkBorderGroup", cx.region())])?;
    let Some(allocation) = call.text("AllocationId") else {
        let reason = "The request must contain the parameter AllocationId";
        return Err(AwsError::new("MissingParameter", reason));
    };
    let address = model::address(cx, &allocation)?;
    cx.delete_resource(ADDRESS, &address.id).await?;
    Ok(json!({}))
}
