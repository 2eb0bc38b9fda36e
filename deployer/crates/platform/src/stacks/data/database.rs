//! A database: a PostgreSQL instance with its parameter group.

use serde_json::{Value, json};

use super::outputs;
use crate::manifest::{Database, Manifest};
use crate::stacks::{iam, links};
use cfn::template::{Handle, Resource, Template, logical_id, sub};

/// Days of Performance Insights that are free of charge.
const INSIGHTS_DAYS: u32 = 7;
/// Seconds between two samples of enhanced monitoring.
const MONITORING_SECONDS: u32 = 60;
/// Limit of storage autoscaling, in multiples of the initial storage.
const MAX_STORAGE_FACTOR: u32 = 5;
/// Maximum size of a gp3 volume, in GiB.
const MAX_STORAGE_GIB: u32 = 65_536;

/// Network, key and monitoring of an instance.
pub struct Placement {
    pub subnets: Value,
    pub security: Value,
    /// The platform's customer managed key; `None` for AWS's key for RDS.
    pub key: Option<Value>,
    /// The ARN of the role of enhanced monitoring.
    pub monitoring: Option<Value>,
}

/// Adds the role with which RDS writes the metrics of the operating system.
pub fn monitoring(template: &mut Template) -> Value {
    let policy = "arn:${AWS::Partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole";
    let role = Resource::new("AWS::IAM::Role")
        .with("AssumeRolePolicyDocument", iam::trust("monitoring.rds.amazonaws.com"))
        .with("ManagedPolicyArns", json!([sub(policy, [])]));
    template.add("DatabaseMonitoringRole", role).attribute("Arn")
}

/// Adds the instance, with the outputs that [`outputs`] names.
pub fn add(template: &mut Template, manifest: &Manifest, database: &Database, placement: Placement) -> Handle {
    let parameters = parameters(template, manifest, database);
    let instance = Resource::new("AWS::RDS::DBInstance")
        .with("Engine", "postgres")
        .with("EngineVersion", database.engine_version.clone())
        // RDS rejects another major version without it (AWS::RDS::DBInstance: AllowMajorVersionUpgrade); alone it upgrades nothing.
        .with("AllowMajorVersionUpgrade", true)
        .with("DBInstanceClass", database.instance_class.clone());
    // cfn-lint knows full versions alone; RDS takes the default minor version of a major one (AWS CDK: PostgresEngineVersion,
    // "only a major version, without a specific minor version").
    let instance = if database.engine_version.contains('.') {
        instance
    } else {
        instance.ignore_rule("W3691")
    };
    let instance = match &database.snapshot {
        // The snapshot holds database and owner; RDS rejects the first and ignores the second.
        Some(snapshot) => instance.with("DBSnapshotIdentifier", snapshot.clone()),
        None => instance
            .with("DBName", database.name.clone())
            .with("MasterUsername", format!("{}_owner", database.name)),
    };
    let instance = instance
        // RDS generates the password, stores it in Secrets Manager and rotates it every seven days
        .with("ManageMasterUserPassword", true)
        .with("AllocatedStorage", database.storage_gib.to_string())
        .with("StorageType", "gp3")
        .with("StorageEncrypted", true)
        .with("MultiAZ", database.multi_az)
        .with("Port", links::POSTGRES.to_string())
        .with("PubliclyAccessible", false)
        .with("CACertificateIdentifier", "rds-ca-rsa2048-g1")
        .with("DBSubnetGroupName", placement.subnets)
        .with("VPCSecurityGroups", vec![placement.security])
        .with("DBParameterGroupName", parameters.reference())
        .with("BackupRetentionPeriod", database.backup_retention_days)
        // UTC, one after the other, at night in Europe
        .with("PreferredBackupWindow", "01:00-02:00")
        .with("PreferredMaintenanceWindow", "sun:02:30-sun:03:30")
        .with("CopyTagsToSnapshot", true)
        .with("AutoMinorVersionUpgrade", true)
        .with("EnableCloudwatchLogsExports", json!(["postgresql", "upgrade"]))
        .with("DeletionProtection", manifest.protected);
    let instance = encrypted(instance, placement.key, manifest.protected).skip_check(
        "CKV_AWS_161",
        "services authenticate with a password that RDS generates, stores in Secrets Manager and rotates every seven days",
    );
    let instance = if database.multi_az {
        instance
    } else {
        instance.skip_check(
            "CKV_AWS_157",
            "a disposable environment; multi_az adds a standby in a second zone",
        )
    };
    let instance = match placement.monitoring {
        None => instance
            .skip_check(
                "CKV_AWS_118",
                "a disposable environment; protected environments have enhanced monitoring",
            )
            .deleted(),
        Some(role) => instance
            .with(
                "MaxAllocatedStorage",
                (database.storage_gib * MAX_STORAGE_FACTOR).min(MAX_STORAGE_GIB),
            )
            .with("DeleteAutomatedBackups", false)
            .with("EnablePerformanceInsights", true)
            .with("PerformanceInsightsRetentionPeriod", INSIGHTS_DAYS)
            .with("MonitoringInterval", MONITORING_SECONDS)
            .with("MonitoringRoleArn", role)
            .snapshotted(),
    };
    let handle = template.add(logical_id(&[&database.key, "Database"]), instance);
    let [host, port, secret] = outputs(&database.key);
    template.output(&host, "Host name of the database", handle.attribute("Endpoint.Address"));
    template.output(&port, "Port of the database", handle.attribute("Endpoint.Port"));
    template.output(
        &secret,
        "ARN of the secret with the master user's name and password",
        handle.attribute("MasterUserSecret.SecretArn"),
    );
    handle
}

/// Requires TLS, and logs slow statements without a row's values: `terse` leaves out the DETAIL in which PostgreSQL quotes
/// them (PostgreSQL: "Error Reporting and Logging").
fn parameters(template: &mut Template, manifest: &Manifest, database: &Database) -> Handle {
    let family = database.engine_version.split('.').next().unwrap_or_default();
    let parameters = json!({
        "rds.force_ssl": "1",
        "log_error_verbosity": "terse",
        "log_lock_waits": "1",
        "log_min_duration_statement": "500",
        "log_statement": "none",
    });
    template.add(
        logical_id(&[&database.key, "DatabaseParameters"]),
        Resource::new("AWS::RDS::DBParameterGroup")
            .with("Family", format!("postgres{family}"))
            .with("Description", format!("{}: {}", manifest.prefix(), database.key))
            .with("Parameters", parameters),
    )
}

/// Encrypts data, password and statistics with the platform's key.
fn encrypted(instance: Resource, key: Option<Value>, insights: bool) -> Resource {
    let Some(key) = key else { return instance };
    let instance = instance
        .with("KmsKeyId", key.clone())
        .with("MasterUserSecret", json!({ "KmsKeyId": key }));
    if insights {
        instance.with("PerformanceInsightsKMSKeyId", key)
    } else {
        instance
    }
}
