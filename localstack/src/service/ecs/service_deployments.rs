//! `ListServiceDeployments` and `DescribeServiceDeployments`: the deployments that a service still has.

use serde_json::{Value, json};

use super::model::{self, Deployment, RolloutState, Service, ShiftStage, Status, Task};
use super::services::cluster_and_name;
use super::{deployment_configuration, rolling_update, traffic_shift};
use crate::records::seconds;
use crate::service::Call;
use crate::{AwsError, Context};

pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (cluster, name) = cluster_and_name(cx, &call.input, &call.required("service")?)?;
    let missing = || AwsError::new("ServiceNotFoundException", "Service not found.");
    let service = model::service(cx, &cluster, &name)?.ok_or_else(missing)?;
    let statuses = call.texts("status");
    let briefs = service
        .deployments
        .iter()
        .map(|deployment| brief(cx, &service, deployment));
    let briefs =
        briefs.filter(|brief| statuses.is_empty() || statuses.iter().any(|status| brief["status"] == **status));
    Ok(json!({"serviceDeployments": briefs.collect::<Vec<_>>()}))
}

pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let tasks = model::tasks(cx)?;
    let services = model::services(cx)?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for requested in call.texts("serviceDeploymentArns") {
        let deployment = services.iter().find_map(|service| {
            let mut deployments = service.deployments.iter();
            deployments
                .find(|deployment| arn(cx, service, deployment) == requested)
                .map(|deployment| (service, deployment))
        });
        match deployment {
            Some((service, deployment)) => found.push(details(cx, service, deployment, &tasks)),
            None => failures.push(json!({"arn": requested, "reason": "MISSING"})),
        }
    }
    Ok(json!({"serviceDeployments": found, "failures": failures}))
}

fn arn(cx: &Context, service: &Service, deployment: &Deployment) -> String {
    named(cx, "service-deployment", service, deployment)
}

fn revision_arn(cx: &Context, service: &Service, deployment: &Deployment) -> String {
    named(cx, "service-revision", service, deployment)
}

fn named(cx: &Context, kind: &str, service: &Service, deployment: &Deployment) -> String {
    let id = deployment.id.rsplit('/').next().unwrap_or_default();
    cx.arn("ecs", &format!("{kind}/{}/{}/{id}", service.cluster, service.name))
}

fn status(service: &Service, deployment: &Deployment) -> &'static str {
    let is_resumed = |d: &Deployment| d.rolled_back && d.rollout_state == RolloutState::InProgress;
    match deployment.rollout_state {
        RolloutState::Completed => "SUCCESSFUL",
        RolloutState::InProgress if deployment.rolled_back => "SUCCESSFUL",
        RolloutState::InProgress => "IN_PROGRESS",
        RolloutState::Failed if service.deployments.iter().any(is_resumed) => "ROLLBACK_IN_PROGRESS",
        RolloutState::Failed if service.deployments.iter().any(|d| d.rolled_back) => "ROLLBACK_SUCCESSFUL",
        RolloutState::Failed => "STOPPED",
    }
}

fn brief(cx: &Context, service: &Service, deployment: &Deployment) -> Value {
    let mut shown = json!({
        "serviceDeploymentArn": arn(cx, service, deployment), "serviceArn": service.arn,
        "clusterArn": model::cluster_arn(cx, &service.cluster), "createdAt": seconds(deployment.created),
        "startedAt": seconds(deployment.created), "targetServiceRevisionArn": revision_arn(cx, service, deployment),
        "status": status(service, deployment), "statusReason": deployment.reason,
    });
    if deployment.rollout_state != RolloutState::InProgress {
        shown["finishedAt"] = seconds(deployment.updated);
    }
    shown
}

fn details(cx: &Context, service: &Service, deployment: &Deployment, tasks: &[Task]) -> Value {
    let revision = |of: &Deployment, weight: f64| {
        let own = || {
            let of_deployment = |t: &&Task| service.owns(t) && t.deployment.as_ref() == Some(&of.id);
            tasks.iter().filter(of_deployment)
        };
        json!({
            "arn": revision_arn(cx, service, of), "requestedTaskCount": service.desired,
            "runningTaskCount": own().filter(|t| t.last_status == Status::Running).count(),
            "pendingTaskCount": own().filter(|t| t.last_status < Status::Running).count(),
            "requestedProductionTrafficWeight": weight,
        })
    };
    let spec = &deployment.spec;
    let percent = match (&deployment.shift, deployment.rollout_state) {
        (Some(shift), RolloutState::InProgress) => shift.percent,
        (_, RolloutState::Failed) => 0.0,
        _ => 100.0,
    };
    let mut shown = brief(cx, service, deployment);
    shown["updatedAt"] = seconds(deployment.updated);
    shown["targetServiceRevision"] = revision(deployment, percent);
    shown["sourceServiceRevisions"] = traffic_shift::former(service)
        .map(|n| &service.deployments[n])
        .filter(|former| former.id != deployment.id)
        .into_iter()
        .map(|former| revision(former, 100.0 - percent))
        .collect();
    shown["deploymentConfiguration"] = deployment_configuration::describe(spec);
    let stage = deployment
        .shift
        .as_ref()
        .map_or(ShiftStage::ScaleUp, |shift| shift.stage);
    if deployment.rollout_state == RolloutState::InProgress {
        shown["lifecycleStage"] = stage.name().into();
    }
    let status = match (spec.circuit_breaker, deployment.rollout_state) {
        (false, _) => "DISABLED",
        (true, RolloutState::InProgress) => "MONITORING",
        (true, RolloutState::Failed) if deployment.triggered_alarms.is_empty() => "TRIGGERED",
        (true, _) => "MONITORING_COMPLETE",
    };
    shown["deploymentCircuitBreaker"] = json!({
        "status": status, "failureCount": deployment.failed_tasks,
        "threshold": rolling_update::failure_threshold(service.desired),
    });
    if !spec.alarms.is_empty() {
        let status = match deployment.rollout_state {
            _ if !deployment.triggered_alarms.is_empty() => "TRIGGERED",
            RolloutState::InProgress => "MONITORING",
            _ => "MONITORING_COMPLETE",
        };
        shown["alarms"] = json!({
            "status": status, "alarmNames": spec.alarms, "triggeredAlarmNames": deployment.triggered_alarms,
        });
    }
    shown
}
