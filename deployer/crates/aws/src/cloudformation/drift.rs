//! Drift: differences between resources and their template.

use std::time::Duration;

use aws_sdk_cloudformation::types::StackResourceDriftStatus;
use serde::Serialize;

use super::error::{Error, Result};
use crate::endpoint::Capability;
use crate::session::Session;

const TIMEOUT: Duration = Duration::from_mins(10);

/// A resource that was changed or deleted outside of CloudFormation.
#[derive(Debug, Clone, Serialize)]
pub struct Drift {
    /// The name of the stack.
    pub stack: String,
    /// The logical ID of the resource.
    #[serde(rename = "resource")]
    pub logical_id: String,
    /// The CloudFormation type of the resource.
    pub resource_type: String,
    /// `MODIFIED` or `DELETED`.
    pub status: String,
    /// Path, expected and actual value of each changed property.
    pub properties: Vec<(String, String, String)>,
}

/// Detects the drift of one stack.
///
/// # Errors
/// A request fails, the detection fails, or the endpoint has none.
pub async fn detect_drift(aws: &Session, stack: &str) -> Result<Vec<Drift>> {
    if aws.endpoint().lacks(Capability::Drift) {
        return Err(Error::Request(crate::Error::Unsupported {
            operation: "cloudformation DetectStackDrift".into(),
            message: format!("{} has no drift detection", aws.endpoint()),
        }));
    }
    let started = aws.cloudformation.detect_stack_drift().stack_name(stack).send().await?;
    let id = started.stack_drift_detection_id().unwrap_or_default().to_owned();
    let wait = aws.wait(TIMEOUT);
    loop {
        let response = aws
            .cloudformation
            .describe_stack_drift_detection_status()
            .stack_drift_detection_id(&id)
            .send()
            .await?;
        match response.detection_status().map(|s| s.as_str()).unwrap_or_default() {
            "DETECTION_IN_PROGRESS" => {
                wait.check(|| format!("drift detection of {stack}"), || None)?;
                wait.pause().await;
            }
            "DETECTION_FAILED" => {
                let reason = response.detection_status_reason().unwrap_or("no reason given");
                return Err(Error::Drift {
                    stack: stack.to_owned(),
                    reason: reason.to_owned(),
                });
            }
            _ => break,
        }
    }
    let response = aws
        .cloudformation
        .describe_stack_resource_drifts()
        .stack_name(stack)
        .stack_resource_drift_status_filters(StackResourceDriftStatus::Modified)
        .stack_resource_drift_status_filters(StackResourceDriftStatus::Deleted)
        .send()
        .await?;
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    Ok(response
        .stack_resource_drifts()
        .iter()
        .filter(|drift| {
            matches!(
                drift.stack_resource_drift_status().map(|s| s.as_str()),
                Some("MODIFIED" | "DELETED")
            )
        })
        .map(|drift| Drift {
            stack: stack.to_owned(),
            logical_id: text(drift.logical_resource_id()),
            resource_type: text(drift.resource_type()),
            status: text(drift.stack_resource_drift_status().map(|s| s.as_str())),
            properties: drift
                .property_differences()
                .iter()
                .map(|p| {
                    (
                        text(p.property_path()),
                        text(p.expected_value()),
                        text(p.actual_value()),
                    )
                })
                .collect(),
        })
        .collect())
}
