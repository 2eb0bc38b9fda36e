//! State of the live tree: the stacks of the run, and the resources in progress with their start times.

use std::time::Duration;

use indexmap::IndexMap;

use super::super::rollout::Rollout;
use super::super::{Event, Sentiment};

/// Everything that the live part shows.
#[derive(Debug, Default)]
pub struct TreeState {
    pub stacks: IndexMap<String, Stack>,
    pub images: IndexMap<String, String>,
    pub compiler: Option<String>,
    pub compilation: Option<Compilation>,
    pub serving: Option<String>,
}

/// The compilation of the images' crates.
#[derive(Debug, Clone, Copy)]
pub struct Compilation {
    pub start: Duration,
    pub finished: usize,
    pub total: Option<usize>,
}

#[derive(Debug)]
pub struct Stack {
    pub short_name: String,
    pub depends_on: Vec<String>,
    pub phase: Phase,
    pub done: usize,
    pub total: usize,
    pub expected_seconds: Option<u32>,
    pub resources: IndexMap<String, InProgress>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Not started; `None` if it waits for the stacks that it depends on.
    Waiting(Option<String>),
    Running {
        action: String,
        sentiment: Sentiment,
        start: Duration,
    },
    Ended(String),
}

/// A resource that is being created, updated or deleted.
#[derive(Debug)]
pub struct InProgress {
    pub resource_type: String,
    pub action: &'static str,
    pub start: Duration,
    pub rollout: Option<Rollout>,
}

impl TreeState {
    pub fn apply(&mut self, event: &Event, now: Duration) {
        match event {
            Event::Plan { stacks, .. } => {
                self.stacks.clear();
                for planned in stacks {
                    let mut stack = Stack::new(&planned.short_name);
                    stack.depends_on.clone_from(&planned.depends_on);
                    stack.expected_seconds = planned.expected_seconds;
                    self.stacks.insert(planned.stack.clone(), stack);
                }
            }
            Event::Stack {
                stack,
                action,
                resources,
                expected_seconds,
            } => {
                let stack = self.stack(stack);
                (stack.done, stack.total, stack.expected_seconds) = (0, *resources, *expected_seconds);
                stack.resources.clear();
                stack.phase = Phase::Running {
                    action: (*action).to_owned(),
                    sentiment: Sentiment::Busy,
                    start: now,
                };
            }
            Event::StackWaiting { stack, on } => self.stack(stack).phase = Phase::Waiting(Some(on.clone())),
            Event::StackRollingBack { stack, status, .. } => self.stack(stack).turn("roll back", status, now),
            Event::StackCleaningUp { stack, status } => self.stack(stack).turn("clean up", status, now),
            Event::Resource {
                stack,
                resource,
                resource_type,
                status,
                ..
            } => self.stack(stack).resource(resource, resource_type, status, now),
            Event::StackEnded { stack, status, .. } => {
                let stack = self.stack(stack);
                stack.resources.clear();
                stack.phase = Phase::Ended(status.clone());
            }
            Event::Rollout {
                stack,
                resource,
                rollout,
            } => {
                if let Some(resource) = self.stack(stack).resources.get_mut(resource) {
                    resource.rollout = Some(rollout.clone());
                }
            }
            Event::Image { service, step, detail } => {
                self.compiler = None;
                self.compilation = None;
                if matches!(*step, "pushed" | "unchanged" | "loaded") {
                    self.images.shift_remove(service);
                } else {
                    self.images.insert(service.clone(), format!("{step} {detail}"));
                }
            }
            Event::Upload { service, sent, total } => {
                self.images
                    .insert(service.clone(), format!("pushing {}", bar(*sent, *total)));
            }
            Event::Compiler { line } => self.compiler = Some(line.clone()),
            Event::Compiling { finished, total } => {
                let start = self.compilation.map_or(now, |compilation| compilation.start);
                let (finished, total) = (*finished, *total);
                self.compilation = Some(Compilation { start, finished, total });
            }
            Event::Serving { state } => self.serving = Some(state.clone()),
            Event::Summary(_) | Event::Error { .. } => self.clear(),
            _ => {}
        }
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns the expected remaining seconds of the run, along the chain of stacks that takes longest; `None` if unknown.
    pub fn remaining(&self, now: Duration) -> Option<f64> {
        let mut ends: IndexMap<&str, f64> = IndexMap::new();
        for (name, stack) in &self.stacks {
            let expected = stack.expected_seconds.map(f64::from);
            let own = match &stack.phase {
                Phase::Ended(_) => 0.0,
                Phase::Waiting(_) => expected.unwrap_or(0.0),
                Phase::Running { start, .. } => {
                    let elapsed = now.saturating_sub(*start).as_secs_f64();
                    expected.map_or(0.0, |seconds| (seconds - elapsed).max(0.0))
                }
            };
            // In a plan each stack comes after those that it depends on.
            let before = stack.depends_on.iter().filter_map(|name| ends.get(name.as_str()));
            let start = before.copied().fold(0.0, f64::max);
            ends.insert(name, start + own);
        }
        ends.into_values()
            .max_by(f64::total_cmp)
            .filter(|seconds| *seconds > 0.0)
    }

    /// Returns what a waiting stack waits for; `None` if nothing holds it back.
    pub fn waits_for(&self, stack: &Stack) -> Option<String> {
        match &stack.phase {
            Phase::Waiting(Some(on)) => Some(on.clone()),
            Phase::Waiting(None) => {
                let has_not_ended = |name: &&String| {
                    self.stacks
                        .get(*name)
                        .is_some_and(|other| !matches!(other.phase, Phase::Ended(_)))
                };
                let others = stack.depends_on.iter().filter(has_not_ended);
                let names: Vec<&str> = others.map(|name| self.short_name(name)).collect();
                (!names.is_empty()).then(|| names.join(", "))
            }
            _ => None,
        }
    }

    /// Returns the short names of the stacks that had no changes.
    pub fn unchanged(&self) -> Vec<&str> {
        let unchanged = |stack: &&Stack| matches!(&stack.phase, Phase::Ended(status) if status == "unchanged");
        let stacks = self.stacks.values().filter(unchanged);
        stacks.map(|stack| stack.short_name.as_str()).collect()
    }

    pub fn short_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.stacks.get(name).map_or(name, |stack| stack.short_name.as_str())
    }

