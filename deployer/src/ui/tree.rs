//! The live tree: stacks with their resources in progress, redrawn in place on a terminal.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use indexmap::IndexMap;

use super::plain::lines;
use super::{Event, Mood, Renderer, Style};

const SPINNER: [&str; 8] = ["⠋", "⠙", "⠸", "⠴", "⠦", "⠇", "⠏", "⠹"];

/// What is shown below the lines that stay: one row a stack, its busy resources beneath.
pub struct Tree {
    style: Style,
    stacks: IndexMap<String, Row>,
    images: IndexMap<String, String>,
    compiler: Option<String>,
    serving: Option<String>,
    drawn: usize,
    tick: usize,
}

struct Row {
    state: String,
    mood: Mood,
    started: Instant,
    seconds: Option<f32>,
    done: usize,
    total: usize,
    busy: IndexMap<String, String>,
}

impl Tree {
    pub fn new(style: Style) -> Self {
        Self {
            style,
            stacks: IndexMap::new(),
            images: IndexMap::new(),
            compiler: None,
            serving: None,
            drawn: 0,
            tick: 0,
        }
    }

    fn row(&mut self, stack: &str) -> &mut Row {
        self.stacks.entry(stack.to_owned()).or_insert_with(|| Row {
            state: String::new(),
            mood: Mood::Busy,
            started: Instant::now(),
            seconds: None,
            done: 0,
            total: 0,
            busy: IndexMap::new(),
        })
    }

    fn live(&self) -> Vec<String> {
        let spin = SPINNER[self.tick % SPINNER.len()];
        let mut rows = Vec::new();
        for (name, row) in self.stacks.iter().filter(|(_, row)| row.seconds.is_none()) {
            let count = if row.total > 0 {
                format!(" {}/{}", row.done.min(row.total), row.total)
            } else {
                String::new()
            };
            let seconds = row.started.elapsed().as_secs();
            rows.push(format!("{spin} {name}  {}{count}  {seconds} s", row.state));
            rows.extend(
                row.busy
                    .iter()
                    .map(|(resource, kind)| format!("    {resource}  {kind}")),
            );
        }
        rows.extend(
            self.images
                .iter()
                .map(|(service, step)| format!("{spin} image {service}  {step}")),
        );
        rows.extend(self.compiler.iter().map(|line| format!("{spin} {}", line.trim())));
        rows.extend(
            self.serving
                .iter()
                .map(|state| format!("{spin} waiting until it serves: {state}")),
        );
        rows
    }

    fn erase(&mut self, frame: &mut String) {
        if self.drawn > 0 {
            let _ = write!(frame, "\x1b[{}F\x1b[J", self.drawn);
            self.drawn = 0;
        }
    }

    /// Writes the lines that stay, then the live part, in one go so that nothing flickers.
    fn draw(&mut self, stay: &[String]) {
        let mut frame = String::new();
        self.erase(&mut frame);
        for line in stay {
            frame.push_str(line);
            frame.push('\n');
        }
        let (width, height) = size();
        let mut rows = self.live();
        let room = height.saturating_sub(2).max(3);
        if rows.len() > room {
            let more = rows.len() - room + 1;
            rows.truncate(room - 1);
            rows.push(format!("  … and {more} more"));
        }
        for row in &rows {
            let cut: String = row.chars().take(width.saturating_sub(1)).collect();
            let _ = writeln!(
                frame,
                "{}",
                if row.starts_with(' ') {
                    self.style.dim(&cut)
                } else {
                    cut
                }
            );
        }
        self.drawn = rows.len();
        let mut err = std::io::stderr().lock();
        let _ = err.write_all(frame.as_bytes()).and_then(|()| err.flush());
    }
}

impl Renderer for Tree {
    fn event(&mut self, event: &Event) {
        let mut stay = Vec::new();
        match event {
            Event::Stack {
                stack,
                action,
                resources,
            } => {
                let (action, total) = ((*action).to_owned(), *resources);
                let row = self.row(stack);
                (row.state, row.total, row.seconds) = (action, total, None);
            }
            Event::StackWaits { stack, on } => self.row(stack).state = format!("waits for {on}"),
            Event::Resource {
                stack,
                resource,
                kind,
                status,
                reason,
            } => {
                let row = self.row(stack);
                if status.ends_with("_IN_PROGRESS") {
                    row.busy.insert(resource.clone(), kind.clone());
                } else {
                    row.done += 1;
                    row.busy.shift_remove(resource);
                }
                if Mood::of(status) == Mood::Bad && reason.is_some() {
                    stay = lines(event, self.style);
                }
            }
            Event::StackEnded {
                stack,
                status,
                mood,
                seconds,
            } => {
                let row = self.row(stack);
                (row.mood, row.seconds) = (*mood, Some(*seconds));
                row.busy.clear();
                let mark = match mood {
                    Mood::Good => "✔",
                    Mood::Bad => "✘",
                    _ => "•",
                };
                let text = format!(
                    "{} {stack}  {status}  {}",
                    self.style.mood(*mood, mark),
                    self.style.dim(&format!("{seconds:.1} s"))
                );
                stay.push(text);
            }
            Event::Image { service, step, detail } => {
                if matches!(*step, "pushed" | "unchanged") {
                    self.images.shift_remove(service);
                    // as much of a digest as people compare by eye; the whole of it is in plain output
                    let digest: String = detail.chars().take("sha256:".len() + 12).collect();
                    stay.push(format!(
                        "{} image {service}  {step} {}",
                        self.style.green("✔"),
                        self.style.dim(&digest)
                    ));
                } else {
                    self.images.insert(service.clone(), format!("{step} {detail}"));
                }
                self.compiler = None;
            }
            Event::Compiler { line } => self.compiler = Some(line.clone()),
            Event::Serving { state } => self.serving = Some(state.clone()),
            other => stay = lines(other, self.style),
        }
        self.draw(&stay);
    }

    fn tick(&mut self) {
        self.tick += 1;
        self.draw(&[]);
    }

    fn pause(&mut self) {
        let mut frame = String::new();
        self.erase(&mut frame);
        let mut err = std::io::stderr().lock();
        let _ = err.write_all(frame.as_bytes()).and_then(|()| err.flush());
    }
}

/// Columns and rows of the terminal; 80 by 24 where it does not say.
fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => (80, 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_stack_leaves_the_live_part() {
        let mut tree = Tree::new(Style::default());
        tree.row("a").state = "create".into();
        tree.row("b").state = "create".into();
        tree.row("a").seconds = Some(1.0);
        let rows = tree.live();
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert!(rows[0].contains("b  create"), "{rows:?}");
    }
}
