//! A fake stack whose ECS service crashes: each poll finds one more stopped task.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;

use super::{Call, FakeAws, Response, query_response};
use crate::cloudformation::ChangeSet;

const SERVICE: &str = "arn:aws:ecs:us-east-1:000000000000:service/shop-dev/app";
const REVISION: &str = "arn:aws:ecs:us-east-1:000000000000:task-definition/app:2";

/// The stack `shop-dev-app` during an update. The update is rolled back once it is cancelled.
pub struct FakeCrashLoop {
    /// True if the service has a circuit breaker.
    breaker: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    started: bool,
    cancelled: bool,
    stopped_tasks: u32,
    calls: Vec<String>,
}

impl FakeCrashLoop {
    /// The name of its only stack.
    pub const STACK: &str = "shop-dev-app";
    const STACK_ID: &str = "arn:aws:cloudformation:us-east-1:000000000000:stack/shop-dev-app/1";

    /// Creates the scenario; `breaker` enables the circuit breaker.
    pub fn new(breaker: bool) -> Arc<Self> {
        Arc::new(Self {
            breaker,
            state: Mutex::default(),
        })
    }

    /// Starts a server that answers for it.
    pub async fn start(self: &Arc<Self>) -> FakeAws {
        self.start_with(|_, _| None).await
    }

    /// Starts the endpoint; `interfere` may answer a call first, by whether the update has started.
    pub async fn start_with(
        self: &Arc<Self>,
        interfere: impl Fn(&Call, bool) -> Option<Response> + Send + Sync + 'static,
    ) -> FakeAws {
        let fake = self.clone();
        FakeAws::start(move |call| {
            let started = fake.state.lock().started;
            interfere(call, started).unwrap_or_else(|| fake.respond(call))
        })
        .await
    }

    /// Returns a change set of the stack.
    pub fn change_set(creates: bool) -> ChangeSet {
        ChangeSet {
            id: "set".into(),
            stack_id: Self::STACK_ID.into(),
            creates,
            changes: Vec::new(),
        }
    }

    /// Returns the number of calls of an operation.
    pub fn calls(&self, operation: &str) -> usize {
        let state = self.state.lock();
        state.calls.iter().filter(|name| *name == operation).count()
    }

    fn respond(&self, call: &Call) -> Response {
        let mut state = self.state.lock();
        state.calls.push(call.operation.clone());
        let json = match call.operation.as_str() {
            "ExecuteChangeSet" => {
                state.started = true;
                return query_response(&call.operation, "");
            }
            "CancelUpdateStack" => {
                state.cancelled = true;
                return query_response(&call.operation, "");
            }
            "DescribeStackEvents" => return query_response(&call.operation, &events(&state)),
            "DescribeServices" => self.service(state.stopped_tasks),
            "ListTasks" if call.json()["desiredStatus"] == "STOPPED" => {
                state.stopped_tasks += 1;
                let arns: Vec<String> = (1..=state.stopped_tasks).map(task_arn).collect();
                json!({ "taskArns": arns })
            }
            "ListTasks" => json!({ "taskArns": [] }),
            "DescribeTasks" => tasks(call),
            "DescribeTaskDefinition" => task_definition(),
            "GetLogEvents" => json!({ "events": [{ "timestamp": 1, "message": "no such mode" }] }),
            other => panic!("{other} was not expected"),
        };
        Some((200, json.to_string()))
    }

    fn service(&self, failed: u32) -> serde_json::Value {
        json!({ "services": [{
            "serviceName": "app", "desiredCount": 40, "status": "ACTIVE",
            "deploymentConfiguration": { "deploymentCircuitBreaker": { "enable": self.breaker, "rollback": true } },
            "deployments": [
                { "status": "PRIMARY", "taskDefinition": REVISION, "desiredCount": 40, "runningCount": 0,
                  "pendingCount": 1, "failedTasks": failed, "rolloutState": "IN_PROGRESS" },
            ],
        }] })
    }
}

fn events(state: &State) -> String {
    let event = |id: u32, resource: &str, physical: &str, resource_type: &str, status: &str, reason: &str| {
        format!(
            "<member><EventId>{id}</EventId><StackId>{stack_id}</StackId><StackName>{stack}</StackName>\
             <LogicalResourceId>{resource}</LogicalResourceId><PhysicalResourceId>{physical}</PhysicalResourceId>\
             <ResourceType>{resource_type}</ResourceType><ResourceStatus>{status}</ResourceStatus>\
             <ResourceStatusReason>{reason}</ResourceStatusReason>\
             <Timestamp>2026-01-02T03:04:0{id}Z</Timestamp></member>",
            stack_id = FakeCrashLoop::STACK_ID,
            stack = FakeCrashLoop::STACK,
        )
    };
    let (name, stack_id) = (FakeCrashLoop::STACK, FakeCrashLoop::STACK_ID);
    let stack = |id, status, reason| event(id, name, stack_id, "AWS::CloudFormation::Stack", status, reason);
    let service = |id, status, reason| event(id, "Service", SERVICE, "AWS::ECS::Service", status, reason);
    let mut all = Vec::new();
    if state.started {
        all.push(stack(1, "UPDATE_IN_PROGRESS", "User Initiated"));
        all.push(service(2, "UPDATE_IN_PROGRESS", ""));
    }
    if state.cancelled {
        all.push(stack(3, "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated"));
        all.push(service(4, "UPDATE_FAILED", "Resource update cancelled"));
        all.push(stack(5, "UPDATE_ROLLBACK_COMPLETE", ""));
    }
    all.reverse();
    format!("<StackEvents>{}</StackEvents>", all.concat())
}

fn task_arn(number: u32) -> String {
    format!("arn:aws:ecs:us-east-1:000000000000:task/shop-dev/{number:04}")
}

fn tasks(call: &Call) -> serde_json::Value {
    let requested = call.json()["tasks"].as_array().cloned().unwrap_or_default();
    let tasks = requested.iter().map(|arn| {
        json!({
            "taskArn": arn, "taskDefinitionArn": REVISION, "lastStatus": "STOPPED", "stoppedAt": 4_000_000_000_u64,
            "stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited",
            "containers": [{ "name": "app", "exitCode": 2 }],
        })
    });
    json!({ "tasks": tasks.collect::<Vec<_>>() })
}

fn task_definition() -> serde_json::Value {
    let options = json!({ "awslogs-group": "/ecs/app", "awslogs-stream-prefix": "app", "awslogs-region": "us-east-1" });
    json!({ "taskDefinition": { "containerDefinitions": [
        { "name": "app", "logConfiguration": { "logDriver": "awslogs", "options": options } },
    ] } })
}
