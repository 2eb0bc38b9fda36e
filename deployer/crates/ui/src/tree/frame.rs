//! The live part of the screen at one moment, cut to the terminal's size.

use std::time::Duration;

use super::super::rollout::Rollout;
use super::super::width::{clean, cut, pad, width};
use super::super::{DurationEstimator, Sentiment, Style, format_duration, format_remaining};
use super::state::{Compilation, InProgress, Phase, Stack, TreeState};

const SPINNER: [&str; 8] = ["⠋", "⠙", "⠸", "⠴", "⠦", "⠇", "⠏", "⠹"];
/// Maximum columns of a name; longer ones are cut.
const MAX_NAME_WIDTH: usize = 44;

/// Size, moment and style of a frame.
pub struct Viewport<'a> {
    pub columns: usize,
    pub rows: usize,
    pub now: Duration,
    /// Number of frames drawn before; selects the spinner's picture.
    pub ticks: usize,
    pub style: Style,
    pub estimator: &'a DurationEstimator,
}

struct Row(RowStyle, String);

#[derive(Clone, Copy)]
enum RowStyle {
    Plain,
    Dim,
    Bad,
}

/// Returns the rows of the live part, none wider than the viewport and never more than fit.
pub fn frame(state: &TreeState, view: &Viewport) -> Vec<String> {
    let max_rows = view.rows.saturating_sub(2).max(3);
    // The least informative rows are dropped first: resources beyond the longest-running ones, then waiting stacks.
    let plans = [
        (usize::MAX, false),
        (8, false),
        (8, true),
        (3, true),
        (1, true),
        (0, true),
    ];
    let mut rows = Vec::new();
    for (resources, fold) in plans {
        rows = all(state, view, resources, fold);
        if rows.len() <= max_rows {
            break;
        }
    }
    if rows.len() > max_rows {
        let more = rows.len() - max_rows + 1;
        rows.truncate(max_rows - 1);
        rows.push(Row(RowStyle::Dim, format!("  … and {more} more rows")));
    }
    let columns = view.columns.saturating_sub(1);
    rows.iter()
        .map(|Row(style, text)| {
            let text = cut(text, columns);
            match style {
                RowStyle::Plain => text,
                RowStyle::Dim => view.style.dim(&text),
                RowStyle::Bad => view.style.red(&text),
            }
        })
        .collect()
}

fn all(state: &TreeState, view: &Viewport, resources: usize, fold: bool) -> Vec<Row> {
    let spin = SPINNER[view.ticks % SPINNER.len()];
    let unfinished = || {
        state
            .stacks
            .values()
            .filter(|stack| !matches!(stack.phase, Phase::Ended(_)))
    };
    let names = unfinished()
        .map(|stack| width(&stack.short_name))
        .max()
        .unwrap_or(0)
        .min(MAX_NAME_WIDTH)
        .min(view.columns / 2);
    let mut rows = Vec::new();
    let mut waiting = 0;
    for stack in unfinished() {
        let name = pad(&cut(&stack.short_name, names), names);
        match &stack.phase {
            Phase::Running {
                action,
                sentiment,
                start,
            } => {
                let style = match sentiment {
                    Sentiment::Bad => RowStyle::Bad,
                    _ => RowStyle::Plain,
                };
                let progress = progress(stack, *start, view);
                rows.push(Row(style, format!("{spin} {name}  {action}{progress}")));
                resource_rows(&mut rows, stack, view, resources);
            }
            _ if fold => waiting += 1,
            _ => {
                let text = match state.waits_for(stack) {
                    Some(on) => format!("waiting for {on}"),
                    None => "next".to_owned(),
                };
                rows.push(Row(RowStyle::Dim, format!("· {name}  {text}")));
            }
        }
    }
    if waiting > 0 {
        rows.push(Row(RowStyle::Dim, format!("· {waiting} more waiting")));
    }
    // No estimate while crates are compiled: stacks wait for their images.
    if unfinished().count() > 1
        && state.compilation.is_none()
        && let Some(text) = state
            .remaining(view.now)
            .and_then(|seconds| format_remaining(seconds, Duration::ZERO))
    {
        rows.push(Row(RowStyle::Dim, format!("  all stacks  {text}")));
    }
    let unchanged = state.unchanged();
    if !unchanged.is_empty() && !rows.is_empty() {
        rows.push(Row(
            RowStyle::Dim,
            format!("• {} unchanged: {}", unchanged.len(), unchanged.join(", ")),
        ));
    }
    let images = state.images.iter();
    rows.extend(images.map(|(service, step)| Row(RowStyle::Plain, format!("{spin} image {service}  {step}"))));
    if let Some(Compilation { start, finished, total }) = state.compilation {
        let crates = total.map_or_else(
            || format!("{finished} crates"),
            |total| format!("{finished} of {total} crates"),
        );
        let elapsed = format_duration(view.now.saturating_sub(start));
        rows.push(Row(RowStyle::Plain, format!("{spin} compiling {crates}, {elapsed}")));
    }
    let compiler = state.compiler.iter();
    rows.extend(compiler.map(|line| Row(RowStyle::Plain, format!("{spin} {}", clean(line).trim()))));
    let serving = state.serving.iter();
    rows.extend(serving.map(|text| Row(RowStyle::Plain, format!("{spin} waiting until ready: {}", clean(text)))));
    rows
}

