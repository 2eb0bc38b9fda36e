//! Security groups, subnets, gateways and endpoints in the VPC of the environment.

use aws::{Result, Session, ec2};

use super::{Owned, UnmanagedResource};

/// Returns the unmanaged ones. A resource of another stack may be in the VPC, too.
pub async fn find(aws: &Session, owned: &Owned) -> Result<Vec<UnmanagedResource>> {
    let vpcs = owned.all("AWS::EC2::VPC");
    if vpcs.is_empty() {
        return Ok(Vec::new());
    }
    let existing = ec2::network_resources(aws, vpcs).await?.into_iter();
    let unmanaged = existing.filter(|resource| !owned.has(&resource.id) && resource.stack.is_none());
    let found = unmanaged.map(|resource| UnmanagedResource {
        resource_type: resource.resource_type,
        id: resource.id,
        description: resource.description,
    });
    Ok(found.collect())
}
