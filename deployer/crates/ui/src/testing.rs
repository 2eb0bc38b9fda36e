//! A `Ui` that records its events, and text of recorded events, for tests.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use time::OffsetDateTime;

use super::plain::PlainRenderer;
use super::renderer::Renderer;
use super::{Event, Now, Style, Ui, UiOptions};

/// Events in the order in which they were reported.
pub type Recorded = Arc<Mutex<Vec<Event>>>;

struct Recorder(Recorded);

impl Renderer for Recorder {
    fn event(&mut self, event: &Event, _: Now) {
        self.0.lock().push(event.clone());
    }
}

impl Ui {
    /// Returns an output that keeps its events in memory; it cannot prompt.
    pub fn recording() -> (Self, Recorded) {
        Self::recording_with(UiOptions::default())
    }

    /// Returns the same with `--yes`.
    pub fn recording_yes() -> (Self, Recorded) {
        Self::recording_with(UiOptions {
            assume_yes: true,
            ..UiOptions::default()
        })
    }

    fn recording_with(options: UiOptions) -> (Self, Recorded) {
        let events = Recorded::default();
        let ui = Self::with_renderer(Box::new(Recorder(events.clone())), options, Style::default());
        (ui, events)
    }
}

/// Returns the lines that a pipe shows of these events. Durations vary from run to run and are replaced.
#[expect(clippy::missing_panics_doc, reason = "the pattern is a constant")]
pub fn piped(events: &[Event]) -> String {
    let now = Now {
        run: Duration::ZERO,
        wall: OffsetDateTime::UNIX_EPOCH,
    };
    let mut plain = PlainRenderer::new(Style::default(), false);
    let lines = events.iter().flat_map(|event| {
        let mut event = event.clone();
        if let Event::StackEnded { seconds, .. } = &mut event {
            *seconds = 0.0;
        }
        plain.take(&event, now)
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let passed = regex::Regex::new(r"after \d+ s").expect("a valid pattern");
    passed.replace_all(&text, "after N s").into_owned()
}
