//! `AWS::SecretsManager::SecretTargetAttachment`: writes the connection details of a database into a secret.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::secret::{SecretValue, get_active};
use crate::records::{WriteLock, scalar};
use crate::{AwsError, Context, Desired, Failure, Resource, ResourceType, Schema};

/// The fields that an attachment writes, and that its deletion removes.
const FIELDS: [&str; 6] = [
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
        let fields = connection_details(cx, &text("TargetType"), &text("TargetId")).await?;
        let arn = merge(cx, &text("SecretId"), fields)?;
        Ok(Resource::new(&arn).with("Id", arn))
    }

    async fn update(&self, cx: &Context, _id: &str, _previous: &Value, desired: &Desired) -> Result<Resource, Failure> {
        self.create(cx, desired).await
    }

    async fn delete(&self, cx: &Context, physical_id: &str, _properties: &Value) -> Result<(), Failure> {
        match merge(cx, physical_id, Map::new()) {
            // The secret was deleted or is marked for deletion: there is nothing to remove from it.
            Err(error) if error.code == "ResourceNotFoundException" || error.code == "InvalidRequestException" => {
                Ok(())
            }
            other => Ok(other.map(drop)?),
        }
    }

    async fn read(&self, cx: &Context, physical_id: &str) -> Result<Option<Value>, Failure> {
        let Ok(secret) = get_active(cx, physical_id) else {
            return Ok(None);
        };
        let fields: Map<String, Value> = serde_json::from_str(&secret.current_text(cx)?).unwrap_or_default();
        let (id, target_type) = match (fields.get("dbInstanceIdentifier"), fields.get("dbClusterIdentifier")) {
            (Some(id), _) => (id, "AWS::RDS::DBInstance"),
            (None, Some(id)) => (id, "AWS::RDS::DBCluster"),
            (None, None) => return Ok(None),
        };
        Ok(Some(
            json!({"SecretId": physical_id, "TargetId": id, "TargetType": target_type}),
        ))
    }
}

/// Replaces the fields of an earlier attachment in the secret's JSON; returns the secret's ARN.
fn merge(cx: &Context, secret: &str, fields: Map<String, Value>) -> Result<String, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let mut secret = get_active(cx, secret)?;
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
        .filter(|(field, _)| !FIELDS.contains(&field.as_str()))
        .collect();
    after.extend(fields);
    if after != before {
        secret.put(cx, None, &SecretValue::Text(Value::Object(after).to_string()), &[])?;
        secret.store(cx)?;
    }
    Ok(secret.arn)
}

async fn connection_details(cx: &Context, target_type: &str, id: &str) -> Result<Map<String, Value>, AwsError> {
    let (operation, list, member) = match target_type {
        "AWS::RDS::DBInstance" => ("DescribeDBInstances", "DBInstances", "DBInstanceIdentifier"),
        "AWS::RDS::DBCluster" => ("DescribeDBClusters", "DBClusters", "DBClusterIdentifier"),
        other => {
            return Err(AwsError::validation(format!(
                "The embedded endpoint does not support attaching a secret to {other}."
            )));
        }
    };
    let response = cx.call("rds", operation, json!({ member: id })).await?;
    let missing = || AwsError::validation(format!("{target_type} {id} does not exist."));
    let database = response[list].get(0).ok_or_else(missing)?;
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
    if let Some(name) = name {
        fields.insert("dbname".into(), name.clone());
    }
    fields.insert(identifier.into(), database[member].clone());
    Ok(fields)
}
