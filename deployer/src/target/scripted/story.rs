//! CloudFormation as a story tells it: what each operation on a stack leads to, and when, on a clock that runs fast.
//!
//! ```text
//! 0:00   stack     CREATE_IN_PROGRESS
//! 0:05   Cluster   AWS::MSK::Cluster CREATE_IN_PROGRESS
//! 30:33  Cluster   AWS::MSK::Cluster CREATE_COMPLETE
//! 30:35  stack     CREATE_COMPLETE
//! ```
//!
//! Minutes and seconds from the operation's beginning, who, its type, its status, and after a colon the reason. The word
//! `vanishes` instead of a status takes the stack away as if it had never been.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Call, Scripted, refusal};
use crate::target::Clock;

/// How many seconds of a story pass in one of the test's.
pub const SPEED: u32 = 500;

/// An endpoint's state, and what is still to happen.
pub struct Story {
    pub clock: Clock,
    scripts: Mutex<BTreeMap<String, VecDeque<Vec<Line>>>>,
    stacks: Mutex<BTreeMap<String, Played>>,
    calls: Mutex<Vec<(Duration, String)>>,
}

/// One thing that happens.
#[derive(Debug, Clone)]
struct Line {
    at: Duration,
    who: String,
    kind: String,
    status: String,
    reason: String,
}

/// A stack that somebody has begun to make.
#[derive(Debug, Default)]
struct Played {
    template: String,
    pending: String,
    tags: Vec<(String, String)>,
    /// What has happened to it, with the moment of the story.
    events: Vec<Line>,
}

impl Story {
    pub fn begin() -> Self {
        Self {
            clock: Clock::at_speed(SPEED),
            scripts: Mutex::default(),
            stacks: Mutex::default(),
            calls: Mutex::default(),
        }
    }

    /// What the next operation on a stack leads to; told again, what the one after that does.
    pub fn then(self, stack: &str, script: &str) -> Self {
        let lines = script.lines().filter(|line| !line.trim().is_empty()).map(Line::parse);
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        scripts.entry(stack.to_owned()).or_default().push_back(lines.collect());
        drop(scripts);
        self
    }

    /// A stack that is complete before the story begins.
    pub fn with(self, stack: &str, template: &str) -> Self {
        let done = Line::parse("0:00 stack CREATE_COMPLETE");
        let played = Played {
            template: template.to_owned(),
            events: vec![done],
            ..Played::default()
        };
        self.stacks().insert(stack.to_owned(), played);
        self
    }

    pub async fn play(self: &Arc<Self>) -> Scripted {
        self.play_with(|_, _| None).await
    }

    /// Plays it; `trouble` may answer first, and is told when the call comes.
    pub async fn play_with(
        self: &Arc<Self>,
        trouble: impl Fn(&Call, Duration) -> Option<Option<(u16, String)>> + Send + Sync + 'static,
    ) -> Scripted {
        let story = self.clone();
        Scripted::hear(move |call| {
            let now = story.clock.now();
            story.calls().push((now, call.operation.clone()));
            match trouble(call, now) {
                Some(answer) => answer,
                None => story.answer(call, now),
            }
        })
        .await
    }

    /// When each call of an operation came.
    pub fn times(&self, operation: &str) -> Vec<Duration> {
        let calls = self.calls();
        let own = calls.iter().filter(|(_, name)| name == operation);
        own.map(|(at, _)| *at).collect()
    }

    /// Takes a stack away behind everybody's back.
    pub fn lose(&self, stack: &str) {
        self.stacks().remove(stack);
    }

