//! Lines that only ever go forward: for pipes, files and CI.

use std::collections::HashMap;
use std::time::Duration;

use time::format_description::well_known::Rfc3339;

use super::clock::{took, whole};
use super::width::clean;
use super::{Event, Mood, Now, Renderer, Style};
use crate::ecs::crash::PROOF;
use crate::ecs::rollout::Rollout;

/// When it is first told that a resource still takes its time; later after twice, four times as long.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Plain {
    style: Style,
    timestamps: bool,
    serving: String,
    rollouts: HashMap<String, String>,
    resources: HashMap<(String, String), Busy>,
}

/// The last that was told of a resource.
struct Busy {
    status: String,
    kind: String,
    began: Duration,
    next: Duration,
}

impl Plain {
    pub fn new(style: Style, timestamps: bool) -> Self {
        Self {
            style,
            timestamps,
            serving: String::new(),
            rollouts: HashMap::new(),
            resources: HashMap::new(),
        }
    }

    /// The lines that an event adds; none when it says nothing new.
    pub fn take(&mut self, event: &Event, now: Now) -> Vec<String> {
        if !self.is_news(event, now.run) {
            return Vec::new();
        }
        self.stamp(lines(event, self.style), now)
    }

    /// Lines on what still goes on.
    pub fn remind(&mut self, now: Now) -> Vec<String> {
        let mut told = Vec::new();
        for ((stack, resource), busy) in &mut self.resources {
            let elapsed = now.run.saturating_sub(busy.began);
            if Mood::of(&busy.status) == Mood::Busy && elapsed >= busy.next {
                busy.next *= 2;
                let Busy { status, kind, .. } = busy;
                told.push(format!(
                    "{stack}: still {status} {resource} ({kind}), {}",
                    whole(elapsed)
                ));
            }
        }
        told.sort();
        self.stamp(told, now)
    }

    fn is_news(&mut self, event: &Event, now: Duration) -> bool {
        match event {
            Event::Serving { state } => std::mem::replace(&mut self.serving, state.clone()) != *state,
            Event::Rollout { stack, rollout, .. } => {
                let (key, words) = (format!("{stack} {}", rollout.service), words(rollout));
                self.rollouts.insert(key, words.clone()) != Some(words)
            }
            // What is cancelled in consequence of a failure is counted in the summary.
            Event::Resource { cancelled: true, .. } => false,
            Event::Resource {
                stack,
                resource,
                kind,
                status,
                reason,
                ..
            } => {
                let busy = Busy {
                    status: status.clone(),
                    kind: kind.clone(),
                    began: now,
                    next: PATIENCE,
                };
                let key = (stack.clone(), resource.clone());
                let known = self.resources.get(&key).is_some_and(|known| known.status == *status);
                if known {
                    return Mood::of(status) == Mood::Bad && reason.is_some();
                }
                self.resources.insert(key, busy);
                true
            }
            Event::StackEnded { stack, .. } => {
                self.resources.retain(|(of, _), _| of != stack);
                true
            }
            _ => true,
        }
    }

    fn stamp(&self, lines: Vec<String>, now: Now) -> Vec<String> {
        if !self.timestamps {
            return lines;
        }
        let wall = now.wall.replace_nanosecond(0).unwrap_or(now.wall);
        let time = wall.format(&Rfc3339).unwrap_or_default();
        let rows = lines.iter().flat_map(|line| line.lines());
        rows.map(|row| format!("{time} {row}")).collect()
    }
}

impl Renderer for Plain {
    fn event(&mut self, event: &Event, now: Now) {
        for line in self.take(event, now) {
            eprintln!("{line}");
        }
    }

    fn tick(&mut self, now: Now) {
        for line in self.remind(now) {
            eprintln!("{line}");
        }
    }
}

