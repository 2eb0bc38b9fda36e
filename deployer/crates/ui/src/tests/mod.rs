//! Complete runs, rendered for a terminal, for a pipe and for a program.

mod events;
mod scenarios;
mod schema;

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::event::Event;
use super::plain::PlainRenderer;
use super::renderer::Renderer;
use super::summary::SummaryBuilder;
use super::tree::TreeRenderer;
use super::{Now, Style, ndjson};
use scenarios::Step;

/// 2026-01-02T03:04:05Z
const START: u64 = 1_767_323_045;

fn at(second: u64) -> Now {
    let start = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(START);
    Now {
        run: Duration::from_secs(second),
        wall: start + Duration::from_secs(second),
    }
}

/// The three renderings of one run.
struct RenderHarness {
    summary: SummaryBuilder,
    tree: TreeRenderer,
    plain: PlainRenderer,
    /// Permanent lines of the tree.
    scrolled: Vec<String>,
    screenshots: Vec<String>,
    piped: Vec<String>,
    lines: Vec<String>,
    size: (usize, usize),
}

impl RenderHarness {
    fn new(columns: usize, rows: usize) -> Self {
        let mut tree = TreeRenderer::new(Style::default());
        tree.set_estimator(Arc::new(|resource_type, action| match (resource_type, action) {
            ("AWS::RDS::DBInstance", "create") => Some(595.0),
            ("AWS::EC2::NatGateway", "create") => Some(106.0),
            ("AWS::ECS::Service", "update") => Some(71.0),
            _ => None,
        }));
        Self {
            summary: SummaryBuilder::default(),
            tree,
            plain: PlainRenderer::new(Style::default(), false),
            scrolled: Vec::new(),
            screenshots: Vec::new(),
            piped: Vec::new(),
            lines: Vec::new(),
            size: (columns, rows),
        }
    }

    fn run(mut self, scenario: &[Step]) -> Self {
        for step in scenario {
            match step {
                Step::Emit(second, event) => self.event(event, at(*second)),
                Step::End(second, outcome) => {
                    let now = at(*second);
                    if let Some(summary) = self.summary.finish(*outcome, now.run) {
                        self.event(&Event::Summary(summary), now);
                    }
                }
                Step::Screenshot(second) => self.screenshot(at(*second)),
            }
        }
        self
    }

    fn event(&mut self, event: &Event, now: Now) {
        self.summary.event(event, now.run);
        self.scrolled.extend(self.tree.take(event, now));
        self.piped.extend(self.plain.remind(now));
        self.piped.extend(self.plain.take(event, now));
        self.lines.push(ndjson::line(event, now).to_string());
    }

    fn screenshot(&mut self, now: Now) {
        let (columns, rows) = self.size;
        let screen = [self.scrolled.clone(), self.tree.frame(now, columns, rows)].concat();
        self.screenshots
            .push(format!("-- second {}\n{}", now.run.as_secs(), screen.join("\n")));
    }

    /// Returns the screenshots, the permanent lines, and the output of the other renderings.
    fn output(mut self) -> String {
        self.screenshots
            .push(format!("-- at the end\n{}", self.scrolled.join("\n")));
        format!(
            "==== terminal\n{}\n\n==== pipe\n{}\n\n==== --json\n{}\n",
            self.screenshots.join("\n\n"),
            self.piped.join("\n"),
            self.lines.join("\n")
        )
    }
}

macro_rules! snapshots {
    ($($test:ident: $scenario:ident;)*) => {
        $(#[test]
        fn $test() {
            let output = RenderHarness::new(100, 30).run(&scenarios::$scenario()).output();
            insta::assert_snapshot!(stringify!($scenario), output);
        })*
    };
}

snapshots! {
    a_canary_shows_how_many_requests_the_new_tasks_get_and_for_how_long: canary;
    a_first_deployment_shows_waiting_stacks_resources_in_progress_and_the_remaining_time: first_deployment;
    nothing_to_do_takes_one_line: nothing_to_do;
    an_update_shows_its_rollout_from_revision_to_revision: update;
    a_replacement_warns_and_shows_the_deletion_of_the_old_resource: replacement;
    a_failing_service_shows_why_its_tasks_stop_when_they_do: failing_service;
    a_rollback_names_the_cause_and_counts_the_consequences: rollback;
    an_interrupt_removes_the_live_part: interrupted;
    a_lock_is_reported_without_an_empty_summary: locked;
}

#[test]
fn a_small_terminal_never_overflows_and_shows_the_rollout_first() {
    let update: Vec<Step> = scenarios::update().into_iter().take(8).collect();
    for (columns, rows) in [(100, 30), (40, 12), (20, 6), (8, 4), (1, 1)] {
        let mut harness = RenderHarness::new(columns, rows).run(&update);
        for number in 0..30 {
            let resource = Event::Resource {
                stack: "shop-dev-app".into(),
                resource: format!("通知サービス{number}"),
                resource_type: "AWS::IAM::Role".into(),
                status: "CREATE_IN_PROGRESS".into(),
                reason: None,
                cancelled: false,
            };
            harness.event(&resource, at(5));
        }
        let frame = harness.tree.frame(at(6), columns, rows);
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
fn every_line_of_a_pipe_has_a_timestamp() {
    let mut plain = PlainRenderer::new(Style::default(), true);
    let event = Event::Error {
        code: "locked",
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
fn a_crash_loop_does_not_flood_the_output() {
    let mut plain = PlainRenderer::new(Style::default(), false);
    let shown = (1..=1000).filter(|times| !plain.take(&events::stopped(*times), at(0)).is_empty());
    assert_eq!(shown.collect::<Vec<_>>(), [1, 2, 3, 10, 100, 1000]);
}
