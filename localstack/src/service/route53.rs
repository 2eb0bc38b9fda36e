//! Amazon Route 53: the resource type of health checks alone. They are stored and checked; the endpoint sends no requests for them, and has
//! no operations of this service.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::records::{Record, RecordType, Records, record_type, scalar};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Resource, ResourceType, Schema, Service};

const HEALTH_CHECKS: Records = Records("route53.health-checks");

/// The types with the members that each of them needs; of alternatives one (API reference, `HealthCheckConfig`).
const TYPES: &[(&str, &[&[&str]])] = &[
    ("HTTP", &[&["IPAddress", "FullyQualifiedDomainName"]]),
    ("HTTPS", &[&["IPAddress", "FullyQualifiedDomainName"]]),
    (
        "HTTP_STR_MATCH",
        &[&["IPAddress", "FullyQualifiedDomainName"], &["SearchString"]],
    ),
    (
        "HTTPS_STR_MATCH",
        &[&["IPAddress", "FullyQualifiedDomainName"], &["SearchString"]],
    ),
    ("TCP", &[&["IPAddress", "FullyQualifiedDomainName"], &["Port"]]),
    ("CALCULATED", &[&["ChildHealthChecks"], &["HealthThreshold"]]),
    (
        "CLOUDWATCH_METRIC",
        &[&["AlarmIdentifier"], &["InsufficientDataHealthStatus"]],
    ),
    ("RECOVERY_CONTROL", &[&["RoutingControlArn"]]),
];

/// Returns the Route 53 service.
pub fn service() -> Arc<dyn Service> {
    Arc::new(Route53)
}

struct Route53;

#[async_trait]
impl Service for Route53 {
    fn name(&self) -> &'static str {
        "route53"
    }

    fn is_global(&self) -> bool {
        true
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![record_type::<HealthCheck>()]
    }

    async fn call(&self, _: &Context, call: Call) -> Result<Value, AwsError> {
        Err(AwsError::not_implemented("route53", &call.operation))
    }
}

struct HealthCheck;

impl RecordType for HealthCheck {
    const TYPE: &'static str = "AWS::Route53::HealthCheck";
    const RECORDS: Records = HEALTH_CHECKS;

    fn schema() -> Schema {
        Schema {
            properties: &["HealthCheckConfig", "HealthCheckTags"],
            required: &["HealthCheckConfig"],
            create_only: &[
                "HealthCheckConfig/Type",
                "HealthCheckConfig/MeasureLatency",
                "HealthCheckConfig/RequestInterval",
            ],
            attributes: &["HealthCheckId"],
            ..Schema::default()
        }
    }

    fn create(_: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let record = Record::new(uuid::Uuid::new_v4().to_string(), desired);
        check(&record)?;
        Ok(record)
    }

    fn resource(_: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("HealthCheckId", record.id.clone())
    }

    fn update(_: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(record)
    }
}

/// Checks the members of a health check that its type decides.
fn check(record: &Record) -> Result<(), AwsError> {
    let config = &record.properties["HealthCheckConfig"];
    let invalid = |reason: String| AwsError::new("InvalidInput", format!("Invalid health check config: {reason}"));
    let declared = config["Type"].as_str().unwrap_or_default();
    let known = TYPES.iter().find(|(name, _)| *name == declared);
    let (_, needed) = known.ok_or_else(|| invalid(format!("{declared:?} is not a type")))?;
    let is_missing = |members: &&&[&str]| members.iter().all(|member| config[*member].is_null());
    if let Some(members) = needed.iter().find(is_missing) {
        return Err(invalid(format!("the type {declared} needs {}", members.join(" or "))));
    }
    let number = |member: &str| config.get(member).and_then(scalar).map(|text| text.parse::<u64>().ok());
    if number("RequestInterval").is_some_and(|seconds| !matches!(seconds, Some(10 | 30))) {
        return Err(invalid("RequestInterval must be 10 or 30".to_owned()));
    }
    if number("FailureThreshold").is_some_and(|count| !matches!(count, Some(1..=10))) {
        return Err(invalid("FailureThreshold must be 1 to 10".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_health_check_has_what_its_type_needs() {
        let checked = |config: Value| check(&Record::from_properties("id", json!({"HealthCheckConfig": config})));
        for valid in [
            json!({"Type": "HTTPS", "FullyQualifiedDomainName": "example.com", "RequestInterval": 30}),
            json!({"Type": "CALCULATED", "ChildHealthChecks": ["a"], "HealthThreshold": 1}),
        ] {
            assert!(checked(valid.clone()).is_ok(), "{valid}");
        }
        for invalid in [
            json!({"Type": "PING", "IPAddress": "10.0.0.1"}),
            json!({"Type": "HTTPS"}),
            json!({"Type": "TCP", "IPAddress": "10.0.0.1"}),
            json!({"Type": "HTTP", "IPAddress": "10.0.0.1", "RequestInterval": "20"}),
            json!({"Type": "HTTP", "IPAddress": "10.0.0.1", "FailureThreshold": 11}),
        ] {
            assert_eq!(checked(invalid.clone()).unwrap_err().code, "InvalidInput", "{invalid}");
        }
    }
}
