//! Descriptions of instances and groups.

use serde_json::{Value, json};

use super::model::{self, INSTANCES, PARAMETER_GROUPS, PENDING, REBOOTING_UNTIL, ROTATING, STATUS, SUBNET_GROUPS};
use super::{failures, validation};
use crate::records::{Record, iso, page, texts};
use crate::runtime::postgres::Installation;
use crate::{AwsError, Call, Context};

/// The number of addresses for instances.
const MAX_INSTANCES: u32 = 254;

pub async fn instances(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut found = match call.text("DBInstanceIdentifier") {
        Some(id) => {
            let id = id.rsplit(":db:").next().unwrap_or(&id).to_owned();
            vec![model::instance(cx, &id)?]
        }
        None => INSTANCES.list(cx)?,
    };
    for filter in call.list("Filters") {
        let name = filter["Name"].as_str().unwrap_or_default();
        let value: fn(&Record) -> Option<String> = match name {
            "db-instance-id" => |record| Some(record.id.clone()),
            "dbi-resource-id" => |record| record.computed("resource_id"),
            "engine" => |_| Some("postgres".to_owned()),
            // No instance is in a cluster or a domain.
            "db-cluster-id" | "domain" => |_| None,
            _ => return Err(validation::invalid(format!("Unrecognized filter name: {name}"))),
        };
        // An instance may be named by its ARN.
        let values: Vec<String> = texts(filter.get("Values"))
            .into_iter()
            .map(|value| value.rsplit(":db:").next().unwrap_or_default().to_owned())
            .collect();
        found.retain(|record| value(record).is_some_and(|value| values.contains(&value)));
    }
    let limit = call.limit("MaxRecords", 100, 20..=100);
    let (found, next) = page(found, limit, call.text("Marker").as_deref())?;
    let mut instances = Vec::new();
    for record in &found {
        instances.push(instance(cx, record).await?);
    }
    let mut response = json!({"DBInstances": instances});
    if let Some(next) = next {
        response["Marker"] = next.into();
    }
    Ok(response)
}

/// Describes one instance: the template's properties, and RDS's defaults for the others.
pub async fn instance(cx: &Context, record: &Record) -> Result<Value, AwsError> {
    let text = |name: &str, default: &str| model::setting(record, name).unwrap_or_else(|| default.to_owned());
    let computed = |name: &str| record.computed(name).unwrap_or_default();
    let flag = |name: &str| record.has(name, "true");
    let version = Installation::find().map_or_else(|_| text("EngineVersion", "15"), |install| install.version);
    let groups: Vec<Value> = texts(record.properties.get("VPCSecurityGroups"))
        .into_iter()
        .map(|id| json!({"VpcSecurityGroupId": id, "Status": "active"}))
        .collect();
    let status = if record.computed.contains_key(REBOOTING_UNTIL) {
        "rebooting".to_owned()
    } else if model::is_available(record) && failures::has_failed(cx, record) {
        "failed".to_owned()
    } else {
        computed(STATUS)
    };
    let mut description = json!({
        "DBInstanceIdentifier": record.id,
        "DBInstanceArn": model::instance_arn(cx, &record.id),
        "DbiResourceId": computed("resource_id"),
        "DBInstanceClass": text("DBInstanceClass", "db.t4g.micro"),
        "Engine": "postgres",
        "EngineVersion": version,
        "DBInstanceStatus": status,
        "MasterUsername": model::master_user(record),
        "AllocatedStorage": text("AllocatedStorage", "20").parse::<u32>().unwrap_or(20),
        "InstanceCreateTime": iso(record.created),
        "BackupRetentionPeriod": text("BackupRetentionPeriod", "1").parse::<u32>().unwrap_or(1),
        "VpcSecurityGroups": groups,
        "MultiAZ": flag("MultiAZ"),
        "PubliclyAccessible": flag("PubliclyAccessible"),
        "StorageEncrypted": flag("StorageEncrypted"),
        "StorageType": text("StorageType", "gp2"),
        "DeletionProtection": flag("DeletionProtection"),
        "CACertificateIdentifier": text("CACertificateIdentifier", "rds-ca-rsa2048-g1"),
        "IAMDatabaseAuthenticationEnabled": false,
        "AutoMinorVersionUpgrade": text("AutoMinorVersionUpgrade", "true") == "true",
        "TagList": record.tag_list(),
    });
    if let Some(name) = model::setting(record, "DBName") {
        description["DBName"] = name.into();
    }
    if let Some(name) = record.text("DBParameterGroupName") {
        let group = json!({"DBParameterGroupName": name, "ParameterApplyStatus": "in-sync"});
        description["DBParameterGroups"] = json!([group]);
    }
    // An instance that is being created has no endpoint yet.
    if computed(STATUS) != "creating" {
        description["Endpoint"] = json!({
            "Address": computed("address"),
            "Port": computed("port").parse::<u16>().unwrap_or(5432),
            "HostedZoneId": "Z2R2ITUGPM61AM",
        });
    }
    if let Some(secret) = record.computed("secret") {
        let status = if record.computed.contains_key(ROTATING) {
            "rotating"
        } else {
            "active"
        };
        description["MasterUserSecret"] = json!({"SecretArn": secret, "SecretStatus": status});
    }
    if let Some(pending) = record.computed.get(PENDING) {
        description["PendingModifiedValues"] = pending.clone();
    }
    if let Some(name) = record.text("DBSubnetGroupName")
        && let Some(group) = SUBNET_GROUPS.get(cx, &name.to_lowercase())?
    {
        description["DBSubnetGroup"] = subnet_group(cx, &group).await?;
    }
    Ok(description)
}

