//! Operations against a scripted endpoint: crash loops, and an endpoint that is gone for a while.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use super::apply::apply;
use super::change::ChangeSet;
use crate::error::Result;
use crate::target::scripted::Scripted;
use ui::{Event, Ui};

const STACK: &str = "arn:aws:cloudformation:us-east-1:000000000000:stack/shop-dev-app/1";
const SERVICE: &str = "arn:aws:ecs:us-east-1:000000000000:service/shop-dev/app";
const REVISION: &str = "arn:aws:ecs:us-east-1:000000000000:task-definition/app:2";

/// A stack whose service crashes: each look finds one task more that has stopped.
struct Crashing {
    breaker: bool,
    begun: Mutex<bool>,
    ended: Mutex<bool>,
    stopped: AtomicU32,
    called: Mutex<Vec<String>>,
}

impl Crashing {
    fn new(breaker: bool) -> Arc<Self> {
        Arc::new(Self {
            breaker,
            begun: Mutex::new(false),
            ended: Mutex::new(false),
            stopped: AtomicU32::new(0),
            called: Mutex::default(),
        })
    }

    fn answer(&self, operation: &str, body: &str) -> String {
        self.called.lock().expect("whole").push(operation.to_owned());
        match operation {
            "ExecuteChangeSet" => *self.begun.lock().expect("whole") = true,
            "CancelUpdateStack" => *self.ended.lock().expect("whole") = true,
            "DescribeStackEvents" => return self.events(),
            "DescribeServices" => return self.service(),
            "ListTasks" if body.contains("STOPPED") => {
                let count = self.stopped.fetch_add(1, Ordering::Relaxed) + 1;
                let arns: Vec<String> = (1..=count).map(arn).collect();
                return json!({ "taskArns": arns }).to_string();
            }
            "ListTasks" => return json!({ "taskArns": [] }).to_string(),
            "DescribeTasks" => return tasks(body),
            "DescribeTaskDefinition" => return definition(),
            "GetLogEvents" => return json!({ "events": [{ "timestamp": 1, "message": "no such mode" }] }).to_string(),
            other => panic!("{other} was not expected"),
        }
        let result = format!("{operation}Result");
        format!("<{operation}Response><{result}/></{operation}Response>")
    }

    fn events(&self) -> String {
        let event = |id: u32, resource: &str, physical: &str, kind: &str, status: &str, reason: &str| {
            format!(
                "<member><EventId>{id}</EventId><StackId>{STACK}</StackId><StackName>shop-dev-app</StackName>\
                 <LogicalResourceId>{resource}</LogicalResourceId><PhysicalResourceId>{physical}</PhysicalResourceId>\
                 <ResourceType>{kind}</ResourceType><ResourceStatus>{status}</ResourceStatus>\
                 <ResourceStatusReason>{reason}</ResourceStatusReason>\
                 <Timestamp>2026-01-02T03:04:0{id}Z</Timestamp></member>"
            )
        };
        let stack = |id, status, reason| event(id, "shop-dev-app", STACK, "AWS::CloudFormation::Stack", status, reason);
        let service = |id, status, reason| event(id, "Service", SERVICE, "AWS::ECS::Service", status, reason);
        let mut all = Vec::new();
        if *self.begun.lock().expect("whole") {
            all.push(stack(1, "UPDATE_IN_PROGRESS", "User Initiated"));
            all.push(service(2, "UPDATE_IN_PROGRESS", ""));
        }
        if *self.ended.lock().expect("whole") {
            all.push(stack(3, "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated"));
            all.push(service(4, "UPDATE_FAILED", "Resource update cancelled"));
            all.push(stack(5, "UPDATE_ROLLBACK_COMPLETE", ""));
        }
        all.reverse();
        format!(
            "<DescribeStackEventsResponse><DescribeStackEventsResult><StackEvents>{}</StackEvents>\
             </DescribeStackEventsResult></DescribeStackEventsResponse>",
            all.concat()
        )
    }

    fn service(&self) -> String {
        let failed = self.stopped.load(Ordering::Relaxed);
        json!({ "services": [{
            "serviceName": "app", "desiredCount": 40, "status": "ACTIVE",
            "deploymentConfiguration": { "deploymentCircuitBreaker": { "enable": self.breaker, "rollback": true } },
            "deployments": [
                { "status": "PRIMARY", "taskDefinition": REVISION, "desiredCount": 40, "runningCount": 0,
                  "pendingCount": 1, "failedTasks": failed, "rolloutState": "IN_PROGRESS" },
            ],
        }] })
        .to_string()
    }

