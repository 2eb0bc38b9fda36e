//! PostgreSQL databases, and every generated secret.

use serde_json::json;

use super::links::{self, Group};
use super::{Stack, from_output, name_of};
use crate::manifest::{Database, Manifest};
use crate::template::{Handle, Resource, Template, logical_id};

/// None for a platform that stores nothing and has no secret.
pub fn stack(manifest: &Manifest) -> Option<Stack> {
    let secrets = all_secrets(manifest);
    if manifest.databases.is_empty() && secrets.is_empty() {
        return None;
    }
    let mut template = Template::new(format!("{}: databases and generated secrets", manifest.prefix()));
    let mut parameters = Vec::new();
    if !manifest.databases.is_empty() {
        let subnets = template.parameter(
            "IsolatedSubnetIds",
            "List<AWS::EC2::Subnet::Id>",
            "Subnets without a way out",
        );
        parameters.push(from_output(
            manifest,
            "IsolatedSubnetIds",
            "network",
            "IsolatedSubnetIds",
        ));
        let group = template.add(
            "DatabaseSubnetGroup",
            Resource::new("AWS::RDS::DBSubnetGroup")
                .with(
                    "DBSubnetGroupDescription",
                    format!("{}: isolated subnets", manifest.prefix()),
                )
                .with("SubnetIds", subnets.reference()),
        );
        for database in &manifest.databases {
            let security = Group::Database(database.key.clone()).output();
            parameters.push(from_output(manifest, &security, "network", &security));
            instance(&mut template, manifest, database, &group, &security);
        }
    }
    for (variable, id) in secrets {
        let secret = template.add(
            id.clone(),
            Resource::new("AWS::SecretsManager::Secret")
                .with("Description", format!("{}: {variable}", manifest.prefix()))
                .with(
                    "GenerateSecretString",
                    json!({ "PasswordLength": 48, "ExcludePunctuation": true }),
                )
                .deleted(),
        );
        template.output(
            &format!("{id}Arn"),
            &format!("The secret behind {variable}"),
            secret.reference(),
        );
    }
    Some(Stack {
        name: name_of(manifest, "data"),
        short: "data".into(),
        template: template.to_json(),
        depends_on: if parameters.is_empty() {
            Vec::new()
        } else {
            vec![name_of(manifest, "network")]
        },
        parameters,
        holds_data: !manifest.databases.is_empty(),
    })
}

/// Every generated secret once, as variable and logical id.
fn all_secrets(manifest: &Manifest) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for secret in manifest
        .services
        .iter()
        .flat_map(|service| links::secrets(manifest, service))
    {
        if !all.contains(&secret) {
            all.push(secret);
        }
    }
    all
}

/// The output names of a database: host, port, and the ARN of its credentials.
pub fn outputs(key: &str) -> [String; 3] {
    ["Host", "Port", "SecretArn"].map(|what| logical_id(&[key, "Database", what]))
}

fn instance(template: &mut Template, manifest: &Manifest, database: &Database, subnets: &Handle, security: &str) {
    let security = template.parameter(security, "AWS::EC2::SecurityGroup::Id", "Who may reach the database");
    let family = database
        .engine_version
        .split('.')
        .next()
        .unwrap_or(&database.engine_version);
    let settings = template.add(
        logical_id(&[&database.key, "DatabaseParameters"]),
        Resource::new("AWS::RDS::DBParameterGroup")
            .with("Family", format!("postgres{family}"))
            .with("Description", format!("{}: {}", manifest.prefix(), database.key))
            .with(
                "Parameters",
                json!({ "rds.force_ssl": "1", "log_min_duration_statement": "500" }),
            ),
    );
    let instance = Resource::new("AWS::RDS::DBInstance")
        .with("Engine", "postgres")
        .with("EngineVersion", database.engine_version.clone())
        .with("DBInstanceClass", database.instance_class.clone())
        .with("DBName", database.name.clone())
        .with("MasterUsername", format!("{}_owner", database.name))
        .with("ManageMasterUserPassword", true)
        .with("AllocatedStorage", database.storage_gib.to_string())
        .with("StorageType", "gp3")
        .with("StorageEncrypted", true)
        .with("MultiAZ", database.multi_az)
        .with("Port", links::POSTGRES.to_string())
        .with("PubliclyAccessible", false)
        .with("DBSubnetGroupName", subnets.reference())
        .with("VPCSecurityGroups", vec![security.reference()])
        .with("DBParameterGroupName", settings.reference())
        .with("BackupRetentionPeriod", database.backup_days)
        .with("CopyTagsToSnapshot", true)
        .with("AutoMinorVersionUpgrade", true)
        .with("EnableCloudwatchLogsExports", json!(["postgresql"]))
        .with("DeletionProtection", manifest.protected);
    let instance = if manifest.protected {
        instance.snapshotted()
    } else {
        instance.deleted()
    };
    let handle = template.add(logical_id(&[&database.key, "Database"]), instance);
    let [host, port, secret] = outputs(&database.key);
    template.output(&host, "Where it listens", handle.attribute("Endpoint.Address"));
    template.output(&port, "On which port", handle.attribute("Endpoint.Port"));
    template.output(
        &secret,
        "Its owner's name and password",
        handle.attribute("MasterUserSecret.SecretArn"),
    );
}
