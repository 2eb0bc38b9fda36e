//! Operations against a fake endpoint: crash loops, and an outage.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws::Clock;
use aws::credentials::fixed;
use aws::testing::{Call, FakeAws, FakeCrashLoop, Response};
use serde_json::json;
use ui::{Event, Ui};

use super::*;

async fn applied(fake: &Arc<FakeCrashLoop>, endpoint: &FakeAws, creates: bool) -> (Error, Vec<Event>) {
    let (ui, events) = Ui::recording();
    let aws = tolerating_outages(&endpoint.session().await, &ui);
    let set = FakeCrashLoop::change_set(creates);
    let timeout = Duration::from_secs(30);
    let result = apply(&aws, &ui, FakeCrashLoop::STACK, &set, None, timeout).await;
    assert_eq!(fake.calls("ExecuteChangeSet"), 1);
    let events = events.lock().clone();
    (result.expect_err("a crash loop fails"), events)
}

#[tokio::test]
async fn an_update_with_a_crash_loop_is_cancelled_long_before_its_breaker_trips() {
    let fake = FakeCrashLoop::new(true);
    let endpoint = fake.start().await;
    let (error, events) = applied(&fake, &endpoint, false).await;
    assert!(matches!(error, Error::Failed { .. }), "{error:?}");
    insta::assert_snapshot!(error);
    assert_eq!(fake.calls("CancelUpdateStack"), 1);
    let stopped = events.iter().filter_map(|event| match event {
        Event::TaskStopped { log, times, .. } => Some((*times, log.join("/"))),
        _ => None,
    });
    let stopped: Vec<_> = stopped.take(3).collect();
    assert_eq!(
        stopped,
        [1, 2, 3].map(|times| (times, "no such mode".to_owned())),
        "each task once, with its log, before the rollback"
    );
    assert!(events.iter().any(|event| matches!(event, Event::Rollout { .. })));
}

#[tokio::test]
async fn a_creation_without_a_breaker_is_not_waited_for() {
    let fake = FakeCrashLoop::new(false);
    let endpoint = fake.start().await;
    let (error, _) = applied(&fake, &endpoint, true).await;
    assert!(matches!(error, Error::CrashLoop { .. }), "{error:?}");
    insta::assert_snapshot!(error);
    assert_eq!(fake.calls("CancelUpdateStack"), 0, "a creation cannot be cancelled");
}

#[tokio::test]
async fn an_operation_continues_after_an_outage_of_its_endpoint() {
    let fake = FakeCrashLoop::new(true);
    let polls = AtomicU32::new(0);
    // The first calls after the start get no response: more than the ordinary attempts of one.
    let endpoint = fake
        .start_with(move |_, started| (started && polls.fetch_add(1, Ordering::Relaxed) < 4).then_some(None))
        .await;
    let (error, events) = applied(&fake, &endpoint, false).await;
    assert!(
        matches!(error, Error::Failed { .. }),
        "the operation's own end: {error:?}"
    );
    let note = |event: &Event| matches!(event, Event::Note { text } if text.starts_with("the endpoint responds again"));
    assert!(events.iter().any(note), "{events:#?}");
}

/// Lets ECS answer that a quota keeps the tasks of the service from being placed.
fn out_of_quota(call: &Call, _started: bool) -> Option<Response> {
    let quota = "(service app) was unable to place a task. Reason: You've reached the limit on the number of vCPUs you can run \
                 concurrently. For more information, see the Troubleshooting section.";
    let answer = match call.operation.as_str() {
        "DescribeServices" => json!({ "services": [{
            "serviceArn": "arn:aws:ecs:us-east-1:000000000000:service/shop-dev/app", "serviceName": "app", "status": "ACTIVE",
            "deployments": [{ "status": "PRIMARY", "desiredCount": 2, "runningCount": 0, "rolloutState": "IN_PROGRESS" }],
            "events": [{ "id": "1", "createdAt": 4_000_000_000_u64, "message": quota }],
        }] }),
        "ListTasks" => json!({ "taskArns": [] }),
        _ => return None,
    };
    Some(Some((200, answer.to_string())))
}

#[tokio::test]
async fn tasks_that_a_quota_keeps_from_being_placed_end_the_wait() {
    for creates in [false, true] {
        let fake = FakeCrashLoop::new(true);
        let endpoint = fake.start_with(out_of_quota).await;
        let aws = endpoint.aws_session(Clock::at_speed(600), fixed("key", "secret")).await;
        let (ui, _) = Ui::recording();
        let set = FakeCrashLoop::change_set(creates);
        let timeout = Duration::from_hours(1);
        let error = apply(&aws, &ui, FakeCrashLoop::STACK, &set, None, timeout).await;
        let error = error.expect_err("no task runs");
        assert_eq!(
            fake.calls("CancelUpdateStack"),
            usize::from(!creates),
            "a creation cannot be cancelled"
        );
        match error {
            Error::Unplaced { unplaced, .. } => assert!(creates && unplaced.service == "app", "{unplaced:?}"),
            Error::Failed { .. } => assert!(!creates),
            other => panic!("{other:?}"),
        }
    }
}
