//! Service Quotas: the quotas that deployments meet, with values that do not limit this machine unless they are set.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::records::page;
use crate::service::Call;
use crate::{AwsError, Context, Service};

/// The value of a quota that was not set.
const UNLIMITED: f64 = 10_000.0;

/// A quota of AWS.
struct Quota {
    service: &'static str,
    code: &'static str,
    name: &'static str,
    /// AWS's value for a new account ("Service endpoints and quotas" of the service in the AWS General Reference).
    default: f64,
}

const fn quota(service: &'static str, code: &'static str, name: &'static str, default: f64) -> Quota {
    Quota {
        service,
        code,
        name,
        default,
    }
}

const QUOTAS: &[Quota] = &[
    quota("fargate", "L-3032A538", "Fargate On-Demand vCPU resource count", 6.0),
    quota("fargate", "L-36FBB829", "Fargate Spot vCPU resource count", 6.0),
    quota("vpc", "L-F678F1CE", "VPCs per Region", 5.0),
    quota("vpc", "L-FE5A380F", "NAT gateways per Availability Zone", 5.0),
    quota("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", 5.0),
    quota(
        "elasticloadbalancing",
        "L-53DA6B97",
        "Application Load Balancers per Region",
        50.0,
    ),
    quota("rds", "L-7B6409FD", "DB instances", 40.0),
    quota("kafka", "L-EDD31C36", "Number of brokers per account", 90.0),
];

/// Returns the Service Quotas service.
pub fn service() -> Arc<dyn Service> {
    Arc::new(ServiceQuotas)
}

struct ServiceQuotas;

#[async_trait]
impl Service for ServiceQuotas {
    fn name(&self) -> &'static str {
        "servicequotas"
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        let applied = |quota: &Quota| cx.config().behavior.quota(quota.code).unwrap_or(UNLIMITED);
        match call.operation.as_str() {
            "GetServiceQuota" => {
                let quota = find(&call)?;
                Ok(json!({"Quota": description(cx, quota, applied(quota))}))
            }
            "GetAWSDefaultServiceQuota" => {
                let quota = find(&call)?;
                Ok(json!({"Quota": description(cx, quota, quota.default)}))
            }
            "ListServiceQuotas" => {
                let service = call.required("ServiceCode")?;
                let quotas = QUOTAS.iter().filter(|quota| quota.service == service);
                let shown: Vec<Value> = quotas.map(|quota| description(cx, quota, applied(quota))).collect();
                let limit = call.limit("MaxResults", 100, 1..=100);
                let (shown, next) = page(shown, limit, call.text("NextToken").as_deref())?;
                Ok(json!({"Quotas": shown, "NextToken": next}))
            }
            other => Err(AwsError::not_implemented("servicequotas", other)),
        }
    }
}

fn find(call: &Call) -> Result<&'static Quota, AwsError> {
    let (service, code) = (call.required("ServiceCode")?, call.required("QuotaCode")?);
    let found = QUOTAS
        .iter()
        .find(|quota| quota.service == service && quota.code == code);
    found.ok_or_else(|| {
        AwsError::new(
            "NoSuchResourceException",
            format!("The request failed because the quota {code} of the service {service} does not exist."),
        )
    })
}

fn description(cx: &Context, quota: &Quota, value: f64) -> Value {
    json!({
        "ServiceCode": quota.service, "ServiceName": quota.service, "QuotaCode": quota.code, "QuotaName": quota.name,
        "QuotaArn": cx.arn("servicequotas", &format!("{}/{}", quota.service, quota.code)),
        "Value": value, "Unit": "None", "Adjustable": true, "GlobalQuota": false,
    })
}
