//! A fake CloudFormation that follows a scenario: the events to which each operation on a stack leads, on a fast clock.
//!
//! ```text
//! 0:00   stack     CREATE_IN_PROGRESS
//! 0:05   Cluster   AWS::MSK::Cluster CREATE_IN_PROGRESS
//! 30:33  Cluster   AWS::MSK::Cluster CREATE_COMPLETE
//! 30:35  stack     CREATE_COMPLETE
//! ```
//!
//! Minutes and seconds since the start of the operation, `stack` or a logical ID, its type, its status, and after a colon the
//! reason. The word `vanishes` instead of a status removes the stack with its history.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Call, FakeAws, Response, error_response, escape_xml, query_response};
use crate::Clock;

/// Seconds of a scenario that pass in one of the test.
pub const SPEED: u32 = 500;

/// The state of the endpoint, and the events of its next operations.
pub struct Scenario {
    /// The clock of the sessions, which runs faster than the machine's.
    pub clock: Clock,
    operations: Mutex<BTreeMap<String, VecDeque<Vec<Event>>>>,
    stacks: Mutex<BTreeMap<String, FakeStack>>,
    calls: Mutex<Vec<(Duration, String)>>,
}

#[derive(Debug, Clone)]
struct Event {
    at: Duration,
    resource: String,
    resource_type: String,
    status: String,
    reason: String,
}

#[derive(Debug, Default)]
struct FakeStack {
    template: String,
    /// The template of a change set that is not executed yet.
    pending: String,
    tags: Vec<(String, String)>,
    /// Events with their time on the clock of the scenario; some are in the future.
    events: Vec<Event>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            clock: Clock::at_speed(SPEED),
            operations: Mutex::default(),
            stacks: Mutex::default(),
            calls: Mutex::default(),
        }
    }
}

impl Scenario {
    /// Adds the events of the next operation on a stack.
    #[must_use]
    pub fn operation(self, stack: &str, events: &str) -> Self {
        let events = events.lines().filter(|line| !line.trim().is_empty()).map(Event::parse);
        let events = events.collect();
        self.operations
            .lock()
            .entry(stack.to_owned())
            .or_default()
            .push_back(events);
        self
    }

    /// Adds a stack that is complete at the start.
    #[must_use]
    pub fn stack(self, name: &str, template: &str) -> Self {
        let stack = FakeStack {
            template: template.to_owned(),
            events: vec![Event::parse("0:00 stack CREATE_COMPLETE")],
            ..FakeStack::default()
        };
        self.stacks.lock().insert(name.to_owned(), stack);
        self
    }

    /// Starts a server that answers for it.
    pub async fn start(self: &Arc<Self>) -> FakeAws {
        self.start_with(|_, _| None).await
    }

    /// Starts the endpoint; `interfere` may answer a call first, by its time.
    pub async fn start_with(
        self: &Arc<Self>,
        interfere: impl Fn(&Call, Duration) -> Option<Response> + Send + Sync + 'static,
    ) -> FakeAws {
        let scenario = self.clone();
        FakeAws::start(move |call| {
            let now = scenario.clock.now();
            scenario.calls.lock().push((now, call.operation.clone()));
            match interfere(call, now) {
                Some(response) => response,
                None => scenario.respond(call, now),
            }
        })
        .await
    }

    /// Returns the times of all calls of an operation.
    pub fn call_times(&self, operation: &str) -> Vec<Duration> {
        let calls = self.calls.lock();
        let own = calls.iter().filter(|(_, name)| name == operation);
        own.map(|(at, _)| *at).collect()
    }

    /// Removes a stack with its history.
    pub fn remove_stack(&self, stack: &str) {
        self.stacks.lock().remove(stack);
    }

