//! Deployments against a fake endpoint, with its own clock: half an hour passes in seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws::cloudformation;
use aws::credentials::CredentialsSource;
use aws::testing::{FakeAws, Scenario, error_response, rotating_credentials};
use parking_lot::Mutex;
use serde_json::json;

use super::image_pipeline::ImagePipeline;
use super::{Deployment, StackOutcome};
use crate::error::Error;
use crate::operations;
use platform::manifest::Account;
use platform::stacks::{Ingress, Plan, Stack};
use ui::{Event, Ui};

const KAFKA: &str = "shop-dev-messaging";
const APP: &str = "shop-dev-app";
const OLD: &str = r#"{"Resources":{}}"#;

const KAFKA_IS_CREATED: &str = "
    0:00   stack    CREATE_IN_PROGRESS
    0:05   Cluster  AWS::MSK::Cluster CREATE_IN_PROGRESS
    30:33  Cluster  AWS::MSK::Cluster CREATE_COMPLETE
    30:35  stack    CREATE_COMPLETE";
const APP_IS_CREATED: &str = "
    0:00   stack    CREATE_IN_PROGRESS
    0:02   Log      AWS::Logs::LogGroup CREATE_IN_PROGRESS
    0:20   Log      AWS::Logs::LogGroup CREATE_COMPLETE
    0:21   stack    CREATE_COMPLETE";
const APP_IS_UPDATED: &str = "
    0:00   stack    UPDATE_IN_PROGRESS
    0:02   Log      AWS::Logs::LogGroup UPDATE_IN_PROGRESS
    8:00   Log      AWS::Logs::LogGroup UPDATE_COMPLETE
    8:01   stack    UPDATE_COMPLETE";

/// A run, and its output in a pipe.
struct Run {
    result: Result<Vec<(String, StackOutcome)>, Error>,
    screen: String,
    seconds: u64,
}

impl Run {
    fn exit_code(&self) -> u8 {
        self.result.as_ref().err().map_or(0, Error::exit_code)
    }

    fn updated(&self) -> bool {
        let updated = (APP.to_owned(), StackOutcome::Updated);
        self.result.as_ref().is_ok_and(|outcomes| outcomes.contains(&updated))
    }
}

/// Returns a plan of `app`, which may depend on `messaging`.
fn plan(messaging: bool) -> Arc<Plan> {
    let stack = |short: &str, kind: &str, logical: &str, depends_on: &[&str]| Stack {
        name: format!("shop-dev-{short}"),
        short_name: short.to_owned(),
        template: json!({ "Resources": { logical: { "Type": kind } } }),
        parameters: Vec::new(),
        depends_on: depends_on.iter().map(|name| (*name).to_owned()).collect(),
    };
    let mut stacks = vec![stack("app", "AWS::Logs::LogGroup", "Log", &[])];
    if messaging {
        stacks[0].depends_on.push(KAFKA.to_owned());
        stacks.insert(0, stack("messaging", "AWS::MSK::Cluster", "Cluster", &[]));
    }
    Arc::new(Plan {
        project: "shop".into(),
        environment: "dev".into(),
        protected: false,
        account: Account::default(),
        stacks,
        images: Vec::new(),
        ingress: Ingress {
            stack: APP.into(),
            port: 80,
            https: false,
            host: None,
            has_record: false,
            readiness_path: "/".into(),
            curl: Vec::new(),
        },
    })
}

/// Deploys as `up` does.
async fn up(scenario: &Arc<Scenario>, endpoint: &FakeAws, plan: &Arc<Plan>, credentials: CredentialsSource) -> Run {
    let (ui, events) = Ui::recording();
    let aws = endpoint.aws_session(scenario.clock, credentials).await;
    let aws = operations::tolerating_outages(&aws, &ui);
    let start = scenario.clock.now();
    let result = async {
        let existing = cloudformation::list_stacks(&aws, "shop-dev-").await?;
        let images = ImagePipeline::start(ui.clone(), aws.clone(), Vec::new());
        let timeout = Duration::from_mins(90);
        let deployment = Deployment::new(
            aws.clone(),
            ui.clone(),
            plan.clone(),
            images,
            existing,
            timeout,
            Arc::default(),
        );
        Ok(Arc::new(deployment).run().await?.into_iter().collect())
    };
    let result: Result<_, Error> = result.await;
    if let Err(error) = &result {
        error.report(&ui);
    }
    let screen = ui::testing::piped(
        &events
            .lock()
            .iter()
            .filter(|event| !matches!(event, Event::Summary(_)))
            .cloned()
            .collect::<Vec<_>>(),
    );
    Run {
        result,
        screen,
        seconds: scenario.clock.since(start).as_secs(),
    }
}

