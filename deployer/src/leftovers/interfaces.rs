//! Network interfaces: a forgotten one keeps its subnet and security groups from being deleted.

use aws_sdk_ec2::types::Filter;

use crate::error::{Error, Result};
use crate::target::Aws;

/// Every interface in a network with what it is for.
pub async fn all(aws: &Aws, vpc: &str) -> Result<Vec<(String, String)>> {
    let found = describe(aws, vpc, &[]).await?;
    Ok(found
        .into_iter()
        .map(|(id, status, what)| (id, format!("{status}: {what}")))
        .collect())
}

/// The interfaces in a network that nothing is attached to.
pub async fn unused(aws: &Aws, vpc: &str) -> Result<Vec<String>> {
    let available = [Filter::builder().name("status").values("available").build()];
    Ok(describe(aws, vpc, &available)
        .await?
        .into_iter()
        .map(|(id, ..)| id)
        .collect())
}

/// Deletes one; that it is gone meanwhile is no error, nor that AWS has taken it into use again.
pub async fn delete(aws: &Aws, id: &str) -> Result<()> {
    let request = aws.ec2.delete_network_interface().network_interface_id(id);
    match request.send().await.map_err(Error::from) {
        Err(error)
            if !matches!(
                error.code(),
                "InvalidNetworkInterfaceID.NotFound" | "InvalidParameterValue" | "InvalidNetworkInterface.InUse"
            ) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// Id, status and description.
async fn describe(aws: &Aws, vpc: &str, filters: &[Filter]) -> Result<Vec<(String, String, String)>> {
    let in_vpc = Filter::builder().name("vpc-id").values(vpc).build();
    let mut filters = filters.to_vec();
    filters.push(in_vpc);
    let request = aws.ec2.describe_network_interfaces().set_filters(Some(filters));
    let mut pages = request.into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(interface) = pages.next().await {
        let interface = interface?;
        let text = |value: Option<&str>| {
            value
                .filter(|text| !text.is_empty())
                .unwrap_or("no description")
                .to_owned()
        };
        found.push((
            interface.network_interface_id().unwrap_or_default().to_owned(),
            interface.status().map(|s| s.as_str()).unwrap_or_default().to_owned(),
            text(interface.description()),
        ));
    }
    Ok(found)
}