    fn calls(&self, operation: &str) -> usize {
        let called = self.called.lock().expect("whole");
        called.iter().filter(|name| *name == operation).count()
    }
}

fn arn(number: u32) -> String {
    format!("arn:aws:ecs:us-east-1:000000000000:task/shop-dev/{number:04}")
}

fn tasks(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let asked = body["tasks"].as_array().cloned().unwrap_or_default();
    let tasks = asked.iter().map(|arn| {
        json!({
            "taskArn": arn, "taskDefinitionArn": REVISION, "lastStatus": "STOPPED", "stoppedAt": 4_000_000_000_u64,
            "stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited",
            "containers": [{ "name": "app", "exitCode": 2 }],
        })
    });
    json!({ "tasks": tasks.collect::<Vec<_>>() }).to_string()
}

fn definition() -> String {
    let options = json!({ "awslogs-group": "/ecs/app", "awslogs-stream-prefix": "app", "awslogs-region": "us-east-1" });
    json!({ "taskDefinition": { "containerDefinitions": [
        { "name": "app", "logConfiguration": { "logDriver": "awslogs", "options": options } },
    ] } })
    .to_string()
}

async fn applied(crashing: &Arc<Crashing>, creates: bool) -> (Result<String>, Vec<Event>) {
    let script = crashing.clone();
    let endpoint = Scripted::start(move |operation, body| Some((200, script.answer(operation, body)))).await;
    let (ui, said) = Ui::recording();
    let set = ChangeSet {
        id: "set".into(),
        stack_id: STACK.into(),
        creates,
        changes: Vec::new(),
    };
    let aws = endpoint.aws(&ui).await;
    let result = apply(&aws, &ui, "shop-dev-app", &set, None, Duration::from_secs(30)).await;
    let said = said.lock().clone();
    (result, said)
}

#[tokio::test]
async fn an_update_with_a_proved_crash_loop_is_cancelled_long_before_its_breaker_trips() {
    let crashing = Crashing::new(true);
    let (result, said) = applied(&crashing, false).await;
    let error = result.expect_err("it fails");
    assert_eq!(error.exit_code(), 4);
    insta::assert_snapshot!(error);
    assert_eq!(crashing.calls("CancelUpdateStack"), 1);
    let stopped = said.iter().filter_map(|event| match event {
        Event::TaskStopped { log, times, .. } => Some((*times, log.join("/"))),
        _ => None,
    });
    let stopped: Vec<_> = stopped.take(3).collect();
    assert_eq!(
        stopped,
        [1, 2, 3].map(|times| (times, "no such mode".to_owned())),
        "each task once, with its log, before the rollback"
    );
    assert!(said.iter().any(|event| matches!(event, Event::Rollout { .. })));
}

#[tokio::test]
async fn a_creation_without_a_breaker_is_not_waited_for() {
    let crashing = Crashing::new(false);
    let (result, _) = applied(&crashing, true).await;
    let error = result.expect_err("it is left");
    assert_eq!(error.exit_code(), 6);
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap_or_default()));
    assert_eq!(crashing.calls("CancelUpdateStack"), 0, "a creation cannot be cancelled");
}

#[tokio::test]
async fn an_endpoint_that_is_gone_for_a_while_is_waited_for_and_the_operation_taken_up_again() {
    let crashing = Crashing::new(true);
    let (script, asked) = (crashing.clone(), AtomicU32::new(0));
    let endpoint = Scripted::start(move |operation, body| {
        // It is gone for the first looks after the beginning: two tries each.
        let gone = *script.begun.lock().expect("whole") && asked.fetch_add(1, Ordering::Relaxed) < 4;
        (!gone).then(|| (200, script.answer(operation, body)))
    })
    .await;
    let (ui, said) = Ui::recording();
    let aws = endpoint.aws(&ui).await;
    let set = ChangeSet {
        id: "set".into(),
        stack_id: STACK.into(),
        creates: false,
        changes: Vec::new(),
    };
    let result = apply(&aws, &ui, "shop-dev-app", &set, None, Duration::from_secs(30)).await;
    assert_eq!(result.expect_err("the operation's own end").exit_code(), 4);
    let said = said.lock();
    let back = said
        .iter()
        .any(|event| matches!(event, Event::Note { text } if text.starts_with("the endpoint answers again")));
    assert!(back, "{said:#?}");
}
