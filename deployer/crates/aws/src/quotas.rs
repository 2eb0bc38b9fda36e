//! Service quotas of the account, and the usage of Fargate.

use serde_json::json;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::error::Result;
use crate::session::Session;
use crate::signed_request::{
    DESCRIBE_DB_ACCOUNT_ATTRIBUTES, GET_AWS_DEFAULT_SERVICE_QUOTA, GET_METRIC_STATISTICS, GET_SERVICE_QUOTA, items,
};

/// The period of a datapoint in seconds, and the number of the latest periods of which the maximum is taken.
const PERIOD: u32 = 300;
const PERIODS: u32 = 3;

/// A quota of Service Quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Such as `fargate`.
    pub service: &'static str,
    /// Such as `L-3032A538`, the same in every region.
    pub code: &'static str,
}

/// Returns the value of a quota in this account and region; its default where the account never requested another. `None` for a
/// quota that does not exist here.
///
/// # Errors
/// The request fails.
pub async fn value(aws: &Session, quota: Quota) -> Result<Option<f64>> {
    let input = json!({ "ServiceCode": quota.service, "QuotaCode": quota.code });
    for operation in [GET_SERVICE_QUOTA, GET_AWS_DEFAULT_SERVICE_QUOTA] {
        match aws.signed.call(operation, &input).await {
            Ok(response) => return Ok(response["Quota"]["Value"].as_f64()),
            Err(error) if error.code() == "NoSuchResourceException" => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Returns the vCPUs of the account's Fargate tasks, by the usage metric of the class `OnDemand` or `Spot`. CloudWatch has no
/// datapoint while there is no task (Amazon ECS Developer Guide: "AWS Fargate usage metrics").
///
/// # Errors
/// The request fails.
pub async fn fargate_vcpus(aws: &Session, class: &str) -> Result<f64> {
    let now = OffsetDateTime::now_utc();
    let time = |at: OffsetDateTime| {
        at.replace_nanosecond(0)
            .unwrap_or(at)
            .format(&Rfc3339)
            .unwrap_or_default()
    };
    let dimensions = [
        ("Service", "Fargate".to_owned()),
        ("Type", "Resource".to_owned()),
        ("Resource", "vCPU".to_owned()),
        ("Class", format!("Standard/{class}")),
    ];
    let mut input = json!({
        "Namespace": "AWS/Usage",
        "MetricName": "ResourceCount",
        "StartTime": time(now - Duration::seconds((PERIOD * PERIODS).into())),
        "EndTime": time(now),
        "Period": PERIOD.to_string(),
        "Statistics.member.1": "Maximum",
    });
    for (index, (name, value)) in (1..).zip(dimensions) {
        input[format!("Dimensions.member.{index}.Name")] = name.into();
        input[format!("Dimensions.member.{index}.Value")] = value.into();
    }
    let response = aws.signed.call(GET_METRIC_STATISTICS, &input).await?;
    let datapoints = items(&response["Datapoints"], "member");
    let maxima = datapoints
        .into_iter()
        .filter_map(|one| one["Maximum"].as_str()?.parse::<f64>().ok());
    Ok(maxima.fold(0.0, f64::max))
}

/// Returns the number of the account's DB instances, as RDS counts them for its quota.
///
/// # Errors
/// The request fails.
pub async fn db_instances(aws: &Session) -> Result<usize> {
    let response = aws.signed.call(DESCRIBE_DB_ACCOUNT_ATTRIBUTES, &json!({})).await?;
    let quotas = items(&response["AccountQuotas"], "AccountQuota");
    let used = quotas.into_iter().find_map(|quota| {
        let named = quota["AccountQuotaName"] == "DBInstances";
        quota["Used"].as_str().filter(|_| named)?.parse().ok()
    });
    Ok(used.unwrap_or_default())
}
