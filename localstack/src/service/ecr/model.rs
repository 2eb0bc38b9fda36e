//! Records of ECR: repositories.

use serde_json::{Value, json};

use crate::records::{Record, Records, scalar, seconds};
use crate::{AwsError, Context};

pub const REPOSITORIES: Records = Records("ecr.repositories");

pub fn repository(cx: &Context, name: &str) -> Result<Record, AwsError> {
    REPOSITORIES.get(cx, name)?.ok_or_else(|| {
        AwsError::new(
            "RepositoryNotFoundException",
            format!(
                "The repository with name '{name}' does not exist in the registry with id '{}'",
                cx.account()
            ),
        )
    })
}

pub fn arn(cx: &Context, name: &str) -> String {
    cx.arn("ecr", &format!("repository/{name}"))
}

pub fn uri(cx: &Context, name: &str) -> String {
    format!("localhost:{}/{name}", cx.config().port)
}

/// Describes a repository as `DescribeRepositories` does.
pub fn description(cx: &Context, record: &Record) -> Value {
    let member = |property: &str, name: &str| record.properties.get(property)?.get(name).and_then(scalar);
    let is_true = |name: &str| member("ImageScanningConfiguration", name).as_deref() == Some("true");
    let encryption = |name: &str| member("EncryptionConfiguration", name);
    json!({
        "repositoryArn": arn(cx, &record.id),
        "registryId": cx.account(),
        "repositoryName": record.id,
        "repositoryUri": uri(cx, &record.id),
        "createdAt": seconds(record.created),
        "imageTagMutability": record.text("ImageTagMutability").unwrap_or_else(|| "MUTABLE".into()),
        "imageScanningConfiguration": {"scanOnPush": is_true("ScanOnPush")},
        "encryptionConfiguration": {
            "encryptionType": encryption("EncryptionType").unwrap_or_else(|| "AES256".into()),
            "kmsKey": encryption("KmsKey"),
        },
    })
}