    fn calls(&self) -> MutexGuard<'_, Vec<(Duration, String)>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stacks(&self) -> MutexGuard<'_, BTreeMap<String, Played>> {
        self.stacks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, call: &Call, now: Duration) -> Option<(u16, String)> {
        let given = call.field("StackName");
        let name = given.split('/').nth(1).unwrap_or(&given).to_owned();
        let mut stacks = self.stacks();
        stacks.retain(|_, played| {
            !played
                .events
                .iter()
                .any(|line| line.status == "vanishes" && line.at <= now)
        });
        let result = match call.operation.as_str() {
            "DescribeStacks" if name.is_empty() => {
                let all: String = stacks
                    .iter()
                    .map(|(name, played)| played.described(name, now))
                    .collect();
                format!("<Stacks>{all}</Stacks>")
            }
            "CreateChangeSet" => {
                if call.field("ChangeSetType") == "CREATE" {
                    stacks.entry(name.clone()).or_default();
                }
                let Some(played) = stacks.get_mut(&name) else {
                    return missing(&name);
                };
                played.pending = call.field("TemplateBody");
                let tag = |number: usize| {
                    let field = |name: &str| call.field(&format!("Tags.member.{number}.{name}"));
                    (field("Key"), field("Value"))
                };
                played.tags = (1..).map(tag).take_while(|(key, _)| !key.is_empty()).collect();
                format!("<Id>set-{name}</Id><StackId>{}</StackId>", id(&name))
            }
            operation => {
                let Some(played) = stacks.get_mut(&name) else {
                    return missing(&name);
                };
                match operation {
                    "DescribeStacks" => format!("<Stacks>{}</Stacks>", played.described(&name, now)),
                    "DescribeStackEvents" => format!("<StackEvents>{}</StackEvents>", played.history(&name, now)),
                    "DescribeChangeSet" => "<Status>CREATE_COMPLETE</Status><Changes></Changes>".to_owned(),
                    "GetTemplate" => format!("<TemplateBody>{}</TemplateBody>", escaped(&played.template)),
                    "ExecuteChangeSet" | "CancelUpdateStack" | "DeleteStack" => {
                        if operation == "ExecuteChangeSet" {
                            played.template = std::mem::take(&mut played.pending);
                        }
                        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
                        let script = scripts.get_mut(&name).and_then(VecDeque::pop_front);
                        let script = script.unwrap_or_else(|| panic!("nothing is told of {operation} on {name}"));
                        played.events.extend(script.into_iter().map(|line| Line {
                            at: now + line.at,
                            ..line
                        }));
                        String::new()
                    }
                    other => panic!("{other} was not expected"),
                }
            }
        };
        let operation = &call.operation;
        let text =
            format!("<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>");
        Some((200, text))
    }
}

impl Line {
    fn parse(text: &str) -> Self {
        let (told, reason) = text.split_once(": ").unwrap_or((text, ""));
        let words: Vec<&str> = told.split_whitespace().collect();
        let (minutes, seconds) = words[0].split_once(':').expect("minutes:seconds");
        let seconds = minutes.parse::<u64>().expect("minutes") * 60 + seconds.parse::<u64>().expect("seconds");
        let kind = if words.len() > 3 {
            words[2]
        } else {
            "AWS::CloudFormation::Stack"
        };
        Self {
            at: Duration::from_secs(seconds),
            who: words[1].to_owned(),
            kind: kind.to_owned(),
            status: words.last().expect("a status").to_string(),
            reason: reason.trim().to_owned(),
        }
    }
}

impl Played {
    fn status(&self, now: Duration) -> &str {
        let mut own = self.events.iter().filter(|line| line.who == "stack" && line.at <= now);
        own.next_back()
            .map_or("REVIEW_IN_PROGRESS", |line| line.status.as_str())
    }

    fn described(&self, name: &str, now: Duration) -> String {
        let (id, status) = (id(name), self.status(now));
        let tag = |(key, value): &(String, String)| format!("<member><Key>{key}</Key><Value>{value}</Value></member>");
        let tags: String = self.tags.iter().map(tag).collect();
        format!(
            "<member><StackName>{name}</StackName><StackId>{id}</StackId><StackStatus>{status}</StackStatus>\
             <CreationTime>2026-01-02T03:04:05Z</CreationTime><Tags>{tags}</Tags></member>"
        )
    }

    /// The events that have happened, newest first.
    fn history(&self, name: &str, now: Duration) -> String {
        let happened = self.events.iter().enumerate().filter(|(_, line)| line.at <= now);
        let events = happened.map(|(number, line)| {
            let Line {
                kind, status, reason, ..
            } = line;
            let (who, physical) = if line.who == "stack" {
                (name, id(name))
            } else {
                (line.who.as_str(), format!("{name}-{}", line.who))
            };
            format!(
                "<member><EventId>{number}</EventId><StackId>{}</StackId><StackName>{name}</StackName>\
                 <LogicalResourceId>{who}</LogicalResourceId><PhysicalResourceId>{physical}</PhysicalResourceId>\
                 <ResourceType>{kind}</ResourceType><ResourceStatus>{status}</ResourceStatus>\
                 <ResourceStatusReason>{}</ResourceStatusReason>\
                 <Timestamp>2026-01-02T{:02}:{:02}:{:02}Z</Timestamp></member>",
                id(name),
                escaped(reason),
                line.at.as_secs() / 3600 % 24,
                line.at.as_secs() / 60 % 60,
                line.at.as_secs() % 60,
            )
        });
        let mut events: Vec<String> = events.collect();
        events.reverse();
        events.concat()
    }
}

fn id(name: &str) -> String {
    format!("arn:aws:cloudformation:us-east-1:000000000000:stack/{name}/1")
}

fn missing(name: &str) -> Option<(u16, String)> {
    refusal(400, "ValidationError", &format!("Stack [{name}] does not exist"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
