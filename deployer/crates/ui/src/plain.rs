//! Plain lines for pipes, files and CI: nothing is redrawn.

use std::collections::HashMap;
use std::time::Duration;

use time::format_description::well_known::Rfc3339;

use super::renderer::Renderer;
use super::rollout::Rollout;
use super::width::clean;
use super::{Event, Now, Sentiment, Style, format_duration, format_elapsed};

/// When a resource in progress is first mentioned again; later after twice, four times as long.
const REMINDER_INTERVAL: Duration = Duration::from_mins(1);
/// Number of equal task failures that are each shown; of later ones every tenth, hundredth, thousandth.
const FAILURES_SHOWN: u32 = 3;

pub struct PlainRenderer {
    style: Style,
    timestamps: bool,
    serving: String,
    rollouts: HashMap<String, String>,
    resources: HashMap<(String, String), LastStatus>,
}

/// The last reported status of a resource.
struct LastStatus {
    status: String,
    resource_type: String,
    since: Duration,
    next_reminder: Duration,
}

impl PlainRenderer {
    pub fn new(style: Style, timestamps: bool) -> Self {
        Self {
            style,
            timestamps,
            serving: String::new(),
            rollouts: HashMap::new(),
            resources: HashMap::new(),
        }
    }

    /// Returns the lines that an event adds; empty if it reports nothing new.
    pub fn take(&mut self, event: &Event, now: Now) -> Vec<String> {
        if !self.is_news(event, now.run) {
            return Vec::new();
        }
        self.stamp(lines(event, self.style), now)
    }

    /// Returns lines about resources that have been in progress for long.
    pub fn remind(&mut self, now: Now) -> Vec<String> {
        let mut reminders = Vec::new();
        for ((stack, resource), last) in &mut self.resources {
            let elapsed = now.run.saturating_sub(last.since);
            if Sentiment::of(&last.status) == Sentiment::Busy && elapsed >= last.next_reminder {
                last.next_reminder *= 2;
                let LastStatus {
                    status, resource_type, ..
                } = last;
                let elapsed = format_duration(elapsed);
                reminders.push(format!(
                    "{stack}: still {status} {resource} ({resource_type}), {elapsed}"
                ));
            }
        }
        reminders.sort();
        self.stamp(reminders, now)
    }

