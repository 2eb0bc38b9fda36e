//! Drift: where what runs differs from what its template says.

use std::time::Duration;

use aws_sdk_cloudformation::types::StackResourceDriftStatus;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::target::Aws;
use crate::target::capabilities::Capability;

const LIMIT: Duration = Duration::from_secs(600);

/// A resource that was changed or deleted behind CloudFormation's back.
#[derive(Debug, Clone, Serialize)]
pub struct Drift {
    pub stack: String,
    pub resource: String,
    pub kind: String,
    /// `MODIFIED` or `DELETED`.
    pub status: String,
    /// Path, expected and actual value of each property.
    pub properties: Vec<(String, String, String)>,
}

/// Detects and describes the drift of one stack.
pub async fn detect(aws: &Aws, stack: &str) -> Result<Vec<Drift>> {
    if aws.endpoint.lacks(Capability::Drift) {
        return Err(Error::Unsupported {
            operation: "cloudformation DetectStackDrift".into(),
            message: format!("{} has no drift detection", aws.endpoint),
        });
    }
    let started = aws.cloudformation.detect_stack_drift().stack_name(stack).send().await?;
    let id = started.stack_drift_detection_id().unwrap_or_default().to_owned();
    let wait = aws.wait(LIMIT);
    loop {
        let answer = aws
            .cloudformation
            .describe_stack_drift_detection_status()
            .stack_drift_detection_id(&id)
            .send()
            .await?;
        match answer.detection_status().map(|s| s.as_str()).unwrap_or_default() {
            "DETECTION_IN_PROGRESS" => {
                wait.within(|| format!("drift detection of {stack}"), || None)?;
                wait.pause().await;
            }
            "DETECTION_FAILED" => {
                let message = answer.detection_status_reason().unwrap_or("no reason given").to_owned();
                return Err(Error::Aws {
                    operation: format!("drift detection of {stack}"),
                    code: "DETECTION_FAILED".to_owned(),
                    message,
                });
            }
            _ => break,
        }
    }
    let answer = aws
        .cloudformation
        .describe_stack_resource_drifts()
        .stack_name(stack)
        .stack_resource_drift_status_filters(StackResourceDriftStatus::Modified)
        .stack_resource_drift_status_filters(StackResourceDriftStatus::Deleted)
        .send()
        .await?;
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    Ok(answer
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
            resource: text(drift.logical_resource_id()),
            kind: text(drift.resource_type()),
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
