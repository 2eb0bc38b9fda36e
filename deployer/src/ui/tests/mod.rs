//! The whole screen: one script, played to the tree, to a pipe and to a program.

mod events;
mod schema;
mod script;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use time::OffsetDateTime;

use super::event::Event;
use super::plain::Plain;
use super::tally::Tally;
use super::tree::Tree;
use super::{Now, Renderer, Style, ndjson};
use script::Beat;

/// Remembers events instead of showing them.
pub struct Recorder(pub Arc<Mutex<Vec<Event>>>);

impl Renderer for Recorder {
    fn event(&mut self, event: &Event, _: Now) {
        self.0.lock().expect("whole").push(event.clone());
    }
}

/// 2026-01-02T03:04:05Z
const BEGIN: i64 = 1_767_323_045;

fn at(second: u64) -> Now {
    Now {
        run: Duration::from_secs(second),
        wall: OffsetDateTime::from_unix_timestamp(BEGIN + second as i64).expect("a time"),
    }
}

/// What a pipe shows of these events; how long they took is left out, for it varies.
pub fn piped(events: &[Event]) -> String {
    let mut plain = Plain::new(Style::default(), false);
    let lines = events.iter().flat_map(|event| {
        let mut event = event.clone();
        if let Event::StackEnded { seconds, .. } = &mut event {
            *seconds = 0.0;
        }
        plain.take(&event, at(0))
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let passed = regex::Regex::new(r"after \d+ s").expect("a pattern");
    passed.replace_all(&text, "after N s").into_owned()
}

/// The three renderings of one run.
struct Stage {
    tally: Tally,
    tree: Tree,
    plain: Plain,
    /// Lines of the tree that stay.
    scrolled: Vec<String>,
    looks: Vec<String>,
    piped: Vec<String>,
    lines: Vec<String>,
    size: (usize, usize),
}

impl Stage {
    fn new(columns: usize, rows: usize) -> Self {
        let mut tree = Tree::new(Style::default());
        tree.expect(Arc::new(|kind, action| match (kind, action) {
            ("AWS::RDS::DBInstance", "create") => Some(595.0),
            ("AWS::EC2::NatGateway", "create") => Some(106.0),
            ("AWS::ECS::Service", "update") => Some(71.0),
            _ => None,
        }));
        Self {
            tally: Tally::default(),
            tree,
            plain: Plain::new(Style::default(), false),
            scrolled: Vec::new(),
            looks: Vec::new(),
            piped: Vec::new(),
            lines: Vec::new(),
            size: (columns, rows),
        }
    }

    fn play(mut self, script: &[Beat]) -> Self {
        for beat in script {
            match beat {
                Beat::Happens(second, event) => self.event(event, at(*second)),
                Beat::Ends(second, outcome) => {
                    let now = at(*second);
                    if let Some(summary) = self.tally.summary(*outcome, now.run) {
                        self.event(&Event::Summary(summary), now);
                    }
                }
                Beat::Look(second) => self.look(at(*second)),
            }
        }
        self
    }

    fn event(&mut self, event: &Event, now: Now) {
        self.tally.event(event, now.run);
        self.scrolled.extend(self.tree.take(event, now));
        self.piped.extend(self.plain.remind(now));
        self.piped.extend(self.plain.take(event, now));
        self.lines.push(ndjson::line(event, now).to_string());
    }

    fn look(&mut self, now: Now) {
        let (columns, rows) = self.size;
        let screen = [self.scrolled.clone(), self.tree.frame(now, columns, rows)].concat();
        self.looks
            .push(format!("-- second {}\n{}", now.run.as_secs(), screen.join("\n")));
    }

    /// What stays on the terminal when all is over.
    fn screens(mut self) -> String {
        self.looks.push(format!("-- at the end\n{}", self.scrolled.join("\n")));
        format!(
            "==== terminal\n{}\n\n==== pipe\n{}\n\n==== --json\n{}\n",
            self.looks.join("\n\n"),
            self.piped.join("\n"),
            self.lines.join("\n")
        )
    }
}

macro_rules! screens {
    ($($test:ident: $script:ident;)*) => {
        $(#[test]
        fn $test() {
            let screens = Stage::new(100, 30).play(&script::$script()).screens();
            insta::assert_snapshot!(stringify!($script), screens);
        })*
    };
}

screens! {
    a_first_deployment_shows_what_waits_what_runs_and_what_is_left: first_deployment;
    nothing_to_do_is_told_in_a_line: nothing_to_do;
    an_update_shows_its_rollout_from_revision_to_revision: update;
    a_replacement_warns_and_shows_the_old_one_go: replacement;
    a_failing_service_shows_why_its_tasks_stop_when_they_do: failing_service;
    a_rollback_names_the_cause_and_counts_the_consequences: rollback;
    an_interrupt_clears_what_moves: interrupted;
    a_lock_is_told_and_no_summary_of_nothing: locked;
}

#[test]
fn a_small_terminal_is_never_overrun_and_shows_the_rollout_first() {
    let many: Vec<Beat> = script::update().into_iter().take(8).collect();
    for (columns, rows) in [(100, 30), (40, 12), (20, 6), (8, 4), (1, 1)] {
        let mut stage = Stage::new(columns, rows).play(&many);
        for number in 0..30 {
            let resource = Event::Resource {
                stack: "shop-dev-app".into(),
                resource: format!("通知サービス{number}"),
                kind: "AWS::IAM::Role".into(),
                status: "CREATE_IN_PROGRESS".into(),
                reason: None,
                cancelled: false,
            };
            stage.event(&resource, at(5));
        }
        let frame = stage.tree.frame(at(6), columns, rows);
        assert!(
            frame.len() <= rows.saturating_sub(2).max(3),
            "{columns}x{rows}: {frame:#?}"
        );
        let widest = frame.iter().map(|row| super::width::width(row)).max();
        assert!(
            widest <= Some(columns.saturating_sub(1)),
            "{columns}x{rows}: {frame:#?}"
        );
        if rows > 10 {
            assert!(frame.iter().any(|row| row.contains("app:2")), "{frame:#?}");
        }
    }
}

#[test]
fn timestamps_stand_before_every_line_of_a_pipe() {
    let mut plain = Plain::new(Style::default(), true);
    let event = Event::Error {
        message: "one\ntwo".into(),
        hint: None,
        exit_code: 1,
    };
    assert_eq!(
        plain.take(&event, at(5)),
        ["2026-01-02T03:04:10Z error: one", "2026-01-02T03:04:10Z two"]
    );
}

#[test]
fn a_loop_of_equal_crashes_does_not_flood_the_screen() {
    let mut plain = Plain::new(Style::default(), false);
    let told = (1..=1000).filter(|times| !plain.take(&events::stopped(*times), at(0)).is_empty());
    assert_eq!(told.collect::<Vec<_>>(), [1, 2, 3, 10, 100, 1000]);
}