/// An event as lines of text; log lines go to stdout by the caller's own hand.
pub fn lines(event: &Event, style: Style) -> Vec<String> {
    let because = |reason: &Option<String>| reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
    match event {
        Event::Note { text } => text.lines().map(str::to_owned).collect(),
        Event::Warning { text } => vec![format!("{} {text}", style.yellow("warning:"))],
        Event::Plan { .. } => plan(event, style),
        Event::Stack {
            stack,
            action,
            resources,
            expected_seconds,
        } => {
            let count = match resources {
                0 => String::new(),
                1 => ", 1 resource".to_owned(),
                many => format!(", {many} resources"),
            };
            let expected = expected_seconds
                .map(|seconds| format!(", usually {}", whole(Duration::from_secs(seconds.into()))))
                .unwrap_or_default();
            vec![format!("{stack}: {action}{count}{expected}")]
        }
        Event::StackWaits { stack, on } => vec![format!("{stack}: waits for {on}")],
        Event::StackTurns { stack, status, reason } => {
            let status_shown = style.mood(Mood::of(status), status);
            vec![format!("{stack}: {status_shown}{}", because(reason))]
        }
        Event::Resource {
            stack,
            resource,
            kind,
            status,
            reason,
            ..
        } => {
            let reason = reason.clone().filter(|_| Mood::of(status) == Mood::Bad);
            let status = style.mood(Mood::of(status), status);
            vec![format!("{stack}: {status} {resource} ({kind}){}", because(&reason))]
        }
        Event::StackEnded {
            stack,
            status,
            mood,
            seconds,
        } => {
            let seconds = style.dim(&format!("({})", took(*seconds)));
            vec![format!("{stack}: {} {seconds}", style.mood(*mood, status))]
        }
        Event::Image { service, step, detail } if detail.is_empty() => vec![format!("image {service}: {step}")],
        Event::Image { service, step, detail } => vec![format!("image {service}: {step} {detail}")],
        // Only what moves shows it.
        Event::Upload { .. } => Vec::new(),
        Event::Compiler { line } => vec![style.dim(&clean(line))],
        Event::Rollout { stack, rollout, .. } => vec![format!("{stack}: {}", words(rollout))],
        Event::Serving { state } => vec![format!("waiting until it serves: {state}")],
        Event::TaskStopped { .. } => stopped(event, style),
        Event::Log { service, message, .. } => vec![format!("{service} | {message}")],
        Event::Result { .. } => Vec::new(),
        Event::Error { message, hint, .. } => {
            let mut lines = vec![format!("{} {message}", style.red("error:"))];
            lines.extend(hint.iter().map(|hint| format!("{} {hint}", style.bold("hint:"))));
            lines
        }
        Event::Summary(summary) => vec![style.bold(&summary.words())],
    }
}

fn plan(event: &Event, style: Style) -> Vec<String> {
    let Event::Plan {
        project,
        environment,
        place,
        stacks,
        left,
    } = event
    else {
        return Vec::new();
    };
    let mut lines = vec![format!("{project}-{environment} on {place}")];
    let (known, new): (Vec<_>, Vec<_>) = stacks.iter().partition(|planned| planned.exists);
    if !new.is_empty() {
        let names: Vec<&str> = new.iter().map(|planned| planned.short.as_str()).collect();
        lines.push(format!("  create: {}", names.join(", ")));
    }
    if !known.is_empty() {
        let which = if new.is_empty() {
            "all".to_owned()
        } else {
            known.len().to_string()
        };
        lines.push(format!("  there already: {which}; what has changed in them is updated"));
    }
    if !left.is_empty() {
        let text = format!("no longer in the manifest, left as they are: {}", left.join(", "));
        lines.push(format!("{} {text}", style.yellow("warning:")));
    }
    lines
}

/// A stopped task. What the same reason did before is told without its log, and then only now and then.
fn stopped(event: &Event, style: Style) -> Vec<String> {
    let Event::TaskStopped {
        service,
        reason,
        exit_code,
        log,
        times,
        ..
    } = event
    else {
        return Vec::new();
    };
    let code = exit_code.map(|c| format!(", exit code {c}")).unwrap_or_default();
    if *times > PROOF && !is_round(*times) {
        return Vec::new();
    }
    if *times > 1 {
        let text = format!("task {times} of {service} stopped for the same reason: {reason}{code}");
        return vec![style.red(&text)];
    }
    let mut lines = vec![style.red(&format!("a task of {service} stopped: {reason}{code}"))];
    lines.extend(log.iter().map(|line| format!("    {}", clean(line))));
    lines
}

/// 10, 100, 1000: where it is worth saying again that the same goes on.
fn is_round(times: u32) -> bool {
    times >= 10 && 10_u32.checked_pow(times.ilog10()) == Some(times)
}

/// A rollout in one line.
fn words(rollout: &Rollout) -> String {
    let revisions = rollout.revisions.iter().map(|revision| {
        let pending = match revision.pending {
            0 => String::new(),
            pending => format!(", {pending} pending"),
        };
        let failed = match revision.failed {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        format!(
            "{} {} {} of {} running{pending}{failed}",
            revision.name, revision.status, revision.running, revision.desired
        )
    });
    let mut text = format!(
        "rollout of {}: {}",
        rollout.service,
        revisions.collect::<Vec<_>>().join("; ")
    );
    if let Some(breaker) = rollout.breaker.filter(|breaker| breaker.failed > 0) {
        text.push_str(&format!("; breaker {} of {}", breaker.failed, breaker.threshold));
    }
    if !rollout.targets.is_empty() {
        text.push_str(&format!("; targets {}", rollout.health()));
    }
    text
}
