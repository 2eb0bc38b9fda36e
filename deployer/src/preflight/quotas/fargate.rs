//! The vCPUs of Fargate: of the first start, of a rollout of every service at once, and of the maximum of scaling.
//!
//! ECS does not fail where the quota is exhausted: it retries, and the deployment circuit breaker does not count tasks that cannot be
//! placed (aws/copilot-cli 2685).

use aws::quotas::{self, Quota};
use aws::{Result, Session};
use platform::stacks::{Plan, Stack};
use serde_json::Value;

use super::super::problem::QuotaProblem;
use super::super::{PreflightFinding, fatal, warning};

/// The capacity providers: the class of the usage metric, the quota and its name ("Amazon ECS endpoints and quotas"). The default of a
/// region is 6 vCPUs, that of a new account less.
const PROVIDERS: [(&str, &str, &str, &str); 2] = [
    (
        "FARGATE",
        "OnDemand",
        "L-3032A538",
        "Fargate On-Demand vCPU resource count",
    ),
    ("FARGATE_SPOT", "Spot", "L-36FBB829", "Fargate Spot vCPU resource count"),
];

/// The tasks of one service.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Load {
    is_new: bool,
    /// vCPUs of a task.
    size: f64,
    /// Tasks at the start, during a rollout, and at the maximum of scaling.
    start: f64,
    rollout: f64,
    maximum: f64,
}

/// Compares the services of each capacity provider with its quota.
///
/// # Errors
/// A request fails.
pub async fn check(aws: &Session, plan: &Plan, new: &[&Stack]) -> Result<Vec<PreflightFinding>> {
    let mut findings = Vec::new();
    for (provider, class, code, name) in PROVIDERS {
        let loads: Vec<Load> = plan
            .stacks
            .iter()
            .filter_map(|stack| load(stack, provider, new.iter().any(|new| new.name == stack.name)))
            .collect();
        if loads.is_empty() {
            continue;
        }
        let quota = Quota {
            service: "fargate",
            code,
        };
        let (value, running) = tokio::join!(quotas::value(aws, quota), quotas::fargate_vcpus(aws, class));
        let (Some(value), running) = (value?, running?) else {
            continue;
        };
        let sum = |of: fn(&Load) -> f64| loads.iter().map(of).sum::<f64>();
        // The metric counts the environment's own tasks too.
        let own = sum(|load| if load.is_new { 0.0 } else { load.start * load.size });
        let others = (running - own).max(0.0);
        let problem = QuotaProblem::Fargate {
            quota,
            name,
            start: sum(|load| load.start * load.size),
            rollout: sum(|load| load.rollout * load.size),
            maximum: sum(|load| load.maximum * load.size),
            others,
            value,
            region: aws.region().to_owned(),
        };
        findings.extend(assess(problem, loads.iter().any(|load| load.is_new)));
    }
    Ok(findings)
}

/// A first start that does not fit cannot succeed; a rollout or a maximum that does not is only known.
fn assess(problem: QuotaProblem, starts: bool) -> Option<PreflightFinding> {
    let QuotaProblem::Fargate {
        start,
        rollout,
        maximum,
        others,
        value,
        ..
    } = &problem
    else {
        return None;
    };
    if starts && start + others > *value {
        return Some(fatal(problem));
    }
    (rollout.max(*maximum) + others > *value).then(|| warning(problem))
}

/// Returns the tasks of a stack's service on a capacity provider.
fn load(stack: &Stack, provider: &str, is_new: bool) -> Option<Load> {
    let resource = |kind: &str| {
        let all = stack.template["Resources"].as_object()?;
        Some(&all.values().find(|resource| resource["Type"] == kind)?["Properties"])
    };
    let service = resource("AWS::ECS::Service")?;
    let mut strategy = service["CapacityProviderStrategy"].as_array()?.iter();
    if !strategy.any(|one| one["CapacityProvider"] == provider) {
        return None;
    }
    let size = number(&resource("AWS::ECS::TaskDefinition")?["Cpu"])? / 1024.0;
    let scaling = resource("AWS::ApplicationAutoScaling::ScalableTarget");
    let bound = |name: &str| number(&scaling?[name]);
    let start = number(&service["DesiredCount"])
        .or_else(|| bound("MinCapacity"))
        .unwrap_or(1.0);
    let percent = number(&service["DeploymentConfiguration"]["MaximumPercent"]).unwrap_or(200.0);
    Some(Load {
        is_new,
        size,
        start,
        // ECS rounds the number of tasks down.
        rollout: (start * percent / 100.0).floor(),
        maximum: bound("MaxCapacity").unwrap_or(start),
    })
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}
