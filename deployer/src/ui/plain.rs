//! Lines that only ever go forward: for pipes, files and CI.

use super::{Event, Mood, Renderer, Style};

pub struct Plain {
    style: Style,
    serving: String,
}

impl Plain {
    pub fn new(style: Style) -> Self {
        Self {
            style,
            serving: String::new(),
        }
    }
}

impl Renderer for Plain {
    fn event(&mut self, event: &Event) {
        if let Event::Serving { state } = event {
            if *state == self.serving {
                return;
            }
            self.serving.clone_from(state);
        }
        // Each resource's start is noise in a log that nobody watches; its end is not.
        if matches!(event, Event::Resource { status, .. } if Mood::of(status) == Mood::Busy) {
            return;
        }
        for line in lines(event, self.style) {
            eprintln!("{line}");
        }
    }
}

/// An event as lines of text; log lines go to stdout by the caller's own hand.
pub fn lines(event: &Event, style: Style) -> Vec<String> {
    match event {
        Event::Note { text } => text.lines().map(str::to_owned).collect(),
        Event::Warning { text } => vec![format!("{} {text}", style.yellow("warning:"))],
        Event::Stack {
            stack,
            action,
            resources: 0,
        } => vec![format!("{stack}: {action}")],
        Event::Stack {
            stack,
            action,
            resources,
        } => vec![format!("{stack}: {action}, {resources} resources")],
        Event::StackWaits { stack, on } => vec![format!("{stack}: waits for {on}")],
        Event::Resource {
            stack,
            resource,
            kind,
            status,
            reason,
        } => {
            let reason = reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
            vec![format!(
                "{stack}: {} {resource} ({kind}){reason}",
                style.mood(Mood::of(status), status)
            )]
        }
        Event::StackEnded {
            stack,
            status,
            mood,
            seconds,
        } => {
            vec![format!(
                "{stack}: {} {}",
                style.mood(*mood, status),
                style.dim(&format!("({seconds:.1} s)"))
            )]
        }
        Event::Image { service, step, detail } if detail.is_empty() => vec![format!("image {service}: {step}")],
        Event::Image { service, step, detail } => vec![format!("image {service}: {step} {detail}")],
        Event::Compiler { line } => vec![style.dim(line)],
        Event::Serving { state } => vec![format!("waiting until it serves: {state}")],
        Event::TaskStopped {
            service,
            reason,
            exit_code,
            log,
        } => {
            let code = exit_code.map(|c| format!(", exit code {c}")).unwrap_or_default();
            let mut lines = vec![style.red(&format!("a task of {service} stopped: {reason}{code}"))];
            lines.extend(log.iter().map(|line| format!("    {line}")));
            lines
        }
        Event::Log { service, message, .. } => vec![format!("{service} | {message}")],
        Event::Result { .. } => Vec::new(),
        Event::Error { message, hint, .. } => {
            let mut lines = vec![format!("{} {message}", style.red("error:"))];
            lines.extend(hint.iter().map(|hint| format!("{} {hint}", style.bold("hint:"))));
            lines
        }
    }
}
