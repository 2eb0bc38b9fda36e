//! What a person (or a program) sees: events in, one of three renderings out.
//!
//! Data goes to stdout, talk to stderr; with `--json` everything is an NDJSON line on stdout.

pub mod clock;
pub mod event;
mod ndjson;
pub mod pipe;
mod plain;
mod style;
pub mod table;
mod tally;
mod tree;
mod width;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::piped;

use std::io::{BufRead, IsTerminal};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

pub use clock::Now;
pub use event::{Event, Mood, Outcome};
pub use style::Style;

use crate::cli::Common;
use crate::error::Error;
use tally::Tally;

/// A rendering of the event stream.
trait Renderer: Send {
    fn event(&mut self, event: &Event, now: Now);
    /// Called several times a second, for what moves.
    fn tick(&mut self, _now: Now) {}
    /// Removes what moves, and keeps still until `resume`, so that something else may write.
    fn pause(&mut self) {}
    fn resume(&mut self, _now: Now) {}
    /// Nothing moves any more.
    fn end(&mut self, _now: Now) {}
    fn expect(&mut self, _expect: Expect) {}
}

/// How many seconds an action (create, update, delete) on a resource of a type takes, where that is known.
pub type Expect = Arc<dyn Fn(&str, &str) -> Option<f64> + Send + Sync>;

fn unknown() -> Expect {
    Arc::new(|_, _| None)
}

/// A handle on the terminal, cloned into every task that has something to say.
#[derive(Clone)]
pub struct Ui(Arc<Inner>);

struct Inner {
    screen: Mutex<Screen>,
    began: Instant,
    json: bool,
    yes: bool,
    style: Style,
}

struct Screen {
    renderer: Box<dyn Renderer>,
    tally: Tally,
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
        } else if terminal && !common.no_color && !common.timestamps {
            Box::new(tree::Tree::new(style))
        } else {
            Box::new(plain::Plain::new(style, common.timestamps))
        };
        let screen = Screen {
            renderer,
            tally: Tally::default(),
        };
        Self(Arc::new(Inner {
            screen: Mutex::new(screen),
            began: Instant::now(),
            json: common.json,
            yes: common.yes,
            style,
        }))
    }

    /// A screen that only remembers what happened.
    #[cfg(test)]
    pub fn recording() -> (Self, Arc<Mutex<Vec<Event>>>) {
        Self::recorded(false)
    }

    /// The same with `--yes`.
    #[cfg(test)]
    pub fn agreeing() -> (Self, Arc<Mutex<Vec<Event>>>) {
        Self::recorded(true)
    }

    #[cfg(test)]
    fn recorded(yes: bool) -> (Self, Arc<Mutex<Vec<Event>>>) {
        let events = Arc::new(Mutex::new(Vec::new()));
        let screen = Screen {
            renderer: Box::new(tests::Recorder(events.clone())),
            tally: Tally::default(),
        };
        let inner = Inner {
            screen: Mutex::new(screen),
            began: Instant::now(),
            json: false,
            yes,
            style: Style::default(),
        };
        (Self(Arc::new(inner)), events)
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
        self.with(|screen, now| screen.event(&event, now));
    }

    /// Tells how long things take, from now on.
    pub fn expect(&self, expect: Expect) {
        self.with(|screen, _| screen.renderer.expect(expect));
    }

    /// Ends the account of a deployment: what became of its stacks. Says nothing when there was none.
    pub fn summarize(&self, outcome: Outcome) {
        self.with(|screen, now| {
            if let Some(summary) = screen.tally.summary(outcome, now.run) {
                screen.event(&Event::Summary(summary), now);
            }
        });
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
        self.with(|screen, _| screen.renderer.pause());
        let end = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        pipe::write(&format!("{text}{end}"));
        self.with(|screen, now| screen.renderer.resume(now));
    }

    /// Tells an error, and then how the deployment that it ended stands: what failed first is on top.
    pub fn error(&self, error: &Error) {
        self.emit(Event::Error {
            message: error.to_string(),
            hint: error.hint(),
            exit_code: error.exit_code(),
        });
        self.summarize(match error.exit_code() {
            5 => Outcome::Stuck,
            6 => Outcome::TimedOut,
            130 => Outcome::Interrupted,
            _ => Outcome::Failed,
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
                    ui.with(|screen, now| screen.renderer.tick(now));
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
        let line = self.read_line(&format!("{question} [y/N]")).await?;
        Some(matches!(line.to_lowercase().as_str(), "y" | "yes"))
    }

    /// Asks for a name to be typed, which `--yes` does not do; without a terminal nobody can (`None`).
    pub async fn ask_to_type(&self, name: &str, why: &str) -> Option<bool> {
        if self.0.json || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return None;
        }
        let line = self.read_line(&format!("Type {name} to {why}:")).await?;
        Some(line == name)
    }

    /// Shows a question and gives the line that is typed.
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
        let now = Now::since(self.0.began);
        let screen = self.0.screen.lock();
        act(&mut screen.unwrap_or_else(std::sync::PoisonError::into_inner), now)
    }
}

impl Screen {
    fn event(&mut self, event: &Event, now: Now) {
        self.tally.event(event, now.run);
        self.renderer.event(event, now);
    }
}

/// Ends the movement, and removes the live part of the screen, when dropped.
pub struct Animation(Ui, tokio::task::JoinHandle<()>);

impl Drop for Animation {
    fn drop(&mut self) {
        self.1.abort();
        self.0.with(|screen, now| screen.renderer.end(now));
    }
}