pub async fn subnet_groups(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let found = match call.text("DBSubnetGroupName") {
        Some(name) => vec![model::subnet_group(cx, &name)?],
        None => SUBNET_GROUPS.list(cx)?,
    };
    let mut groups = Vec::new();
    for record in &found {
        groups.push(subnet_group(cx, record).await?);
    }
    Ok(json!({"DBSubnetGroups": groups}))
}

/// Describes one subnet group.
pub async fn subnet_group(cx: &Context, record: &Record) -> Result<Value, AwsError> {
    let ids = texts(record.properties.get("SubnetIds"));
    let response = cx
        .call("ec2", "DescribeSubnets", json!({"SubnetId": ids, "SubnetIds": ids}))
        .await;
    let known = response
        .ok()
        .and_then(|response| response.get("Subnets").and_then(Value::as_array).cloned())
        .unwrap_or_default();
    let of = |id: &str| {
        known
            .iter()
            .find(|subnet| subnet.get("SubnetId").and_then(Value::as_str) == Some(id))
    };
    let subnets: Vec<Value> = ids
        .iter()
        .map(|id| {
            let zone = of(id)
                .and_then(|subnet| subnet.get("AvailabilityZone"))
                .cloned()
                .unwrap_or_default();
            json!({
                "SubnetIdentifier": id,
                "SubnetAvailabilityZone": {"Name": zone},
                "SubnetStatus": "Active",
            })
        })
        .collect();
    let vpc = ids
        .first()
        .and_then(|id| of(id)?.get("VpcId").cloned())
        .unwrap_or_default();
    Ok(json!({
        "DBSubnetGroupName": record.id,
        "DBSubnetGroupDescription": record.text("DBSubnetGroupDescription"),
        "DBSubnetGroupArn": cx.arn("rds", &format!("subgrp:{}", record.id)),
        "VpcId": vpc,
        "SubnetGroupStatus": "Complete",
        "Subnets": subnets,
    }))
}

pub fn parameter_groups(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.text("DBParameterGroupName");
    let mut found = PARAMETER_GROUPS.list(cx)?;
    if let Some(name) = &name {
        found.retain(|record| record.id == name.to_lowercase());
        if found.is_empty() {
            let message = format!("DBParameterGroup not found: {name}");
            return Err(AwsError::new("DBParameterGroupNotFound", message).with_status(404));
        }
    }
    let groups: Vec<Value> = found.iter().map(|record| parameter_group(cx, record)).collect();
    Ok(json!({"DBParameterGroups": groups}))
}