    fn respond(&self, call: &Call, now: Duration) -> Response {
        let id_or_name = call.field("StackName");
        let name = id_or_name.split('/').nth(1).unwrap_or(&id_or_name).to_owned();
        let mut stacks = self.stacks.lock();
        stacks.retain(|_, stack| {
            let mut events = stack.events.iter();
            !events.any(|event| event.status == "vanishes" && event.at <= now)
        });
        let result = match call.operation.as_str() {
            "DescribeStacks" if name.is_empty() => {
                let all: String = stacks
                    .iter()
                    .map(|(name, stack)| stack.description(name, now))
                    .collect();
                format!("<Stacks>{all}</Stacks>")
            }
            "CreateChangeSet" => {
                if call.field("ChangeSetType") == "CREATE" {
                    stacks.entry(name.clone()).or_default();
                }
                let Some(stack) = stacks.get_mut(&name) else {
                    return missing(&name);
                };
                stack.pending = call.field("TemplateBody");
                let tag = |number: usize| {
                    let field = |name: &str| call.field(&format!("Tags.member.{number}.{name}"));
                    (field("Key"), field("Value"))
                };
                stack.tags = (1..=50).map(tag).take_while(|(key, _)| !key.is_empty()).collect();
                format!("<Id>set-{name}</Id><StackId>{}</StackId>", id(&name))
            }
            operation => {
                let Some(stack) = stacks.get_mut(&name) else {
                    return missing(&name);
                };
                match operation {
                    "DescribeStacks" => format!("<Stacks>{}</Stacks>", stack.description(&name, now)),
                    "DescribeStackEvents" => format!("<StackEvents>{}</StackEvents>", stack.history(&name, now)),
                    "DescribeChangeSet" => "<Status>CREATE_COMPLETE</Status><Changes></Changes>".to_owned(),
                    "GetTemplate" => format!("<TemplateBody>{}</TemplateBody>", escape_xml(&stack.template)),
                    "ExecuteChangeSet" | "CancelUpdateStack" | "DeleteStack" => {
                        if operation == "ExecuteChangeSet" {
                            stack.template = std::mem::take(&mut stack.pending);
                        }
                        let mut operations = self.operations.lock();
                        let events = operations.get_mut(&name).and_then(VecDeque::pop_front);
                        let events = events.unwrap_or_else(|| panic!("{operation} on {name} was not expected"));
                        stack.events.extend(events.into_iter().map(|event| Event {
                            at: now + event.at,
                            ..event
                        }));
                        String::new()
                    }
                    other => panic!("{other} was not expected"),
                }
            }
        };
        query_response(&call.operation, &result)
    }
}

impl Event {
    fn parse(text: &str) -> Self {
        let (event, reason) = text.split_once(": ").unwrap_or((text, ""));
        let words: Vec<&str> = event.split_whitespace().collect();
        let (minutes, seconds) = words[0].split_once(':').expect("minutes:seconds");
        let seconds = minutes.parse::<u64>().expect("minutes") * 60 + seconds.parse::<u64>().expect("seconds");
        let resource_type = if words.len() > 3 {
            words[2]
        } else {
            "AWS::CloudFormation::Stack"
        };
        Self {
            at: Duration::from_secs(seconds),
            resource: words[1].to_owned(),
            resource_type: resource_type.to_owned(),
            status: words.last().expect("a status").to_string(),
            reason: reason.trim().to_owned(),
        }
    }
}

impl FakeStack {
    fn status(&self, now: Duration) -> &str {
        let events = self.events.iter();
        let mut own = events.filter(|event| event.resource == "stack" && event.at <= now);
        own.next_back()
            .map_or("REVIEW_IN_PROGRESS", |event| event.status.as_str())
    }

    fn description(&self, name: &str, now: Duration) -> String {
        let (id, status) = (id(name), self.status(now));
        let tag = |(key, value): &(String, String)| format!("<member><Key>{key}</Key><Value>{value}</Value></member>");
        let tags: String = self.tags.iter().map(tag).collect();
        format!(
            "<member><StackName>{name}</StackName><StackId>{id}</StackId><StackStatus>{status}</StackStatus>\
             <CreationTime>2026-01-02T03:04:05Z</CreationTime><Tags>{tags}</Tags></member>"
        )
    }

    /// Returns the events so far, newest first.
    fn history(&self, name: &str, now: Duration) -> String {
        let past = self.events.iter().enumerate().filter(|(_, event)| event.at <= now);
        let members = past.map(|(number, event)| {
            let Event {
                at,
                resource,
                resource_type,
                status,
                reason,
            } = event;
            let (logical, physical) = if resource == "stack" {
                (name, id(name))
            } else {
                (resource.as_str(), format!("{name}-{resource}"))
            };
            let (hours, minutes, seconds) = (at.as_secs() / 3600 % 24, at.as_secs() / 60 % 60, at.as_secs() % 60);
            format!(
                "<member><EventId>{number}</EventId><StackId>{}</StackId><StackName>{name}</StackName>\
                 <LogicalResourceId>{logical}</LogicalResourceId><PhysicalResourceId>{physical}</PhysicalResourceId>\
                 <ResourceType>{resource_type}</ResourceType><ResourceStatus>{status}</ResourceStatus>\
                 <ResourceStatusReason>{}</ResourceStatusReason>\
                 <Timestamp>2026-01-02T{hours:02}:{minutes:02}:{seconds:02}Z</Timestamp></member>",
                id(name),
                escape_xml(reason),
            )
        });
        let mut members: Vec<String> = members.collect();
        members.reverse();
        members.concat()
    }
}

fn id(name: &str) -> String {
    format!("arn:aws:cloudformation:us-east-1:000000000000:stack/{name}/1")
}

fn missing(name: &str) -> Response {
    error_response(400, "ValidationError", &format!("Stack [{name}] does not exist"))
}
