//! The live part of the screen at one moment, cut to the terminal's size.

use std::time::Duration;

use super::super::clock::{left, whole};
use super::super::width::{clean, cut, pad, width};
use super::super::{Expect, Mood, Style};
use super::board::{Board, Busy, Phase, Stack};
use crate::ecs::rollout::Rollout;

const SPINNER: [&str; 8] = ["⠋", "⠙", "⠸", "⠴", "⠦", "⠇", "⠏", "⠹"];
/// Columns of a name at most: what a long one says beyond is cut.
const NAME: usize = 44;

/// Where and when a frame is shown.
pub struct View<'a> {
    pub columns: usize,
    pub rows: usize,
    pub now: Duration,
    /// Which turn of the spinner it is.
    pub turn: usize,
    pub style: Style,
    pub expect: &'a Expect,
}

/// A row, and how it is painted.
struct Row(Tone, String);

#[derive(Clone, Copy)]
enum Tone {
    Plain,
    Dim,
    Bad,
}

/// The rows of the live part, none wider than the view and never more than fit.
pub fn frame(board: &Board, view: &View) -> Vec<String> {
    let room = view.rows.saturating_sub(2).max(3);
    // What tells least goes first: resources beyond the longest-running ones, then the stacks that only wait.
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
        rows = all(board, view, resources, fold);
        if rows.len() <= room {
            break;
        }
    }
    if rows.len() > room {
        let more = rows.len() - room + 1;
        rows.truncate(room - 1);
        rows.push(Row(Tone::Dim, format!("  … and {more} more rows")));
    }
    let columns = view.columns.saturating_sub(1);
    rows.iter()
        .map(|Row(tone, text)| {
            let text = cut(text, columns);
            match tone {
                Tone::Plain => text,
                Tone::Dim => view.style.dim(&text),
                Tone::Bad => view.style.red(&text),
            }
        })
        .collect()
}

fn all(board: &Board, view: &View, resources: usize, fold: bool) -> Vec<Row> {
    let spin = SPINNER[view.turn % SPINNER.len()];
    let open = || {
        board
            .stacks
            .values()
            .filter(|stack| !matches!(stack.phase, Phase::Ended(_)))
    };
    let names = open()
        .map(|stack| width(&stack.short))
        .max()
        .unwrap_or(0)
        .min(NAME)
        .min(view.columns / 2);
    let mut rows = Vec::new();
    let mut waiting = 0;
    for stack in open() {
        let name = pad(&cut(&stack.short, names), names);
        match &stack.phase {
            Phase::Works { action, mood, began } => {
                let tone = if *mood == Mood::Bad { Tone::Bad } else { Tone::Plain };
                rows.push(Row(
                    tone,
                    format!("{spin} {name}  {action}{}", progress(stack, *began, view)),
                ));
                children(&mut rows, stack, view, resources);
            }
            _ if fold => waiting += 1,
            _ => {
                let text = match board.waits_for(stack) {
                    Some(on) => format!("waits for {on}"),
                    None => "next".to_owned(),
                };
                rows.push(Row(Tone::Dim, format!("· {name}  {text}")));
            }
        }
    }
    if waiting > 0 {
        rows.push(Row(Tone::Dim, format!("· {waiting} more wait")));
    }
    if open().count() > 1
        && let Some(text) = board.left(view.now).and_then(|seconds| left(seconds, Duration::ZERO))
    {
        rows.push(Row(Tone::Dim, format!("  all stacks  {text}")));
    }
    let unchanged: Vec<&str> = board
        .stacks
        .values()
        .filter(|stack| matches!(&stack.phase, Phase::Ended(status) if status == "unchanged"))
        .map(|stack| stack.short.as_str())
        .collect();
    if !unchanged.is_empty() && !rows.is_empty() {
        rows.push(Row(
            Tone::Dim,
            format!("• {} unchanged: {}", unchanged.len(), unchanged.join(", ")),
        ));
    }
    let images = board.images.iter();
    rows.extend(images.map(|(service, step)| Row(Tone::Plain, format!("{spin} image {service}  {step}"))));
    let compiler = board.compiler.iter();
    rows.extend(compiler.map(|line| Row(Tone::Plain, format!("{spin} {}", clean(line).trim()))));
    let serving = board.serving.iter();
    rows.extend(serving.map(|state| Row(Tone::Plain, format!("{spin} waiting until it serves: {}", clean(state)))));
    rows
}

/// How far a stack is: resources done of all, time since it began, time left where it is known.
fn progress(stack: &Stack, began: Duration, view: &View) -> String {
    let elapsed = view.now.saturating_sub(began);
    let mut text = String::new();
    if stack.total > 0 {
        text.push_str(&format!(" {}/{}", stack.done.min(stack.total), stack.total));
    }
    text.push_str(&format!("  {}", whole(elapsed)));
    if let Some(left) = stack.expected.and_then(|expected| left(f64::from(expected), elapsed)) {
        text.push_str(&format!("  {left}"));
    }
    text
}

/// The resources that something is done to, the longest-running first.
fn children(rows: &mut Vec<Row>, stack: &Stack, view: &View, most: usize) {
    let mut busy: Vec<(&String, &Busy)> = stack.busy.iter().collect();
    busy.sort_by_key(|(_, busy)| busy.began);
    // A rollout is what people look for: it is never among the rows left out.
    busy.sort_by_key(|(_, busy)| busy.rollout.is_none());
    let hidden = busy.len().saturating_sub(most);
    busy.truncate(most);
    let names = busy.iter().map(|(name, _)| width(name)).max().unwrap_or(0).min(NAME);
    let kinds = busy.iter().map(|(_, busy)| width(&busy.kind)).max().unwrap_or(0);
    for (name, busy) in busy {
        let elapsed = view.now.saturating_sub(busy.began);
        let mut text = format!(
            "    {}  {}  {}  {}",
            pad(&cut(name, names), names),
            pad(&busy.kind, kinds),
            busy.action,
            whole(elapsed)
        );
        if let Some(left) = (view.expect)(&busy.kind, busy.action).and_then(|expected| left(expected, elapsed)) {
            text.push_str(&format!("  {left}"));
        }
        rows.push(Row(Tone::Dim, text));
        // One that has come to rest says nothing more than the resource's own row.
        if let Some(rollout) = busy.rollout.as_ref().filter(|rollout| rollout.is_moving()) {
            table(rows, rollout);
        }
    }
    if hidden > 0 && most > 0 {
        rows.push(Row(Tone::Dim, format!("    … and {hidden} more")));
    }
}

/// The rollout table of an ECS service: a row a revision, then the breaker and the targets.
fn table(rows: &mut Vec<Row>, rollout: &Rollout) {
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
    rows.push(Row(Tone::Dim, heading));
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
        let tone = if revision.failed > 0 { Tone::Bad } else { Tone::Plain };
        rows.push(Row(tone, text));
    }
    let mut notes = Vec::new();
    if let Some(breaker) = rollout.breaker {
        notes.push(format!("breaker {} of {}", breaker.failed, breaker.threshold));
    }
    if !rollout.targets.is_empty() {
        notes.push(format!("targets {}", rollout.health()));
    }
    if !notes.is_empty() {
        rows.push(Row(Tone::Dim, format!("      {}", notes.join("; "))));
    }
}
