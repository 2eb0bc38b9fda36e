//! The operations that create, change and delete groups, and those on tags.

use serde_json::{Value, json};

use super::describe;
use super::groups::{ParameterGroup, SubnetGroup};
use super::model::{self, INSTANCES, PARAMETER_GROUPS, SNAPSHOTS, SUBNET_GROUPS};
use super::validation::invalid;
use crate::records::{Record, RecordType, Records, WriteLock, tags_of};
use crate::{AwsError, Call, Context};

pub async fn create_subnet_group(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    check_subnets(cx, call).await?;
    let created = cx.create_resource(SubnetGroup::TYPE, call.input.clone()).await?;
    let group = model::subnet_group(cx, &created.physical_id)?;
    Ok(json!({"DBSubnetGroup": describe::subnet_group(cx, &group).await?}))
}

pub async fn modify_subnet_group(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let group = model::subnet_group(cx, &call.required("DBSubnetGroupName")?)?;
    check_subnets(cx, call).await?;
    let update = cx.update_resource(SubnetGroup::TYPE, &group.id, |properties| {
        for member in ["SubnetIds", "DBSubnetGroupDescription"] {
            if let Some(value) = call.input.get(member) {
                properties.insert(member.into(), value.clone());
            }
        }
        Ok(())
    });
    update.await?;
    let group = model::subnet_group(cx, &group.id)?;
    Ok(json!({"DBSubnetGroup": describe::subnet_group(cx, &group).await?}))
}

/// Checks that the subnets exist, in one VPC and in two zones (RDS API Reference, `CreateDBSubnetGroup`).
async fn check_subnets(cx: &Context, call: &Call) -> Result<(), AwsError> {
    let found = cx
        .call("ec2", "DescribeSubnets", json!({"SubnetIds": call.texts("SubnetIds")}))
        .await;
    let found = found.map_err(|error| AwsError::new("InvalidSubnet", error.message))?;
    let distinct = |member: &str| {
        let subnets = found["Subnets"].as_array().into_iter().flatten();
        let mut values: Vec<&str> = subnets.filter_map(|subnet| subnet[member].as_str()).collect();
        values.sort_unstable();
        values.dedup();
        values.len()
    };
    if distinct("VpcId") > 1 {
        return Err(AwsError::new("InvalidSubnet", "The subnets are in more than one VPC."));
    }
    if distinct("AvailabilityZone") < 2 {
        let message = "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Add subnets to \
                       cover at least 2 AZs.";
        return Err(AwsError::new("DBSubnetGroupDoesNotCoverEnoughAZs", message));
    }
    Ok(())
}

pub async fn delete_subnet_group(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let group = model::subnet_group(cx, &call.required("DBSubnetGroupName")?)?;
    cx.delete_resource(SubnetGroup::TYPE, &group.id).await?;
    Ok(json!({}))
}

pub async fn create_parameter_group(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let properties = json!({
        "DBParameterGroupName": call.required("DBParameterGroupName")?, "Description": call.required("Description")?,
        "Family": call.required("DBParameterGroupFamily")?, "Tags": call.list("Tags"),
    });
    let created = cx.create_resource(ParameterGroup::TYPE, properties).await?;
    let group = PARAMETER_GROUPS.get(cx, &created.physical_id)?;
    Ok(json!({"DBParameterGroup": group.map(|group| describe::parameter_group(cx, &group))}))
}

/// Succeeds for a group that does not exist, as AWS does.
pub async fn delete_parameter_group(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("DBParameterGroupName")?.to_lowercase();
    cx.delete_resource(ParameterGroup::TYPE, &name).await?;
    Ok(json!({}))
}

/// Returns the record with an ARN, and its collection.
///
/// # Errors
/// `InvalidParameterValue` for another ARN, and the code of the kind for a record that does not exist.
fn tagged(cx: &Context, arn: &str) -> Result<(Records, Record), AwsError> {
    let mut parts = arn.rsplitn(3, ':');
    let (name, resource) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (records, code) = match resource {
        "db" => (INSTANCES, "DBInstanceNotFound"),
        "snapshot" => (SNAPSHOTS, "DBSnapshotNotFound"),
        "subgrp" => (SUBNET_GROUPS, "DBSubnetGroupNotFoundFault"),
        "pg" => (PARAMETER_GROUPS, "DBParameterGroupNotFound"),
        _ => {
            return Err(invalid(format!(
                "The ARN {arn} is not that of an RDS resource of this endpoint."
            )));
        }
    };
    let missing = || AwsError::new(code, format!("{arn} not found")).with_status(404);
    Ok((records, records.get(cx, name)?.ok_or_else(missing)?))
}

pub fn tags(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (_, record) = tagged(cx, &call.required("ResourceName")?)?;
    Ok(json!({"TagList": record.tag_list()}))
}

pub fn add_tags(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let tags = tags_of(&call.list("Tags").into());
    if let Some(key) = tags.keys().find(|key| key.to_lowercase().starts_with("aws:")) {
        return Err(invalid(format!("Tag keys starting with 'aws:' are reserved: {key}")));
    }
    change_tags(cx, call, |record| {
        record.inherited.retain(|key| !tags.contains_key(key));
        record.tags.extend(tags.clone());
    })
}

pub fn remove_tags(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let keys = call.texts("TagKeys");
    change_tags(cx, call, |record| record.tags.retain(|key, _| !keys.contains(key)))
}

fn change_tags(cx: &Context, call: &Call, apply: impl FnOnce(&mut Record)) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let (records, mut record) = tagged(cx, &call.required("ResourceName")?)?;
    apply(&mut record);
    records.put(cx, &record)?;
    Ok(json!({}))
}