/// Describes one parameter group.
pub fn parameter_group(cx: &Context, record: &Record) -> Value {
    json!({
        "DBParameterGroupName": record.id,
        "DBParameterGroupFamily": record.text("Family"),
        "Description": record.text("Description"),
        "DBParameterGroupArn": cx.arn("rds", &format!("pg:{}", record.id)),
    })
}

/// Describes the use of RDS's own quotas, of which the endpoint counts the instances.
pub fn account(cx: &Context) -> Result<Value, AwsError> {
    let used = INSTANCES.list(cx)?.len();
    let quota = json!({"AccountQuotaName": "DBInstances", "Used": used, "Max": MAX_INSTANCES});
    Ok(json!({"AccountQuotas": [quota]}))
}

/// Describes the installed version, the only one that instances can have.
pub fn engine_versions(call: &Call) -> Result<Value, AwsError> {
    if call.text("Engine").is_some_and(|engine| engine != "postgres") {
        return Ok(json!({"DBEngineVersions": []}));
    }
    let install = Installation::find()?;
    Ok(json!({"DBEngineVersions": [{
        "Engine": "postgres",
        "EngineVersion": install.version,
        "MajorEngineVersion": install.major(),
        "DBParameterGroupFamily": format!("postgres{}", install.major()),
        "DBEngineDescription": "PostgreSQL",
        "DBEngineVersionDescription": format!("PostgreSQL {} of this machine", install.version),
        "Status": "available",
    }]}))
}

/// Instance classes of RDS for PostgreSQL that platforms of this size use (RDS User Guide, "DB instance class types").
const CLASSES: [&str; 12] = [
    "db.t3.micro",
    "db.t3.small",
    "db.t3.medium",
    "db.t4g.micro",
    "db.t4g.small",
    "db.t4g.medium",
    "db.m6g.large",
    "db.m6g.xlarge",
    "db.m7g.large",
    "db.m7g.xlarge",
    "db.r6g.large",
    "db.r7g.large",
];

/// Describes the classes and the storage that instances of the installed version can have.
pub fn orderable_options(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    if let Some(filters) = call.input.get("Filters") {
        return Err(validation::invalid(format!("Unrecognized filters: {filters}")));
    }
    let install = Installation::find()?;
    let differs = |member: &str, value: &str| call.text(member).is_some_and(|given| given != value);
    let zones: Vec<Value> = ["a", "b", "c"]
        .iter()
        .map(|zone| json!({"Name": format!("{}{zone}", cx.region())}))
        .collect();
    let mut options = Vec::new();
    for class in CLASSES {
        for storage in ["gp2", "gp3"] {
            options.push(json!({
                "Engine": "postgres", "EngineVersion": install.version, "DBInstanceClass": class, "StorageType": storage,
                "LicenseModel": "postgresql-license", "AvailabilityZones": zones, "Vpc": true, "MultiAZCapable": true,
                "SupportsStorageEncryption": true, "MinStorageSize": 20, "MaxStorageSize": 65_536,
            }));
        }
    }
    options.retain(|option| {
        !differs(
            "DBInstanceClass",
            option["DBInstanceClass"].as_str().unwrap_or_default(),
        )
    });
    let other_license = differs("LicenseModel", "postgresql-license");
    if differs("Engine", "postgres")
        || differs("EngineVersion", &install.version)
        || other_license
        || call.boolean("Vpc") == Some(false)
        || call
            .text("AvailabilityZoneGroup")
            .is_some_and(|group| group != cx.region())
    {
        options.clear();
    }
    let limit = call.limit("MaxRecords", 100, 20..=10_000);
    let (options, next) = page(options, limit, call.text("Marker").as_deref())?;
    Ok(json!({"OrderableDBInstanceOptions": options, "Marker": next}))
}

/// Lists the clusters, of which the endpoint has none.
pub fn clusters(call: &Call) -> Result<Value, AwsError> {
    match call.text("DBClusterIdentifier") {
        Some(id) => {
            let message = format!("DBCluster {id} not found.");
            Err(AwsError::new("DBClusterNotFoundFault", message).with_status(404))
        }
        None => Ok(json!({"DBClusters": []})),
    }
}