    fn is_news(&mut self, event: &Event, now: Duration) -> bool {
        match event {
            Event::Serving { state } => std::mem::replace(&mut self.serving, state.clone()) != *state,
            Event::Rollout { stack, rollout, .. } => {
                let (key, line) = (format!("{stack} {}", rollout.service), rollout_line(rollout));
                self.rollouts.insert(key, line.clone()) != Some(line)
            }
            // Resources cancelled as a consequence of a failure are counted in the summary.
            Event::Resource { cancelled: true, .. } => false,
            Event::Resource {
                stack,
                resource,
                resource_type,
                status,
                reason,
                ..
            } => {
                let key = (stack.clone(), resource.clone());
                if self.resources.get(&key).is_some_and(|last| last.status == *status) {
                    return Sentiment::of(status) == Sentiment::Bad && reason.is_some();
                }
                let last = LastStatus {
                    status: status.clone(),
                    resource_type: resource_type.clone(),
                    since: now,
                    next_reminder: REMINDER_INTERVAL,
                };
                self.resources.insert(key, last);
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

impl Renderer for PlainRenderer {
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

/// Returns an event as lines of text. The caller writes log lines to stdout itself.
pub fn lines(event: &Event, style: Style) -> Vec<String> {
    let because = |reason: &Option<String>| reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
    match event {
        Event::Note { text } => text.lines().map(str::to_owned).collect(),
        Event::Warning { text } => vec![format!("{} {text}", style.yellow("warning:"))],
        Event::Plan { .. } => plan_lines(event, style),
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
                .map(|seconds| format!(", usually {}", format_duration(Duration::from_secs(seconds.into()))))
                .unwrap_or_default();
            vec![format!("{stack}: {action}{count}{expected}")]
        }
        Event::StackWaiting { stack, on } => vec![format!("{stack}: waiting for {on}")],
        Event::StackRollingBack { stack, status, reason } => {
            let status = style.sentiment(Sentiment::of(status), status);
            vec![format!("{stack}: {status}{}", because(reason))]
        }
        Event::StackCleaningUp { stack, status } => {
            vec![format!("{stack}: {}", style.sentiment(Sentiment::of(status), status))]
        }
        Event::Resource {
            stack,
            resource,
            resource_type,
            status,
            reason,
            ..
        } => {
            let sentiment = Sentiment::of(status);
            let reason = reason.clone().filter(|_| sentiment == Sentiment::Bad);
            let status = style.sentiment(sentiment, status);
            vec![format!(
                "{stack}: {status} {resource} ({resource_type}){}",
                because(&reason)
            )]
        }
        Event::StackEnded {
            stack,
            status,
            sentiment,
            seconds,
        } => {
            let seconds = style.dim(&format!("({})", format_elapsed(*seconds)));
            vec![format!("{stack}: {} {seconds}", style.sentiment(*sentiment, status))]
        }
        Event::Image { service, step, detail } if detail.is_empty() => vec![format!("image {service}: {step}")],
        Event::Image { service, step, detail } => vec![format!("image {service}: {step} {detail}")],
        // Only the live tree shows the progress, since cargo's own lines name each crate; a result is on stdout.
        Event::Upload { .. } | Event::Compiling { .. } | Event::Result { .. } => Vec::new(),
        Event::Compiler { line } => vec![style.dim(&clean(line))],
        Event::Rollout { stack, rollout, .. } => vec![format!("{stack}: {}", rollout_line(rollout))],
        Event::Serving { state } => vec![format!("waiting until ready: {state}")],
        Event::TaskStopped { .. } => task_stopped_lines(event, style),
        Event::Log { service, message, .. } => vec![format!("{service} | {message}")],
        Event::Error { message, hint, .. } => {
            let mut lines = vec![format!("{} {message}", style.red("error:"))];
            lines.extend(hint.iter().map(|hint| format!("{} {hint}", style.bold("hint:"))));
            lines
        }
        Event::Summary(summary) => vec![style.bold(&summary.to_string())],
    }
}

fn plan_lines(event: &Event, style: Style) -> Vec<String> {
    let Event::Plan {
        project,
        environment,
        endpoint,
        stacks,
        orphaned_stacks,
    } = event
    else {
        return Vec::new();
    };
    let mut lines = vec![format!("{project}-{environment} on {endpoint}")];
    let (known, new): (Vec<_>, Vec<_>) = stacks.iter().partition(|planned| planned.exists);
    if !new.is_empty() {
        let names: Vec<&str> = new.iter().map(|planned| planned.short_name.as_str()).collect();
        lines.push(format!("  create: {}", names.join(", ")));
    }
    let existing = match known.len() {
        0 => None,
        _ if new.is_empty() => Some("all existing stacks".to_owned()),
        1 => Some("1 existing stack".to_owned()),
        many => Some(format!("{many} existing stacks")),
    };
    lines.extend(existing.map(|existing| format!("  update: {existing} (only if changed)")));
    if !orphaned_stacks.is_empty() {
        let names = orphaned_stacks.join(", ");
        lines.push(format!(
            "{} not in the manifest (kept): {names}",
            style.yellow("warning:")
        ));
    }
    lines
}

/// Returns the lines of a stopped task. Repeated failures are shown without their logs, and late ones only now and then.
fn task_stopped_lines(event: &Event, style: Style) -> Vec<String> {
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
    if *times > FAILURES_SHOWN && !is_power_of_ten(*times) {
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

/// Returns whether a number is 10, 100, 1000 and so on.
fn is_power_of_ten(times: u32) -> bool {
    times >= 10 && 10_u32.checked_pow(times.ilog10()) == Some(times)
}

/// Returns a rollout as one line.
fn rollout_line(rollout: &Rollout) -> String {
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
        text.push_str(&format!("; targets {}", rollout.target_health()));
    }
    if let Some(traffic) = &rollout.traffic {
        text.push_str(&format!("; {traffic}"));
    }
    text
}
