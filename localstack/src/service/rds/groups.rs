//! `AWS::RDS::DBSubnetGroup` and `AWS::RDS::DBParameterGroup`.

use serde_json::Value;

use super::model::{INSTANCES, PARAMETER_GROUPS, SUBNET_GROUPS};
use super::server;
use crate::records::{Record, RecordType, Records, texts};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub struct SubnetGroup;

impl RecordType for SubnetGroup {
    const TYPE: &'static str = "AWS::RDS::DBSubnetGroup";
    const RECORDS: Records = SUBNET_GROUPS;

    fn schema() -> Schema {
        Schema {
            properties: &["DBSubnetGroupDescription", "DBSubnetGroupName", "SubnetIds", "Tags"],
            required: &["DBSubnetGroupDescription", "SubnetIds"],
            create_only: &["DBSubnetGroupName"],
            attributes: &[],
            write_only: &[],
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let name = name_of(desired, "DBSubnetGroupName", 255);
        if Self::RECORDS.get(cx, &name)?.is_some() {
            let message = format!("The DB subnet group '{name}' already exists.");
            return Err(AwsError::new("DBSubnetGroupAlreadyExists", message));
        }
        if texts(desired.properties.get("SubnetIds")).len() < 2 {
            return Err(AwsError::new(
                "DBSubnetGroupDoesNotCoverEnoughAZs",
                "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Add subnets to cover at \
                 least 2 AZs.",
            ));
        }
        Ok(Record::new(name, desired))
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        match INSTANCES.find(cx, |instance| instance.has("DBSubnetGroupName", &record.id))? {
            Some(user) => Err(AwsError::new(
                "InvalidDBSubnetGroupStateFault",
                format!(
                    "Cannot delete the subnet group '{}' because at least one database instance: {} is still using it.",
                    record.id, user.id
                ),
            )),
            None => Ok(()),
        }
    }
}

/// A group of parameters, which become settings of the servers of its instances where the installed PostgreSQL has
/// them.
pub struct ParameterGroup;

impl RecordType for ParameterGroup {
    const TYPE: &'static str = "AWS::RDS::DBParameterGroup";
    const RECORDS: Records = PARAMETER_GROUPS;

    fn schema() -> Schema {
        Schema {
            properties: &["DBParameterGroupName", "Description", "Family", "Parameters", "Tags"],
            required: &["Description", "Family"],
            create_only: &["DBParameterGroupName", "Description", "Family"],
            attributes: &["DBParameterGroupName"],
            write_only: &[],
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let name = name_of(desired, "DBParameterGroupName", 255);
        if Self::RECORDS.get(cx, &name)?.is_some() {
            let message = format!("Parameter group {name} already exists");
            return Err(AwsError::new("DBParameterGroupAlreadyExists", message));
        }
        let family = desired
            .properties
            .get("Family")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !family.starts_with("postgres") {
            let message = format!(
                "The embedded endpoint does not support the parameter group family {family}. Use one of PostgreSQL."
            );
            return Err(AwsError::new("InvalidParameterValue", message));
        }
        let record = Record::new(name, desired);
        check(&record)?;
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("DBParameterGroupName", record.id.as_str())
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(record)?;
        server::reload(cx, record)
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        match INSTANCES.find(cx, |instance| instance.has("DBParameterGroupName", &record.id))? {
            Some(user) => Err(AwsError::new(
                "InvalidDBParameterGroupState",
                format!(
                    "The parameter group {} is in use by the DB instance {}",
                    record.id, user.id
                ),
            )),
            None => Ok(()),
        }
    }
}

/// Rejects parameters that RDS does not have, with CloudFormation's message.
fn check(group: &Record) -> Result<(), AwsError> {
    let family = group.text("Family").unwrap_or_default();
    match server::parameters(group).first_rejected(family.trim_start_matches("postgres")) {
        Some(name) => Err(AwsError::new(
            "InvalidParameterValue",
            format!("Invalid / Unmodifiable / Unsupported DB Parameter: {name}"),
        )),
        None => Ok(()),
    }
}

/// Returns the given name or a generated one, in lower case as RDS stores it.
fn name_of(desired: &Desired, property: &str, limit: usize) -> String {
    let given = desired.properties.get(property).and_then(Value::as_str);
    given
        .map_or_else(|| desired.generated_name(limit), str::to_owned)
        .to_lowercase()
}