#[tokio::test]
async fn half_an_hour_of_msk_is_polled_with_backoff() {
    let scenario = Arc::new(
        Scenario::default()
            .operation(KAFKA, KAFKA_IS_CREATED)
            .operation(APP, APP_IS_CREATED),
    );
    let endpoint = scenario.start().await;
    let run = up(&scenario, &endpoint, &plan(true), rotating_credentials(&["KEY"])).await;
    assert_eq!(run.exit_code(), 0, "{}", run.screen);
    assert!((1835..2400).contains(&run.seconds), "{} s", run.seconds);
    let polls = scenario.call_times("DescribeStackEvents");
    assert!(polls.len() < 150, "{} polls, at {polls:?}", polls.len());
    let pauses: Vec<Duration> = polls
        .windows(2)
        .map(|two| two[1].checked_sub(two[0]).unwrap())
        .collect();
    let longest = pauses.iter().max().expect("polls");
    assert!(longest >= &Duration::from_secs(20), "the longest pause is {longest:?}");
    insta::assert_snapshot!(run.screen);
}

#[tokio::test]
async fn a_throttled_deployment_slows_down_and_succeeds() {
    let scenario = Arc::new(Scenario::default().stack(APP, OLD).operation(APP, APP_IS_UPDATED));
    let calls = AtomicU32::new(0);
    let codes = ["Throttling", "RequestLimitExceeded", "SlowDown"];
    let endpoint = scenario
        .start_with(move |_, now| {
            // Every second call, and for a minute and a half every call.
            let count = calls.fetch_add(1, Ordering::Relaxed);
            let storm = (120..210).contains(&now.as_secs());
            let code = codes[count as usize % codes.len()];
            let status = if code == "SlowDown" { 503 } else { 400 };
            (storm || count.is_multiple_of(2)).then(|| error_response(status, code, "Rate exceeded"))
        })
        .await;
    let run = up(&scenario, &endpoint, &plan(false), rotating_credentials(&["KEY"])).await;
    assert_eq!(run.exit_code(), 0, "{}", run.screen);
    assert!(run.updated(), "{}", run.screen);
    assert_eq!(
        scenario.call_times("ExecuteChangeSet").len(),
        2,
        "one rejected, one accepted"
    );
}

#[tokio::test]
async fn an_update_that_cannot_be_rolled_back_is_stuck_with_its_cause() {
    let scenario = Scenario::default().stack(APP, OLD).operation(
        APP,
        "
        0:00   stack     UPDATE_IN_PROGRESS
        0:02   Database  AWS::RDS::DBInstance UPDATE_IN_PROGRESS
        0:03   Log       AWS::Logs::LogGroup UPDATE_IN_PROGRESS
        4:00   Database  AWS::RDS::DBInstance UPDATE_FAILED: Cannot upgrade from 16.4 to 15.2
        4:01   Log       AWS::Logs::LogGroup UPDATE_FAILED: Resource update cancelled
        4:02   stack     UPDATE_ROLLBACK_IN_PROGRESS: The following resource(s) failed to update: [Database]
        9:00   Database  AWS::RDS::DBInstance UPDATE_FAILED: The instance is in state storage-optimization
        9:01   stack     UPDATE_ROLLBACK_FAILED: The following resource(s) failed to update: [Database]",
    );
    let scenario = Arc::new(scenario);
    let endpoint = scenario.start().await;
    let run = up(&scenario, &endpoint, &plan(false), rotating_credentials(&["KEY"])).await;
    assert_eq!(run.exit_code(), 5);
    insta::assert_snapshot!(run.screen);
}

#[tokio::test]
async fn expired_credentials_end_the_run_and_the_next_run_continues_it() {
    let scenario = Arc::new(Scenario::default().stack(APP, OLD).operation(APP, APP_IS_UPDATED));
    let endpoint = scenario
        .start_with(|call, now| {
            let expired = call.access_key == "OLD" && now.as_secs() > 120;
            expired.then(|| {
                error_response(
                    403,
                    "ExpiredToken",
                    "The security token included in the request is expired",
                )
            })
        })
        .await;
    let run = up(&scenario, &endpoint, &plan(false), rotating_credentials(&["OLD"])).await;
    assert_eq!(run.exit_code(), 3, "{}", run.screen);
    assert!(run.seconds < 300, "it ends soon, without retries: {} s", run.seconds);
    insta::assert_snapshot!(run.screen);

    let run = up(&scenario, &endpoint, &plan(false), rotating_credentials(&["NEW"])).await;
    assert_eq!(run.exit_code(), 0, "{}", run.screen);
    insta::assert_snapshot!(run.screen);
    assert_eq!(
        scenario.call_times("ExecuteChangeSet").len(),
        1,
        "the operation in progress is waited for, not started again"
    );
}

