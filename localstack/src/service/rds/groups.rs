//! `AWS::RDS::DBSubnetGroup` and `AWS::RDS::DBParameterGroup`.

use serde_json::Value;

use crate::records::{Record, RecordType, Records, texts};
use crate::runtime::postgres::Parameters;
use crate::service::rds::lifecycle::{self, INSTANCES};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub struct SubnetGroup;

impl RecordType for SubnetGroup {
    const TYPE: &'static str = "AWS::RDS::DBSubnetGroup";
    const RECORDS: Records = Records("rds.subnet-groups");

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
        let name = named(desired, "DBSubnetGroupName", 255);
        if Self::RECORDS.get(cx, &name)?.is_some() {
            let words = format!("The DB subnet group '{name}' already exists.");
            return Err(AwsError::new("DBSubnetGroupAlreadyExists", words));
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

/// Its parameters become settings of the servers that name it, as far as this machine can follow.
pub struct ParameterGroup;

impl RecordType for ParameterGroup {
    const TYPE: &'static str = "AWS::RDS::DBParameterGroup";
    const RECORDS: Records = Records("rds.parameter-groups");

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
        let name = named(desired, "DBParameterGroupName", 255);
        if Self::RECORDS.get(cx, &name)?.is_some() {
            let words = format!("Parameter group {name} already exists");
            return Err(AwsError::new("DBParameterGroupAlreadyExists", words));
        }
        let family = desired
            .properties
            .get("Family")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !family.starts_with("postgres") {
            let words =
                format!("ParameterGroupFamily {family} is not a valid parameter group family here: postgres only");
            return Err(AwsError::new("InvalidParameterValue", words));
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
        lifecycle::reload(cx, record)
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

/// What a group asks.
pub fn parameters(group: &Record) -> Parameters {
    Parameters::from_property(group.properties.get("Parameters"))
}

/// Refuses, in CloudFormation's words, what RDS does not know.
fn check(group: &Record) -> Result<(), AwsError> {
    let family = group.text("Family").unwrap_or_default();
    match parameters(group).first_rejected(family.trim_start_matches("postgres")) {
        Some(name) => Err(AwsError::new(
            "InvalidParameterValue",
            format!("Invalid / Unmodifiable / Unsupported DB Parameter: {name}"),
        )),
        None => Ok(()),
    }
}

/// The name that is given, or one that CloudFormation makes; RDS keeps small letters.
fn named(desired: &Desired, property: &str, limit: usize) -> String {
    let given = desired.properties.get(property).and_then(Value::as_str);
    given
        .map_or_else(|| desired.generated_name(limit), str::to_owned)
        .to_lowercase()
}
