//! What a person (or a program) sees: events in, one of three renderings out.
//!
//! Data goes to stdout, talk to stderr; with `--json` everything is an NDJSON line on stdout.

pub mod event;
mod ndjson;
mod plain;
mod style;
pub mod table;
mod tree;

use std::io::{BufRead, IsTerminal, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

pub use event::{Event, Mood};
pub use style::Style;

use crate::cli::Common;
use crate::error::Error;

/// A rendering of the event stream.
trait Renderer: Send {
    fn event(&mut self, event: &Event);
    /// Called several times a second, for what moves.
    fn tick(&mut self) {}
    /// Removes what moves, so that something else may write.
    fn pause(&mut self) {}
}

/// A handle on the terminal, cloned into every task that has something to say.
#[derive(Clone)]
pub struct Ui(Arc<Inner>);

struct Inner {
    renderer: Mutex<Box<dyn Renderer>>,
    json: bool,
    yes: bool,
    style: Style,
}

impl Ui {
    pub fn new(common: &Common) -> Self {
        let color = !common.no_color && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let terminal = std::io::stderr().is_terminal() && std::env::var("TERM").is_ok_and(|t| t != "dumb");
        let style = Style {
            color: color && terminal,
        };
        let renderer: Box<dyn Renderer> = if common.json {
            Box::new(ndjson::Ndjson)
        } else if terminal && !common.no_color {
            Box::new(tree::Tree::new(style))
        } else {
            Box::new(plain::Plain::new(style))
        };
        Self(Arc::new(Inner {
            renderer: Mutex::new(renderer),
            json: common.json,
            yes: common.yes,
            style,
        }))
    }

    pub fn is_json(&self) -> bool {
        self.0.json
    }

    /// The style of stdout: plain unless stdout is a terminal, too.
    pub fn style(&self) -> Style {
        Style {
            color: self.0.style.color && std::io::stdout().is_terminal(),
        }
    }

    pub fn emit(&self, event: Event) {
        self.with(|renderer| renderer.event(&event));
    }

    /// A sentence about what goes on.
    pub fn say(&self, text: impl Into<String>) {
        self.emit(Event::Note { text: text.into() });
    }

    pub fn warn(&self, text: impl Into<String>) {
        self.emit(Event::Warning { text: text.into() });
    }

    /// The result of a command: text on stdout, or its value as one line with `--json`.
    pub fn data(&self, kind: &'static str, value: Value, text: &str) {
        if self.0.json {
            self.emit(Event::Result { kind, value });
            return;
        }
        self.with(|renderer| renderer.pause());
        let mut out = std::io::stdout().lock();
        let end = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        // A reader that has gone (`| head`) is no error.
        let _ = write!(out, "{text}{end}").and_then(|()| out.flush());
    }

    pub fn error(&self, error: &Error) {
        self.emit(Event::Error {
            message: error.to_string(),
            hint: error.hint(),
            exit_code: error.exit_code(),
        });
    }

    /// Keeps what moves moving until the guard is dropped.
    pub fn animate(&self) -> Animation {
        let ui = self.clone();
        Animation(
            self.clone(),
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(Duration::from_millis(120)).await;
                    ui.with(|renderer| renderer.tick());
                }
            }),
        )
    }

    /// Asks a yes-or-no question; `--yes` answers it, and without a terminal nobody can (`None`).
    pub async fn ask(&self, question: &str) -> Option<bool> {
        if self.0.yes {
            return Some(true);
        }
        if self.0.json || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return None;
        }
        self.with(|renderer| renderer.pause());
        eprint!("{} [y/N] ", self.0.style.bold(question));
        let answer = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map(|_| line)
        });
        let line = answer.await.ok()?.unwrap_or_default();
        Some(matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    fn with(&self, act: impl FnOnce(&mut Box<dyn Renderer>)) {
        act(&mut self
            .0
            .renderer
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

/// Ends the movement, and removes the live part of the screen, when dropped.
pub struct Animation(Ui, tokio::task::JoinHandle<()>);

impl Drop for Animation {
    fn drop(&mut self) {
        self.1.abort();
        self.0.with(|renderer| renderer.pause());
    }
}