    fn stack(&mut self, name: &str) -> &mut Stack {
        self.stacks.entry(name.to_owned()).or_insert_with(|| Stack::new(name))
    }
}

impl Stack {
    fn new(short_name: &str) -> Self {
        Self {
            short_name: short_name.to_owned(),
            depends_on: Vec::new(),
            phase: Phase::Waiting(None),
            done: 0,
            total: 0,
            expected_seconds: None,
            resources: IndexMap::new(),
        }
    }

    /// Changes the action of a running operation. Its expected duration does not apply to the new action.
    fn turn(&mut self, action: &str, status: &str, now: Duration) {
        (self.total, self.expected_seconds) = (0, None);
        let start = match self.phase {
            Phase::Running { start, .. } => start,
            _ => now,
        };
        self.phase = Phase::Running {
            action: action.to_owned(),
            sentiment: Sentiment::of(status),
            start,
        };
    }

    fn resource(&mut self, resource: &str, resource_type: &str, status: &str, now: Duration) {
        if !status.ends_with("_IN_PROGRESS") {
            self.done += 1;
            self.resources.shift_remove(resource);
            return;
        }
        let action = action(status);
        let same = self.resources.get(resource).is_some_and(|known| known.action == action);
        if !same {
            let in_progress = InProgress {
                resource_type: resource_type.to_owned(),
                action,
                start: now,
                rollout: None,
            };
            self.resources.insert(resource.to_owned(), in_progress);
        }
    }
}

/// Returns the action that a resource's status stands for.
fn action(status: &str) -> &'static str {
    match status {
        s if s.starts_with("CREATE") => "create",
        s if s.starts_with("DELETE") => "delete",
        s if s.starts_with("UPDATE") => "update",
        _ => "work",
    }
}

/// Returns a progress bar, `━━━━━━────── 5.1 of 10.2 MB`.
fn bar(sent: u64, total: u64) -> String {
    const WIDTH: usize = 20;
    let full = (sent.min(total) * WIDTH as u64).checked_div(total);
    let full = full.and_then(|full| usize::try_from(full).ok()).unwrap_or(WIDTH);
    let repeat = |text: &str, count: usize| text.repeat(count);
    format!(
        "{}{} {:.1} of {:.1} MB",
        repeat("━", full),
        repeat("─", WIDTH - full),
        sent as f64 / 1e6,
        total as f64 / 1e6
    )
}
