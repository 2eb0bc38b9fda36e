//! What the live tree knows: the stacks of the run, what goes on in each, and since when.

use std::time::Duration;

use indexmap::IndexMap;

use super::super::{Event, Mood};
use crate::ecs::rollout::Rollout;

/// Everything that moves.
#[derive(Debug, Default)]
pub struct Board {
    pub stacks: IndexMap<String, Stack>,
    pub images: IndexMap<String, String>,
    pub compiler: Option<String>,
    pub serving: Option<String>,
}

#[derive(Debug)]
pub struct Stack {
    /// What it is called among the stacks of its run.
    pub short: String,
    pub needs: Vec<String>,
    pub phase: Phase,
    pub done: usize,
    pub total: usize,
    pub expected: Option<u32>,
    pub busy: IndexMap<String, Busy>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Not begun; `None` when it waits for the stacks that it needs.
    Waits(Option<String>),
    Works {
        action: String,
        mood: Mood,
        began: Duration,
    },
    Ended(String),
}

/// A resource that something is done to.
#[derive(Debug)]
pub struct Busy {
    pub kind: String,
    pub action: &'static str,
    pub began: Duration,
    pub rollout: Option<Rollout>,
}

impl Board {
    pub fn take(&mut self, event: &Event, now: Duration) {
        match event {
            Event::Plan { stacks, .. } => {
                self.stacks.clear();
                for planned in stacks {
                    let mut stack = Stack::new(&planned.short);
                    stack.needs.clone_from(&planned.needs);
                    stack.expected = planned.expected_seconds;
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
                (stack.done, stack.total, stack.expected) = (0, *resources, *expected_seconds);
                stack.busy.clear();
                stack.phase = Phase::Works {
                    action: (*action).to_owned(),
                    mood: Mood::Busy,
                    began: now,
                };
            }
            Event::StackWaits { stack, on } => self.stack(stack).phase = Phase::Waits(Some(on.clone())),
            Event::StackTurns { stack, status, .. } => {
                let stack = self.stack(stack);
                // How long it usually takes says nothing of the way back.
                (stack.total, stack.expected) = (0, None);
                let began = match stack.phase {
                    Phase::Works { began, .. } => began,
                    _ => now,
                };
                stack.phase = Phase::Works {
                    action: turn(status),
                    mood: Mood::of(status),
                    began,
                };
            }
            Event::Resource {
                stack,
                resource,
                kind,
                status,
                ..
            } => self.stack(stack).resource(resource, kind, status, now),
            Event::StackEnded { stack, status, .. } => {
                let stack = self.stack(stack);
                stack.busy.clear();
                stack.phase = Phase::Ended(status.clone());
            }
            Event::Rollout {
                stack,
                resource,
                rollout,
            } => {
                if let Some(busy) = self.stack(stack).busy.get_mut(resource) {
                    busy.rollout = Some(rollout.clone());
                }
            }
            Event::Image { service, step, detail } => {
                self.compiler = None;
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
            Event::Serving { state } => self.serving = Some(state.clone()),
            Event::Summary(_) | Event::Error { .. } => self.clear(),
            _ => {}
        }
    }

    /// Nothing moves any more.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// What is left of the whole run, along the chain of stacks that takes longest, as far as that is known.
    pub fn left(&self, now: Duration) -> Option<f64> {
        let mut ends: IndexMap<&str, f64> = IndexMap::new();
        for (name, stack) in &self.stacks {
            let expected = stack.expected.map(f64::from);
            let own = match &stack.phase {
                Phase::Ended(_) => 0.0,
                Phase::Waits(_) => expected.unwrap_or(0.0),
                Phase::Works { began, .. } => {
                    let elapsed = now.saturating_sub(*began).as_secs_f64();
                    expected.map_or(0.0, |seconds| (seconds - elapsed).max(0.0))
                }
            };
            // In a plan each stack comes after those that it needs.
            let before = stack.needs.iter().filter_map(|need| ends.get(need.as_str()));
            let begun = before.copied().fold(0.0, f64::max);
            ends.insert(name, begun + own);
        }
        ends.into_values()
            .max_by(f64::total_cmp)
            .filter(|seconds| *seconds > 0.0)
    }

    /// What a waiting stack waits for, in words; none when nothing holds it back.
    pub fn waits_for(&self, stack: &Stack) -> Option<String> {
        match &stack.phase {
            Phase::Waits(Some(on)) => Some(on.clone()),
            Phase::Waits(None) => {
                let open = |name: &&String| {
                    self.stacks
                        .get(*name)
                        .is_some_and(|need| !matches!(need.phase, Phase::Ended(_)))
                };
                let names: Vec<&str> = stack.needs.iter().filter(open).map(|name| self.short(name)).collect();
                (!names.is_empty()).then(|| names.join(", "))
            }
            _ => None,
        }
    }

    pub fn short<'a>(&'a self, name: &'a str) -> &'a str {
        self.stacks.get(name).map_or(name, |stack| stack.short.as_str())
    }

    fn stack(&mut self, name: &str) -> &mut Stack {
        self.stacks.entry(name.to_owned()).or_insert_with(|| Stack::new(name))
    }
}

impl Stack {
    fn new(short: &str) -> Self {
        Self {
            short: short.to_owned(),
            needs: Vec::new(),
            phase: Phase::Waits(None),
            done: 0,
            total: 0,
            expected: None,
            busy: IndexMap::new(),
        }
    }

    fn resource(&mut self, resource: &str, kind: &str, status: &str, now: Duration) {
        if !status.ends_with("_IN_PROGRESS") {
            self.done += 1;
            self.busy.shift_remove(resource);
            return;
        }
        let action = action(status);
        let same = self.busy.get(resource).is_some_and(|busy| busy.action == action);
        if !same {
            let busy = Busy {
                kind: kind.to_owned(),
                action,
                began: now,
                rollout: None,
            };
            self.busy.insert(resource.to_owned(), busy);
        }
    }
}

/// What is done to a resource in this status.
fn action(status: &str) -> &'static str {
    match status {
        s if s.starts_with("CREATE") => "create",
        s if s.starts_with("DELETE") => "delete",
        s if s.starts_with("UPDATE") => "update",
        _ => "work",
    }
}

/// How much has gone up: `━━━━━━────── 5.1 of 10.2 MB`.
fn bar(sent: u64, total: u64) -> String {
    const WIDTH: u64 = 20;
    let full = (sent.min(total) * WIDTH).checked_div(total).unwrap_or(WIDTH);
    let repeat = |text: &str, count: u64| text.repeat(count as usize);
    format!(
        "{}{} {:.1} of {:.1} MB",
        repeat("━", full),
        repeat("─", WIDTH - full),
        sent as f64 / 1e6,
        total as f64 / 1e6
    )
}

/// What a stack has turned to.
fn turn(status: &str) -> String {
    match status {
        s if s.ends_with("CLEANUP_IN_PROGRESS") => "clean up".to_owned(),
        s if s.contains("ROLLBACK") => "roll back".to_owned(),
        s => s.to_lowercase().replace('_', " "),
    }
}
