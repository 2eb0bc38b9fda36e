//! Service quotas that the plan exceeds.

use aws::quotas::Quota;

/// A quota of the account that is too small.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuotaProblem {
    #[error("the quota \"{name}\" is {value} in {region}, {used} exist, and {needed} more are needed")]
    Exceeded {
        quota: Quota,
        name: &'static str,
        needed: usize,
        used: usize,
        value: f64,
        region: String,
    },
    #[error(
        "the quota \"{name}\" is {value} in {region}, other tasks use {others}, and this environment needs {start} to start, {rollout} \
         during a rollout of all services at once, and {maximum} when all are scaled out"
    )]
    Fargate {
        quota: Quota,
        name: &'static str,
        /// vCPUs.
        start: f64,
        rollout: f64,
        maximum: f64,
        /// vCPUs of tasks that are not this environment's.
        others: f64,
        value: f64,
        region: String,
    },
}

impl QuotaProblem {
    /// Returns how to request a higher quota.
    pub fn hint(&self) -> String {
        let (Quota { service, code }, region, value) = match self {
            Self::Exceeded {
                quota,
                needed,
                used,
                region,
                ..
            } => (*quota, region, (needed + used) as f64),
            Self::Fargate {
                quota,
                rollout,
                maximum,
                others,
                region,
                ..
            } => (*quota, region, rollout.max(*maximum) + others),
        };
        format!(
            "request more: `aws service-quotas request-service-quota-increase --region {region} --service-code {service} --quota-code \
             {code} --desired-value {}` (https://console.aws.amazon.com/servicequotas/home/services/{service}/quotas/{code})",
            value.ceil()
        )
    }
}
