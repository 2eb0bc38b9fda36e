//! `AWS::RDS::DBInstance`.

use async_trait::async_trait;
use serde_json::Value;

use super::lifecycle;
use super::model::{self, INSTANCES};
use super::server::cluster;
use crate::records::Record;
use crate::{Context, Desired, Failure, Resource, ResourceType, Schema};

pub struct Instance;

#[async_trait]
impl ResourceType for Instance {
    fn name(&self) -> &'static str {
        "AWS::RDS::DBInstance"
    }

    fn schema(&self) -> Schema {
        Schema {
            properties: &[
                "AllocatedStorage",
                "AllowMajorVersionUpgrade",
                "ApplyImmediately",
                "AutoMinorVersionUpgrade",
                "AvailabilityZone",
                "BackupRetentionPeriod",
                "CACertificateIdentifier",
                "CopyTagsToSnapshot",
                "DBInstanceClass",
                "DBInstanceIdentifier",
                "DBName",
                "DBParameterGroupName",
                "DBSnapshotIdentifier",
                "DBSubnetGroupName",
                "DatabaseInsightsMode",
                "DeleteAutomatedBackups",
                "DeletionProtection",
                "EnableCloudwatchLogsExports",
                "EnableIAMDatabaseAuthentication",
                "EnablePerformanceInsights",
                "Engine",
                "EngineLifecycleSupport",
                "EngineVersion",
                "Iops",
                "KmsKeyId",
                "ManageMasterUserPassword",
                "MasterUserPassword",
                "MasterUserSecret",
                "MasterUsername",
                "MaxAllocatedStorage",
                "MonitoringInterval",
                "MonitoringRoleArn",
                "MultiAZ",
                "NetworkType",
                "PerformanceInsightsKMSKeyId",
                "PerformanceInsightsRetentionPeriod",
                "Port",
                "PreferredBackupWindow",
                "PreferredMaintenanceWindow",
                "PubliclyAccessible",
                "StorageEncrypted",
                "StorageThroughput",
                "StorageType",
                "Tags",
                "VPCSecurityGroups",
            ],
            required: &[],
            create_only: &[
                "DBInstanceIdentifier",
                "DBName",
                "DBSnapshotIdentifier",
                "DBSubnetGroupName",
                "KmsKeyId",
                "MasterUsername",
                "Port",
                "StorageEncrypted",
            ],
            attributes: &[
                "DBInstanceArn",
                "DbiResourceId",
                "Endpoint.Address",
                "Endpoint.Port",
                "Endpoint.HostedZoneId",
                "MasterUserSecret.SecretArn",
            ],
            write_only: &[
                "MasterUserPassword",
                "ApplyImmediately",
                "AllowMajorVersionUpgrade",
                "DeleteAutomatedBackups",
            ],
        }
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        Ok(resource(cx, &lifecycle::create(cx, desired).await?))
    }

    async fn update(&self, cx: &Context, id: &str, previous: &Value, desired: &Desired) -> Result<Resource, Failure> {
        let mut record = model::instance(cx, id)?;
        record.set_desired(desired);
        let password = record.properties.shift_remove("MasterUserPassword");
        let password = password.as_ref().and_then(Value::as_str);
        if let Some(password) = password
            && previous.get("MasterUserPassword").and_then(Value::as_str) != Some(password)
        {
            lifecycle::change_password(cx, &record, password).await?;
        }
        INSTANCES.put(cx, &record).map_err(Failure::from)?;
        cluster(cx, &record)?.reload()?;
        Ok(resource(cx, &record))
    }

    async fn delete(&self, cx: &Context, id: &str, _properties: &Value) -> Result<(), Failure> {
        if INSTANCES.get(cx, id)?.is_none() {
            return Ok(());
        }
        Ok(lifecycle::delete(cx, id, None).await?)
    }

    fn supports_snapshots(&self) -> bool {
        true
    }

    async fn delete_with_snapshot(&self, cx: &Context, id: &str, _: &Value, name: &str) -> Result<(), Failure> {
        if INSTANCES.get(cx, id)?.is_none() {
            return Ok(());
        }
        Ok(lifecycle::delete(cx, id, Some(name)).await?)
    }

    async fn read(&self, cx: &Context, id: &str) -> Result<Option<Value>, Failure> {
        Ok(INSTANCES.get(cx, id)?.map(|record| record.template_properties()))
    }
}

fn resource(cx: &Context, record: &Record) -> Resource {
    let computed = |name: &str| record.computed(name).unwrap_or_default();
    let resource = Resource::new(&record.id)
        .with("DBInstanceArn", model::instance_arn(cx, &record.id))
        .with("DbiResourceId", computed("resource_id"))
        .with("Endpoint.Address", computed("address"))
        .with("Endpoint.Port", computed("port"))
        .with("Endpoint.HostedZoneId", "Z2R2ITUGPM61AM");
    match record.computed("secret") {
        Some(secret) => resource.with("MasterUserSecret.SecretArn", secret),
        None => resource,
    }
}
