//! PostgreSQL databases and generated secrets.

mod alarms;
mod database;

use serde_json::{Value, json};

use super::inputs::Inputs;
use super::links::{self, Group};
use super::{Stack, kms, name_of};
use crate::manifest::Manifest;
use cfn::template::{Resource, Template, logical_id};

/// Returns the stack of databases and secrets; `None` without either.
pub fn stack(manifest: &Manifest) -> Option<Stack> {
    let secrets = all_secrets(manifest);
    if manifest.databases.is_empty() && secrets.is_empty() {
        return None;
    }
    let mut template = Template::new(format!("{}: databases and generated secrets", manifest.prefix()));
    let mut inputs = Inputs::default();
    let key = kms::arn(manifest, &mut template, &mut inputs);
    if !manifest.databases.is_empty() {
        databases(manifest, &mut template, &mut inputs, key.as_ref());
    }
    for (variable, id) in secrets {
        let secret = Resource::new("AWS::SecretsManager::Secret")
            .with("Description", format!("{}: {variable}", manifest.prefix()))
            .with(
                "GenerateSecretString",
                json!({ "PasswordLength": 48, "ExcludePunctuation": true }),
            );
        // A database that is restored from a snapshot holds what its service encrypted with the secret.
        let secret = if manifest.protected {
            secret.retained_once_created()
        } else {
            secret.deleted()
        };
        let secret = kms::encrypting(secret, "KmsKeyId", key.clone(), "CKV_AWS_149");
        let secret = template.add(id.clone(), secret);
        template.output(
            &format!("{id}Arn"),
            &format!("ARN of the secret for {variable}"),
            secret.reference(),
        );
    }
    Some(Stack {
        name: name_of(manifest, "data"),
        short_name: "data".into(),
        template: template.to_json(),
        depends_on: inputs.depends_on,
        parameters: inputs.parameters,
    })
}

fn databases(manifest: &Manifest, template: &mut Template, inputs: &mut Inputs, key: Option<&Value>) {
    let subnets = (
        "IsolatedSubnetIds",
        "List<AWS::EC2::Subnet::Id>",
        "Subnets without a route to the internet",
    );
    let subnets = inputs.output(manifest, template, subnets, "network");
    let topic = super::alarms::topic(manifest, template, inputs);
    let group = template.add(
        "DatabaseSubnetGroup",
        Resource::new("AWS::RDS::DBSubnetGroup")
            .with(
                "DBSubnetGroupDescription",
                format!("{}: isolated subnets", manifest.prefix()),
            )
            .with("SubnetIds", subnets),
    );
    let monitoring = manifest.protected.then(|| database::monitoring(template));
    for database in &manifest.databases {
        let security = Group::Database(database.key.clone()).output();
        let parameter = (
            security.as_str(),
            "AWS::EC2::SecurityGroup::Id",
            "The security group of the database",
        );
        let security = inputs.output(manifest, template, parameter, "network");
        let placement = database::Placement {
            subnets: group.reference(),
            security,
            key: key.cloned(),
            monitoring: monitoring.clone(),
        };
        let instance = database::add(template, manifest, database, placement);
        if let Some(topic) = &topic {
            alarms::add(template, database, &instance, topic);
        }
    }
}

/// Returns every generated secret without duplicates, as variable and logical ID.
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

/// Returns the output names of a database: host, port, and the ARN of its credentials.
pub fn outputs(key: &str) -> [String; 3] {
    ["Host", "Port", "SecretArn"].map(|what| logical_id(&[key, "Database", what]))
}