#[tokio::test]
async fn renewed_credentials_of_the_profile_are_used_during_the_run() {
    let scenario = Arc::new(Scenario::default().stack(APP, OLD).operation(APP, APP_IS_UPDATED));
    let access_keys = Arc::new(Mutex::new(Vec::new()));
    let recorded = access_keys.clone();
    let endpoint = scenario
        .start_with(move |call, now| {
            recorded.lock().push(call.access_key.clone());
            let expired = call.access_key == "OLD" && now.as_secs() > 120;
            expired.then(|| {
                error_response(
                    403,
                    "ExpiredToken",
                    "The security token included in the request is expired",
                )
            })
        })
        .await;
    let run = up(
        &scenario,
        &endpoint,
        &plan(false),
        rotating_credentials(&["OLD", "NEW"]),
    )
    .await;
    assert_eq!(run.exit_code(), 0, "{}", run.screen);
    let mut used = access_keys.lock().clone();
    used.dedup();
    assert_eq!(
        used,
        ["OLD", "NEW"],
        "the old key, then the new one, and never the old one again"
    );
    assert!(!run.screen.contains("warning"), "{}", run.screen);
}

#[tokio::test]
async fn a_stack_that_is_deleted_during_its_update_is_an_error() {
    let script = "
        0:00   stack    UPDATE_IN_PROGRESS
        0:02   Log      AWS::Logs::LogGroup UPDATE_IN_PROGRESS
        3:00   stack    vanishes";
    let scenario = Arc::new(Scenario::default().stack(APP, OLD).operation(APP, script));
    let endpoint = scenario.start().await;
    let run = up(&scenario, &endpoint, &plan(false), rotating_credentials(&["KEY"])).await;
    assert_eq!(run.exit_code(), 4);
    assert!(run.seconds < 300, "{} s", run.seconds);
    insta::assert_snapshot!(run.screen);
}

#[tokio::test]
async fn a_stack_that_is_deleted_before_its_update_is_created_again() {
    let scenario = Scenario::default()
        .stack(APP, OLD)
        .operation(KAFKA, KAFKA_IS_CREATED)
        .operation(APP, APP_IS_CREATED);
    let scenario = Arc::new(scenario);
    let lost = scenario.clone();
    let endpoint = scenario
        .start_with(move |_, now| {
            if now.as_secs() > 600 && now.as_secs() < 900 {
                lost.remove_stack(APP);
            }
            None
        })
        .await;
    let run = up(&scenario, &endpoint, &plan(true), rotating_credentials(&["KEY"])).await;
    assert_eq!(run.exit_code(), 0, "{}", run.screen);
    let outcomes = run.result.expect("it succeeds");
    assert!(
        outcomes.contains(&(APP.to_owned(), StackOutcome::Created)),
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn an_endpoint_that_is_unavailable_for_a_minute_is_waited_for() {
    // From the creation of the change set, and again during the operation.
    let scenario = Arc::new(Scenario::default().stack(APP, OLD).operation(APP, APP_IS_UPDATED));
    let unavailable = Mutex::new(None);
    let endpoint = scenario
        .start_with(move |call, now| {
            let mut since = unavailable.lock();
            if since.is_none() && call.operation == "CreateChangeSet" {
                *since = Some(now);
            }
            let first = since.is_some_and(|since| now.checked_sub(since).unwrap() < Duration::from_mins(1));
            let again = since.is_some_and(|since| (180..240).contains(&now.checked_sub(since).unwrap().as_secs()));
            (first || again).then_some(None)
        })
        .await;
    let run = up(&scenario, &endpoint, &plan(false), rotating_credentials(&["KEY"])).await;
    assert_eq!(run.exit_code(), 0, "{}", run.screen);
    assert!(run.updated(), "{}", run.screen);
}

#[tokio::test]
async fn an_endpoint_that_stays_unavailable_ends_the_run() {
    let scenario = Arc::new(Scenario::default().stack(APP, OLD).operation(APP, APP_IS_UPDATED));
    let endpoint = scenario
        .start_with(|_, now| (now.as_secs() > 120).then_some(None))
        .await;
    let run = up(&scenario, &endpoint, &plan(false), rotating_credentials(&["KEY"])).await;
    assert_eq!(run.exit_code(), 1);
    assert!(run.seconds < 900, "{} s", run.seconds);
    insta::assert_snapshot!(run.screen);
}
