//! `AWS::SecretsManager::SecretTargetAttachment`: writes into a secret where its database is.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::secret::{Plain, living};
use crate::records::{WriteLock, scalar};
use crate::{AwsError, Context, Desired, Failure, Resource, ResourceType, Schema};

/// What an attachment writes, and takes out again.
const WRITTEN: [&str; 6] = [
    "engine",
    "host",
    "port",
    "dbname",
    "dbInstanceIdentifier",
    "dbClusterIdentifier",
];

pub struct SecretTargetAttachment;

#[async_trait]
impl ResourceType for SecretTargetAttachment {
    fn name(&self) -> &'static str {
        "AWS::SecretsManager::SecretTargetAttachment"
    }

    fn schema(&self) -> Schema {
        Schema {
            properties: &["SecretId", "TargetId", "TargetType"],
            required: &["SecretId", "TargetId", "TargetType"],
            create_only: &["SecretId"],
            attributes: &["Id"],
            ..Schema::default()
        }
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        let text = |property: &str| desired.properties.get(property).and_then(scalar).unwrap_or_default();
        let found = target(cx, &text("TargetType"), &text("TargetId")).await?;
        let arn = merge(cx, &text("SecretId"), found)?;
        Ok(Resource::new(&arn).with("Id", arn))
    }

    async fn update(&self, cx: &Context, _id: &str, _previous: &Value, desired: &Desired) -> Result<Resource, Failure> {
        self.create(cx, desired).await
    }

    async fn delete(&self, cx: &Context, physical_id: &str, _properties: &Value) -> Result<(), Failure> {
        match merge(cx, physical_id, Map::new()) {
            // The secret is gone already, or marked for deletion: nothing to take out of it.
            Err(error) if error.code == "ResourceNotFoundException" || error.code == "InvalidRequestException" => {
                Ok(())
            }
            other => Ok(other.map(drop)?),
        }
    }

    async fn read(&self, cx: &Context, physical_id: &str) -> Result<Option<Value>, Failure> {
        let Ok(secret) = living(cx, physical_id) else {
            return Ok(None);
        };
        let fields: Map<String, Value> = serde_json::from_str(&secret.current_text(cx)?).unwrap_or_default();
        let (id, kind) = match (fields.get("dbInstanceIdentifier"), fields.get("dbClusterIdentifier")) {
            (Some(id), _) => (id, "AWS::RDS::DBInstance"),
            (None, Some(id)) => (id, "AWS::RDS::DBCluster"),
            (None, None) => return Ok(None),
        };
        Ok(Some(
            json!({"SecretId": physical_id, "TargetId": id, "TargetType": kind}),
        ))
    }
}

/// Puts the fields into the secret's JSON in the place of those of an earlier attachment; gives the secret's ARN.
fn merge(cx: &Context, secret: &str, found: Map<String, Value>) -> Result<String, AwsError> {
    let lock = cx.extension::<WriteLock>();
    let _guard = lock.lock();
    let mut secret = living(cx, secret)?;
    let text = secret.current_text(cx)?;
    let not_json = || {
        AwsError::validation(format!(
            "The value of the secret {} must be a JSON object to be attached.",
            secret.name
        ))
    };
    let before: Map<String, Value> = serde_json::from_str(&text).map_err(|_| not_json())?;
    let mut after: Map<String, Value> = before
        .clone()
        .into_iter()
        .filter(|(field, _)| !WRITTEN.contains(&field.as_str()))
        .collect();
    after.extend(found);
    if after != before {
        secret.put(cx, None, Plain::Text(Value::Object(after).to_string()), &[])?;
        secret.store(cx)?;
    }
    Ok(secret.arn)
}

async fn target(cx: &Context, kind: &str, id: &str) -> Result<Map<String, Value>, AwsError> {
    let (operation, list, member) = match kind {
        "AWS::RDS::DBInstance" => ("DescribeDBInstances", "DBInstances", "DBInstanceIdentifier"),
        "AWS::RDS::DBCluster" => ("DescribeDBClusters", "DBClusters", "DBClusterIdentifier"),
        other => {
            return Err(AwsError::validation(format!(
                "Secrets cannot be attached to {other} here."
            )));
        }
    };
    let answer = cx.call("rds", operation, json!({ member: id })).await?;
    let missing = || AwsError::validation(format!("{kind} {id} does not exist."));
    let database = answer[list].get(0).ok_or_else(missing)?;
    let endpoint = &database["Endpoint"];
    let host = if endpoint.is_object() {
        &endpoint["Address"]
    } else {
        endpoint
    };
    let port = if endpoint.is_object() {
        &endpoint["Port"]
    } else {
        &database["Port"]
    };
    let name = [&database["DBName"], &database["DatabaseName"]]
        .into_iter()
        .find(|name| name.is_string());
    let identifier = if list == "DBInstances" {
        "dbInstanceIdentifier"
    } else {
        "dbClusterIdentifier"
    };
    let mut fields = Map::new();
    fields.insert("engine".into(), database["Engine"].clone());
    fields.insert("host".into(), host.clone());
    fields.insert(
        "port".into(),
        scalar(port)
            .and_then(|port| port.parse::<u16>().ok())
            .map_or(port.clone(), Value::from),
    );
    name.into_iter()
        .for_each(|name| drop(fields.insert("dbname".into(), name.clone())));
    fields.insert(identifier.into(), database[member].clone());
    Ok(fields)
}
