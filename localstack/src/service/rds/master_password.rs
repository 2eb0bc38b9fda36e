//! The master user's password: given, generated, or managed as a secret.

use serde_json::{Value, json};

use super::{model, validation};
use crate::records::Record;
use crate::{AwsError, Context};

/// Takes the master user's password out of the properties, or generates it. A restored instance may have none.
pub fn take_password(record: &mut Record, is_restored: bool) -> Result<Option<String>, AwsError> {
    let given = record
        .properties
        .shift_remove("MasterUserPassword")
        .and_then(|p| p.as_str().map(str::to_owned));
    let password = match (given, record.has("ManageMasterUserPassword", "true")) {
        (Some(_), true) => {
            return Err(validation::invalid(
                "You can't specify MasterUserPassword and ManageMasterUserPassword together.",
            ));
        }
        (Some(given), false) => Some(given),
        (None, true) => Some(generate_password()),
        // The snapshot's data has the password.
        (None, false) if is_restored => None,
        (None, false) => {
            return Err(validation::invalid(
                "The parameter MasterUserPassword must be provided.",
            ));
        }
    };
    if let Some(password) = &password {
        validation::password(password)?;
    }
    Ok(password)
}

/// Creates the secret of a managed password, and returns its ARN.
pub async fn create_secret(
    cx: &Context,
    record: &Record,
    name: &str,
    user: &str,
    password: &str,
) -> Result<String, AwsError> {
    let arn = model::instance_arn(cx, &record.id);
    let input = json!({
        "Name": name,
        "Description": format!("The secret associated with the primary RDS DB instance: {arn}"),
        "SecretString": json!({"username": user, "password": password}).to_string(),
        // The tags of a managed secret ("Secrets managed by other AWS services").
        "Tags": [
            {"Key": "aws:secretsmanager:owningService", "Value": "rds"},
            {"Key": "aws:rds:primaryDBInstanceArn", "Value": arn},
        ],
    });
    let created = cx.call("secretsmanager", "CreateSecret", input).await?;
    let secret = created.get("ARN").and_then(Value::as_str);
    secret
        .map(str::to_owned)
        .ok_or_else(|| AwsError::internal("CreateSecret returned no ARN"))
}

/// Generates a password of letters and digits.
pub fn generate_password() -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    (0..32)
        .map(|_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())]))
        .collect()
}
