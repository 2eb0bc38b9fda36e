#![doc = include_str!("../README.md")]

mod duration;
pub mod event;
mod ndjson;
mod plain;
mod renderer;
pub mod rollout;
pub mod stdout;
mod style;
mod summary;
pub mod table;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tree;
mod width;

#[cfg(test)]
mod tests;

use std::io::{BufRead, IsTerminal};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;

pub use duration::{format_duration, format_elapsed, format_remaining};
pub use event::{Event, PlannedStack, RunOutcome, Sentiment};
pub use renderer::{DurationEstimator, Now};
pub use style::Style;

use renderer::Renderer;
use summary::SummaryBuilder;

/// Interval between two redraws of moving parts.
const TICK: Duration = Duration::from_millis(120);

/// Options of the output.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub struct UiOptions {
    /// Write NDJSON on stdout instead of text.
    pub json: bool,
    /// Answer every yes-or-no question with yes.
    pub assume_yes: bool,
    /// No colours and no live tree.
    pub no_color: bool,
    /// Prefix each line with a UTC timestamp; no live tree.
    pub timestamps: bool,
}

/// A handle on the output, cloned into every task that reports something.
#[derive(Clone)]
pub struct Ui(Arc<Inner>);

struct Inner {
    screen: Mutex<Screen>,
    start: Instant,
    json: bool,
    assume_yes: bool,
    style: Style,
}

struct Screen {
    renderer: Box<dyn Renderer>,
    summary: SummaryBuilder,
}

impl Ui {
    /// Chooses the rendering by the options and by whether stderr is a terminal.
    pub fn new(options: UiOptions) -> Self {
        let color = !options.no_color && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let terminal = std::io::stderr().is_terminal() && std::env::var("TERM").is_ok_and(|t| t != "dumb");
        let style = Style {
            color: color && terminal,
        };
        let renderer: Box<dyn Renderer> = if options.json {
            Box::new(ndjson::NdjsonRenderer)
        } else if terminal && !options.no_color && !options.timestamps {
            Box::new(tree::TreeRenderer::new(style))
        } else {
            Box::new(plain::PlainRenderer::new(style, options.timestamps))
        };
        Self::with_renderer(renderer, options, style)
    }

    fn with_renderer(renderer: Box<dyn Renderer>, options: UiOptions, style: Style) -> Self {
        let screen = Screen {
            renderer,
            summary: SummaryBuilder::default(),
        };
        Self(Arc::new(Inner {
            screen: Mutex::new(screen),
            start: Instant::now(),
            json: options.json,
            assume_yes: options.assume_yes,
            style,
        }))
    }

    /// Returns true with `--json`.
    pub fn is_json(&self) -> bool {
        self.0.json
    }

    /// Returns the style of stdout: plain unless stdout is a terminal, too.
    pub fn style(&self) -> Style {
        Style {
            color: self.0.style.color && std::io::stdout().is_terminal(),
        }
    }

    /// Reports an event.
    #[expect(clippy::needless_pass_by_value, reason = "callers build the event in the call")]
    pub fn emit(&self, event: Event) {
        self.with(|screen, now| screen.event(&event, now));
    }

    /// Sets the source of expected durations.
    pub fn set_estimator(&self, estimator: DurationEstimator) {
        self.with(|screen, _| screen.renderer.set_estimator(estimator));
    }

    /// Reports the summary of a deployment. Does nothing if no stack was planned or changed.
    pub fn summarize(&self, outcome: RunOutcome) {
        self.with(|screen, now| {
            if let Some(summary) = screen.summary.finish(outcome, now.run) {
                screen.event(&Event::Summary(summary), now);
            }
        });
    }

    /// Reports a sentence about the progress.
    pub fn info(&self, text: impl Into<String>) {
        self.emit(Event::Note { text: text.into() });
    }

    /// Reports a problem that does not end the command.
    pub fn warn(&self, text: impl Into<String>) {
        self.emit(Event::Warning { text: text.into() });
    }

    /// Writes the result of a command: text on stdout, or its value as one line with `--json`.
    pub fn data(&self, kind: &'static str, value: Value, text: &str) {
        if self.0.json {
            self.emit(Event::Result { kind, value });
            return;
        }
        self.with(|screen, _| screen.renderer.pause());
        let end = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        stdout::write(&format!("{text}{end}"));
        self.with(|screen, now| screen.renderer.resume(now));
    }

    /// Reports the error that ends the command, then the summary of the deployment that it ended.
    pub fn error(&self, code: &'static str, message: String, hint: Option<String>, exit_code: u8) {
        self.emit(Event::Error {
            code,
            message,
            hint,
            exit_code,
        });
        self.summarize(RunOutcome::from_exit_code(exit_code));
    }

    /// Redraws moving parts until the guard is dropped.
    pub fn animate(&self) -> Animation {
        let ui = self.clone();
        Animation(
            self.clone(),
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(TICK).await;
                    ui.with(|screen, now| screen.renderer.tick(now));
                }
            }),
        )
    }

    /// Asks a yes-or-no question; `--yes` answers it. Returns `None` without a terminal.
    pub async fn ask(&self, question: &str) -> Option<bool> {
        if self.0.assume_yes {
            return Some(true);
        }
        if !self.can_prompt() {
            return None;
        }
        let line = self.read_line(&format!("{question} [y/N]")).await?;
        Some(matches!(line.to_lowercase().as_str(), "y" | "yes"))
    }

    /// Asks for a name to be typed, which `--yes` does not answer. Returns `None` without a terminal.
    pub async fn ask_to_type(&self, name: &str, why: &str) -> Option<bool> {
        if !self.can_prompt() {
            return None;
        }
        let line = self.read_line(&format!("Type {name} to {why}:")).await?;
        Some(line == name)
    }

    fn can_prompt(&self) -> bool {
        !self.0.json && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Shows a question and returns the line that is typed.
    async fn read_line(&self, question: &str) -> Option<String> {
        self.with(|screen, _| screen.renderer.pause());
        eprint!("{} ", self.0.style.bold(question));
        let answer = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map(|_| line)
        });
        let line = answer.await;
        self.with(|screen, now| screen.renderer.resume(now));
        Some(line.ok()?.unwrap_or_default().trim().to_owned())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Screen, Now) -> T) -> T {
        let now = Now::since(self.0.start);
        act(&mut self.0.screen.lock(), now)
    }
}

impl Screen {
    fn event(&mut self, event: &Event, now: Now) {
        self.summary.event(event, now.run);
        self.renderer.event(event, now);
    }
}

/// Stops redrawing and removes the live part of the screen when dropped.
pub struct Animation(Ui, tokio::task::JoinHandle<()>);

impl Drop for Animation {
    fn drop(&mut self) {
        self.1.abort();
        self.0.with(|screen, now| screen.renderer.end(now));
    }
}
