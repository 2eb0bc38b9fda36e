//! The live tree: stacks with what goes on in them, redrawn in place on a terminal.

mod board;
mod frame;

use std::fmt::Write as _;
use std::io::Write as _;

use super::clock::took;
use super::plain::lines;
use super::width::{clean, width};
use super::{Event, Expect, Mood, Now, Renderer, Style};
use board::{Board, Phase};
use frame::View;

/// Lines that stay, and below them what moves.
pub struct Tree {
    style: Style,
    expect: Expect,
    board: Board,
    turn: usize,
    /// Widths of the rows that are on the screen now.
    drawn: Vec<usize>,
    /// While something else has the screen, the lines that are to stay wait here.
    held: Option<Vec<String>>,
}

impl Tree {
    pub fn new(style: Style) -> Self {
        Self {
            style,
            expect: super::unknown(),
            board: Board::default(),
            turn: 0,
            drawn: Vec::new(),
            held: None,
        }
    }

    /// Takes an event in, and gives the lines that it leaves on the screen for good.
    pub fn take(&mut self, event: &Event, now: Now) -> Vec<String> {
        let stay = self.stay(event);
        self.board.take(event, now.run);
        stay
    }

    /// The live part at this moment, on a terminal of this size.
    pub fn frame(&self, now: Now, columns: usize, rows: usize) -> Vec<String> {
        let view = View {
            columns,
            rows,
            now: now.run,
            turn: self.turn,
            style: self.style,
            expect: &self.expect,
        };
        frame::frame(&self.board, &view)
    }

    fn stay(&self, event: &Event) -> Vec<String> {
        match event {
            Event::Stack { .. }
            | Event::StackWaits { .. }
            | Event::Rollout { .. }
            | Event::Compiler { .. }
            | Event::Serving { .. } => Vec::new(),
            Event::Plan { .. } => lines(event, self.style),
            // That what was replaced is cleaned away shows in the live part.
            Event::StackTurns { status, .. } if !status.ends_with("ROLLBACK_IN_PROGRESS") => Vec::new(),
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
            // They are folded into one row, and into one line at the end.
            Event::StackEnded { status, .. } if status == "unchanged" => Vec::new(),
            Event::StackEnded {
                stack,
                status,
                mood,
                seconds,
            } => {
                let mark = match mood {
                    Mood::Good => "✔",
                    Mood::Bad => "✘",
                    _ => "•",
                };
                vec![format!(
                    "{} {}  {status}  {}",
                    self.style.mood(*mood, mark),
                    self.board.short(stack),
                    self.style.dim(&took(*seconds))
                )]
            }
            Event::Image { service, step, detail } => {
                if !matches!(*step, "pushed" | "unchanged" | "loaded") {
                    return Vec::new();
                }
                // as much of a digest as people compare by eye; the whole of it is in plain output
                let digest: String = detail.chars().take("sha256:".len() + 12).collect();
                let mark = self.style.green("✔");
                vec![format!("{mark} image {service}  {step} {}", self.style.dim(&digest))]
            }
            Event::Summary(_) => {
                let mut stay = self.unchanged();
                stay.extend(lines(event, self.style));
                stay
            }
            other => lines(other, self.style),
        }
    }

    fn unchanged(&self) -> Vec<String> {
        let names: Vec<&str> = self
            .board
            .stacks
            .values()
            .filter(|stack| matches!(&stack.phase, Phase::Ended(status) if status == "unchanged"))
            .map(|stack| stack.short.as_str())
            .collect();
        match names.len() {
            0 => Vec::new(),
            count => vec![self.style.dim(&format!("• {count} unchanged: {}", names.join(", ")))],
        }
    }

    /// Goes to the first row of the live part. A terminal made narrower has broken its rows into several.
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

    /// Writes the lines that stay, then the live part over the former one, in one go: nothing is ever blank.
    fn draw(&mut self, stay: &[String], now: Now) {
        if let Some(held) = &mut self.held {
            held.extend_from_slice(stay);
            return;
        }
        let (columns, rows) = size();
        let live = self.frame(now, columns, rows);
        // Terminals that know it show the whole frame at once (synchronized output); others ignore it.
        let mut frame = "\x1b[?2026h".to_owned();
        self.home(&mut frame, columns);
        if !stay.is_empty() {
            // A line that stays may take several rows, and must not end among letters of the former frame.
            frame.push_str("\x1b[J");
        }
        for line in stay.iter().chain(&live) {
            // cleared before it is written: clearing behind a full row would take its last letter
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

impl Renderer for Tree {
    fn event(&mut self, event: &Event, now: Now) {
        let stay = self.take(event, now);
        self.draw(&stay, now);
    }

    fn tick(&mut self, now: Now) {
        self.turn += 1;
        self.draw(&[], now);
    }

    fn pause(&mut self) {
        self.erase();
        self.held.get_or_insert_default();
    }

    fn resume(&mut self, now: Now) {
        let stay = self.held.take().unwrap_or_default();
        self.draw(&stay, now);
    }

    fn end(&mut self, now: Now) {
        self.board.clear();
        self.resume(now);
    }

    fn expect(&mut self, expect: Expect) {
        self.expect = expect;
    }
}

fn write(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// Columns and rows of the terminal; 80 by 24 where it does not say.
fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => (80, 24),
    }
}
