//! Follows services that roll over past CloudFormation, and shows what a stack's operation would: rollout, stopped tasks.

use std::time::Duration;

use time::OffsetDateTime;

use super::diagnose::Diagnosis;
use super::service_of;
use crate::cloudformation::patience::Patience;
use crate::cloudformation::watch::Seen;
use crate::error::{Error, Result};
use crate::target::Aws;
use ui::{Event, Sentiment, Ui};

const KIND: &str = "AWS::ECS::Service";
/// Clocks may differ by so much, in seconds.
const SKEW: f64 = 5.0;

/// A service on its way to another task definition.
#[derive(Debug, Clone)]
pub struct Rolling {
    /// Full name of its stack.
    pub stack: String,
    /// What the stack calls it.
    pub resource: String,
    pub service: String,
    pub arn: String,
    /// ARN of the task definition that it goes to.
    pub to: String,
}

/// Where a service stands.
enum Stand {
    OnItsWay(String),
    There,
    /// It runs this task definition again.
    Back(String),
}

/// Waits until every one has arrived. The error is the first one's that did not, once all have ended.
pub async fn follow(aws: &Aws, ui: &Ui, services: &[Rolling], limit: Duration) -> Result<()> {
    let all = services.iter().map(|rolling| one(aws, ui, rolling, limit));
    futures::future::join_all(all).await.into_iter().collect()
}

async fn one(aws: &Aws, ui: &Ui, rolling: &Rolling, limit: Duration) -> Result<()> {
    let mut wait = aws.wait(limit);
    let told = |status: &str, reason: Option<String>| Event::Resource {
        stack: rolling.stack.clone(),
        resource: rolling.resource.clone(),
        kind: KIND.to_owned(),
        status: status.to_owned(),
        reason,
        cancelled: false,
    };
    ui.emit(Event::Stack {
        stack: rolling.stack.clone(),
        action: "update",
        resources: 1,
        expected_seconds: None,
    });
    ui.emit(told("UPDATE_IN_PROGRESS", None));
    let result = arrive(aws, ui, rolling, &mut wait).await;
    let (status, reason) = match &result {
        Ok(()) => ("UPDATE_COMPLETE", None),
        Err(error) => ("UPDATE_FAILED", Some(error.to_string())),
    };
    ui.emit(told(status, reason));
    ui.emit(Event::StackEnded {
        stack: rolling.stack.clone(),
        sentiment: Sentiment::of(status),
        status: status.to_owned(),
        seconds: wait.elapsed().as_secs_f32(),
    });
    result
}

async fn arrive(aws: &Aws, ui: &Ui, rolling: &Rolling, wait: &mut crate::target::Wait) -> Result<()> {
    let event = Seen {
        id: String::new(),
        resource: rolling.resource.clone(),
        physical: rolling.arn.clone(),
        kind: KIND.to_owned(),
        status: "UPDATE_IN_PROGRESS".to_owned(),
        reason: None,
        is_stack: false,
        time: OffsetDateTime::now_utc().unix_timestamp() as f64 - SKEW,
    };
    let events = [event];
    let mut diagnosis = Diagnosis::new(&rolling.stack);
    let mut patience = Patience::new(aws.clock);
    loop {
        let before = diagnosis.shown();
        diagnosis.look(aws, ui, &events).await;
        let last = match patience.bear(ui, stand(aws, rolling).await)? {
            Some(Stand::There) => {
                diagnosis.look_now(aws, ui, &events).await;
                return Ok(());
            }
            Some(Stand::Back(task_definition)) => {
                // Why its tasks stopped is told before it is said that they did.
                diagnosis.look_now(aws, ui, &events).await;
                return Err(Error::RolledBack {
                    service: rolling.service.clone(),
                    task_definition,
                });
            }
            Some(Stand::OnItsWay(state)) => Some(state),
            None => None,
        };
        if diagnosis.shown() > before {
            wait.notice();
        }
        wait.within(|| format!("the rollout of {}", rolling.service), || last)?;
        wait.pause().await;
    }
}

async fn stand(aws: &Aws, rolling: &Rolling) -> Result<Stand> {
    let (cluster, name) = service_of(&rolling.arn).unwrap_or(("default", &rolling.arn));
    let request = aws.ecs.describe_services().cluster(cluster).services(name);
    let answer = request.send().await?;
    let gone = || Error::Plan(format!("the service {name} does not run in cluster {cluster} any more"));
    let active = |found: &&aws_sdk_ecs::types::Service| found.status() == Some("ACTIVE");
    let service = answer.services().iter().find(active).ok_or_else(gone)?;
    let now = service.task_definition().unwrap_or_default();
    if now != rolling.to {
        return Ok(Stand::Back(now.to_owned()));
    }
    let state = |deployment: &aws_sdk_ecs::types::Deployment| {
        deployment
            .rollout_state()
            .map_or("COMPLETED", |state| state.as_str())
            .to_owned()
    };
    let states: Vec<String> = service.deployments().iter().map(state).collect();
    let running = format!("{} of {} running", service.running_count(), service.desired_count());
    Ok(match states.as_slice() {
        [one] if one == "COMPLETED" && service.running_count() == service.desired_count() => Stand::There,
        // The circuit breaker has tripped, and may not roll back.
        [one] if one == "FAILED" => Stand::Back(now.to_owned()),
        _ => Stand::OnItsWay(format!("{running}, rollout {}", states.join(", "))),
    })
}