/// Returns the progress of a stack: finished and total resources, elapsed time, remaining time if known.
fn progress(stack: &Stack, start: Duration, view: &Viewport) -> String {
    let elapsed = view.now.saturating_sub(start);
    let mut text = String::new();
    if stack.total > 0 {
        text.push_str(&format!(" {}/{}", stack.done.min(stack.total), stack.total));
    }
    text.push_str(&format!("  {}", format_duration(elapsed)));
    let expected = stack.expected_seconds.map(f64::from);
    if let Some(remaining) = expected.and_then(|expected| format_remaining(expected, elapsed)) {
        text.push_str(&format!("  {remaining}"));
    }
    text
}

/// Adds rows of the resources in progress, the longest-running first, and at most `max`.
fn resource_rows(rows: &mut Vec<Row>, stack: &Stack, view: &Viewport, max: usize) {
    let mut resources: Vec<(&String, &InProgress)> = stack.resources.iter().collect();
    // A rollout is the most interesting part: it comes first, so that it is never left out.
    resources.sort_by_key(|(_, resource)| (resource.rollout.is_none(), resource.start));
    let hidden = resources.len().saturating_sub(max);
    resources.truncate(max);
    let name_width = resources.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let name_width = name_width.min(MAX_NAME_WIDTH);
    let kind_width = resources
        .iter()
        .map(|(_, resource)| width(&resource.resource_type))
        .max()
        .unwrap_or(0);
    for (name, resource) in resources {
        let elapsed = view.now.saturating_sub(resource.start);
        let mut text = format!(
            "    {}  {}  {}  {}",
            pad(&cut(name, name_width), name_width),
            pad(&resource.resource_type, kind_width),
            resource.action,
            format_duration(elapsed)
        );
        let expected = (view.estimator)(&resource.resource_type, resource.action);
        if let Some(remaining) = expected.and_then(|expected| format_remaining(expected, elapsed)) {
            text.push_str(&format!("  {remaining}"));
        }
        rows.push(Row(RowStyle::Dim, text));
        // A finished rollout adds nothing to the resource's own row.
        if let Some(rollout) = resource.rollout.as_ref().filter(|rollout| rollout.is_in_progress()) {
            rollout_rows(rows, rollout);
        }
    }
    if hidden > 0 && max > 0 {
        rows.push(Row(RowStyle::Dim, format!("    … and {hidden} more")));
    }
}

/// Adds the rollout table of an ECS service: one row for each revision, then the breaker and the targets.
fn rollout_rows(rows: &mut Vec<Row>, rollout: &Rollout) {
    let names = rollout
        .revisions
        .iter()
        .map(|revision| width(&revision.name))
        .max()
        .unwrap_or(0)
        .max("revision".len());
    let heading = format!(
        "      {}  status    desired  running  pending  failed  rollout",
        pad("revision", names)
    );
    rows.push(Row(RowStyle::Dim, heading));
    for revision in &rollout.revisions {
        let text = format!(
            "      {}  {:<8}  {:>7}  {:>7}  {:>7}  {:>6}  {}",
            pad(&revision.name, names),
            revision.status,
            revision.desired,
            revision.running,
            revision.pending,
            revision.failed,
            revision.rollout
        );
        let style = if revision.failed > 0 {
            RowStyle::Bad
        } else {
            RowStyle::Plain
        };
        rows.push(Row(style, text));
    }
    if let Some(traffic) = &rollout.traffic {
        let style = if traffic.stage == "ROLLBACK" {
            RowStyle::Bad
        } else {
            RowStyle::Plain
        };
        rows.push(Row(style, format!("      {traffic}")));
    }
    let mut notes = Vec::new();
    if let Some(breaker) = rollout.breaker {
        notes.push(format!("breaker {} of {}", breaker.failed, breaker.threshold));
    }
    if !rollout.targets.is_empty() {
        notes.push(format!("targets {}", rollout.target_health()));
    }
    if !notes.is_empty() {
        rows.push(Row(RowStyle::Dim, format!("      {}", notes.join("; "))));
    }
}
