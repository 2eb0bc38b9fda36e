//! The live tree: stacks with their resources in progress, redrawn in place on a terminal.

mod frame;
mod state;

use std::fmt::Write as _;
use std::io::Write as _;

use super::plain::lines;
use super::renderer::{Renderer, no_estimates};
use super::width::{clean, width};
use super::{DurationEstimator, Event, Now, Sentiment, Style, format_elapsed};
use frame::Viewport;
use state::TreeState;

/// Permanent lines, and the live part below them.
pub struct TreeRenderer {
    style: Style,
    estimator: DurationEstimator,
    state: TreeState,
    ticks: usize,
    /// Widths of the rows that are on the screen now.
    drawn: Vec<usize>,
    /// Permanent lines to be written after `resume`; `None` unless paused.
    queued: Option<Vec<String>>,
}

impl TreeRenderer {
    pub fn new(style: Style) -> Self {
        Self {
            style,
            estimator: no_estimates(),
            state: TreeState::default(),
            ticks: 0,
            drawn: Vec::new(),
            queued: None,
        }
    }

    /// Applies an event, and returns the permanent lines that it adds.
    pub fn take(&mut self, event: &Event, now: Now) -> Vec<String> {
        let permanent = self.permanent_lines(event);
        self.state.apply(event, now.run);
        permanent
    }

    /// Returns the live part at this moment, on a terminal of this size.
    pub fn frame(&self, now: Now, columns: usize, rows: usize) -> Vec<String> {
        let view = Viewport {
            columns,
            rows,
            now: now.run,
            ticks: self.ticks,
            style: self.style,
            estimator: &self.estimator,
        };
        frame::frame(&self.state, &view)
    }

    fn permanent_lines(&self, event: &Event) -> Vec<String> {
        match event {
            Event::Stack { .. }
            | Event::StackWaiting { .. }
            | Event::StackCleaningUp { .. }
            | Event::Rollout { .. }
            | Event::Compiler { .. }
            | Event::Compiling { .. }
            | Event::Serving { .. } => Vec::new(),
            Event::Plan { .. } => lines(event, self.style),
            Event::Resource {
                status,
                reason,
                cancelled,
                ..
            } => {
                if status.ends_with("_FAILED") && reason.is_some() && !cancelled {
                    lines(event, self.style)
                } else {
                    Vec::new()
                }
            }
            // The live part has one row for all of them, and the end one line.
            Event::StackEnded { status, .. } if status == "unchanged" => Vec::new(),
            Event::StackEnded {
                stack,
                status,
                sentiment,
                seconds,
            } => {
                let mark = match sentiment {
                    Sentiment::Good => "✔",
                    Sentiment::Bad => "✘",
                    _ => "•",
                };
                vec![format!(
                    "{} {}  {status}  {}",
                    self.style.sentiment(*sentiment, mark),
                    self.state.short_name(stack),
                    self.style.dim(&format_elapsed(*seconds))
                )]
            }
            Event::Image { service, step, detail } => {
                if !matches!(*step, "pushed" | "unchanged" | "loaded") {
                    return Vec::new();
                }
                // A person compares a few digits; plain output has the complete digest.
                let digest: String = detail.chars().take("sha256:".len() + 12).collect();
                let mark = self.style.green("✔");
                vec![format!("{mark} image {service}  {step} {}", self.style.dim(&digest))]
            }
            Event::Summary(_) => {
                let mut permanent = self.unchanged();
                permanent.extend(lines(event, self.style));
                permanent
            }
            other => lines(other, self.style),
        }
    }

    fn unchanged(&self) -> Vec<String> {
        let names = self.state.unchanged();
        match names.len() {
            0 => Vec::new(),
            count => vec![self.style.dim(&format!("• {count} unchanged: {}", names.join(", ")))],
        }
    }

    /// Moves the cursor to the first row of the live part. A terminal made narrower has wrapped its rows.
    fn home(&mut self, frame: &mut String, columns: usize) {
        let rows: usize = self
            .drawn
            .iter()
            .map(|width| width.div_ceil(columns.max(1)).max(1))
            .sum();
        if rows > 0 {
            let _ = write!(frame, "\x1b[{rows}F");
        }
        self.drawn.clear();
    }

    /// Writes the permanent lines, then the live part over the former one, in one call, so that it does not flicker.
    fn draw(&mut self, permanent: &[String], now: Now) {
        if let Some(queued) = &mut self.queued {
            queued.extend_from_slice(permanent);
            return;
        }
        let (columns, rows) = size();
        let live = self.frame(now, columns, rows);
        // Terminals with synchronized output show the frame at once; others ignore the sequence.
        let mut frame = "\x1b[?2026h".to_owned();
        self.home(&mut frame, columns);
        if !permanent.is_empty() {
            // A permanent line may wrap onto rows of the former frame.
            frame.push_str("\x1b[J");
        }
        for line in permanent.iter().chain(&live) {
            // Cleared before it is written: clearing behind a full row would erase its last character.
            let _ = write!(frame, "\x1b[2K{line}\r\n");
        }
        frame.push_str("\x1b[J\x1b[?2026l");
        self.drawn = live.iter().map(|row| width(&clean(row))).collect();
        write(&frame);
    }

    fn erase(&mut self) {
        let mut frame = String::new();
        self.home(&mut frame, size().0);
        if !frame.is_empty() {
            write(&format!("{frame}\x1b[J"));
        }
    }
}

impl Renderer for TreeRenderer {
    fn event(&mut self, event: &Event, now: Now) {
        let permanent = self.take(event, now);
        self.draw(&permanent, now);
    }

    fn tick(&mut self, now: Now) {
        self.ticks += 1;
        self.draw(&[], now);
    }

    fn pause(&mut self) {
        self.erase();
        self.queued.get_or_insert_default();
    }

    fn resume(&mut self, now: Now) {
        let permanent = self.queued.take().unwrap_or_default();
        self.draw(&permanent, now);
    }

    fn end(&mut self, now: Now) {
        self.state.clear();
        self.resume(now);
    }

    fn set_estimator(&mut self, estimator: DurationEstimator) {
        self.estimator = estimator;
    }
}

fn write(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// Returns columns and rows of the terminal; 80 by 24 if unknown.
fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => (80, 24),
    }
}
