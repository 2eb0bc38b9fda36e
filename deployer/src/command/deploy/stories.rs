//! Deployments against a scripted endpoint: what the embedded one cannot be made to do, with half an hour in seconds.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_cloudformation::config::Credentials;
use serde_json::json;

use super::images::Pipeline;
use super::{Deployment, Outcome};
use crate::cloudformation::stack;
use crate::error::Error;
use crate::stacks::{Ingress, Plan, Stack};
use crate::target::credentials::Source;
use crate::target::scripted::story::Story;
use crate::target::scripted::{Scripted, refusal};
use ui::{Event, Ui};

const KAFKA: &str = "shop-dev-messaging";
const APP: &str = "shop-dev-app";
const OLD: &str = r#"{"Resources":{}}"#;

const KAFKA_IS_MADE: &str = "
    0:00   stack    CREATE_IN_PROGRESS
    0:05   Cluster  AWS::MSK::Cluster CREATE_IN_PROGRESS
    30:33  Cluster  AWS::MSK::Cluster CREATE_COMPLETE
    30:35  stack    CREATE_COMPLETE";
const APP_IS_MADE: &str = "
    0:00   stack    CREATE_IN_PROGRESS
    0:02   Log      AWS::Logs::LogGroup CREATE_IN_PROGRESS
    0:20   Log      AWS::Logs::LogGroup CREATE_COMPLETE
    0:21   stack    CREATE_COMPLETE";
const APP_IS_UPDATED: &str = "
    0:00   stack    UPDATE_IN_PROGRESS
    0:02   Log      AWS::Logs::LogGroup UPDATE_IN_PROGRESS
    8:00   Log      AWS::Logs::LogGroup UPDATE_COMPLETE
    8:01   stack    UPDATE_COMPLETE";

/// A run, and what a pipe showed of it.
struct Run {
    result: Result<Vec<(String, Outcome)>, Error>,
    screen: String,
    seconds: u64,
}

impl Run {
    fn exit_code(&self) -> u8 {
        self.result.as_ref().err().map_or(0, Error::exit_code)
    }
}

/// `app`, alone or after `messaging`.
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
        stacks,
        images: Vec::new(),
        ingress: Ingress {
            stack: APP.into(),
            port: 80,
            https: false,
            host: None,
            readiness_path: "/".into(),
            curl: Vec::new(),
        },
    })
}

/// Credentials with these access keys, one after the other, the last for ever; each shows in a session of its own.
fn keys(keys: &'static [&'static str]) -> Source {
    let turn = Arc::new(AtomicU32::new(0));
    Arc::new(move || {
        let asked = turn.fetch_add(1, Ordering::Relaxed) as usize;
        let key = keys[asked.min(keys.len() - 1)];
        Box::pin(async move { Ok(Credentials::new(key, "secret", Some(key.to_lowercase()), None, "test")) })
    })
}

/// Deploys as `up` does, from what exists to the last stack.
async fn up(story: &Arc<Story>, endpoint: &Scripted, plan: &Arc<Plan>, source: Source) -> Run {
    let (ui, events) = Ui::recording();
    let aws = endpoint.as_aws(&ui, story.clock, source).await;
    let began = story.clock.now();
    let result = async {
        let existing = stack::all(&aws, "shop-dev-").await?;
        let images = Pipeline::start(ui.clone(), aws.clone(), Vec::new());
        let limit = Duration::from_secs(90 * 60);
        let deployment = Deployment::new(
            aws.clone(),
            ui.clone(),
            plan.clone(),
            images,
            existing,
            limit,
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
        seconds: story.clock.since(began).as_secs(),
    }
}

#[tokio::test]
async fn half_an_hour_of_msk_is_watched_with_looks_that_become_rarer() {
    let story = Arc::new(Story::begin().then(KAFKA, KAFKA_IS_MADE).then(APP, APP_IS_MADE));
    let endpoint = story.play().await;
    let run = up(&story, &endpoint, &plan(true), keys(&["KEY"])).await;
    assert_eq!(run.exit_code(), 0, "{}", run.screen);
    assert!((1835..2400).contains(&run.seconds), "{} s", run.seconds);
    let looks = story.times("DescribeStackEvents");
    assert!(looks.len() < 150, "{} looks, at {looks:?}", looks.len());
    let waiting: Vec<Duration> = looks.windows(2).map(|two| two[1] - two[0]).collect();
    let longest = waiting.iter().max().expect("looks");
    assert!(longest >= &Duration::from_secs(20), "the longest pause is {longest:?}");
    insta::assert_snapshot!(run.screen);
}

#[tokio::test]
async fn a_throttled_deployment_slows_down_and_ends_well() {
    let story = Arc::new(Story::begin().with(APP, OLD).then(APP, APP_IS_UPDATED));
    let calls = AtomicU32::new(0);
    let codes = ["Throttling", "RequestLimitExceeded", "SlowDown"];
    let endpoint = story
        .play_with(move |_, now| {
            // Each second call, and for a minute and a half every one.
            let count = calls.fetch_add(1, Ordering::Relaxed);
            let storm = (120..210).contains(&now.as_secs());
            let code = codes[count as usize % codes.len()];
            let status = if code == "SlowDown" { 503 } else { 400 };
            (storm || count.is_multiple_of(2)).then(|| refusal(status, code, "Rate exceeded"))
        })
        .await;
    let run = up(&story, &endpoint, &plan(false), keys(&["KEY"])).await;
    assert_eq!(run.exit_code(), 0, "{}", run.screen);
    assert!(run.screen.contains("UPDATE_COMPLETE"), "{}", run.screen);
    assert_eq!(story.times("ExecuteChangeSet").len(), 2, "once refused, once taken");
}

#[tokio::test]
async fn an_update_that_cannot_be_undone_is_stuck_and_says_why() {
    let story = Story::begin().with(APP, OLD).then(
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
    let story = Arc::new(story);
    let endpoint = story.play().await;
    let run = up(&story, &endpoint, &plan(false), keys(&["KEY"])).await;
    assert_eq!(run.exit_code(), 5);
    insta::assert_snapshot!(run.screen);
}

#[tokio::test]
async fn credentials_that_expire_end_the_run_and_the_next_goes_on_where_it_was() {
    let story = Arc::new(Story::begin().with(APP, OLD).then(APP, APP_IS_UPDATED));
    let endpoint = story
        .play_with(|call, now| {
            let expired = call.key == "OLD" && now.as_secs() > 120;
            expired.then(|| {
                refusal(
                    403,
                    "ExpiredToken",
                    "The security token included in the request is expired",
                )
            })
        })
        .await;
    let run = up(&story, &endpoint, &plan(false), keys(&["OLD"])).await;
    assert_eq!(run.exit_code(), 3, "{}", run.screen);
    assert!(
        run.seconds < 300,
        "it ends soon after, not after a row of tries: {} s",
        run.seconds
    );
    insta::assert_snapshot!(run.screen);

    let run = up(&story, &endpoint, &plan(false), keys(&["NEW"])).await;
    assert_eq!(run.exit_code(), 0, "{}", run.screen);
    insta::assert_snapshot!(run.screen);
    assert_eq!(
        story.times("ExecuteChangeSet").len(),
        1,
        "what was begun is waited for, not begun again"
    );
}

#[tokio::test]
async fn fresh_credentials_of_the_profile_are_taken_up_in_the_middle() {
    let story = Arc::new(Story::begin().with(APP, OLD).then(APP, APP_IS_UPDATED));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let shown = seen.clone();
    let endpoint = story
        .play_with(move |call, now| {
            shown.lock().expect("whole").push(call.key.clone());
            let expired = call.key == "OLD" && now.as_secs() > 120;
            expired.then(|| {
                refusal(
                    403,
                    "ExpiredToken",
                    "The security token included in the request is expired",
                )
            })
        })
        .await;
    let run = up(&story, &endpoint, &plan(false), keys(&["OLD", "NEW"])).await;
    assert_eq!(run.exit_code(), 0, "{}", run.screen);
    let mut seen = seen.lock().expect("whole").clone();
    seen.dedup();
    assert_eq!(
        seen,
        ["OLD", "NEW"],
        "the old ones, then the new ones, and never the old ones again"
    );
    assert!(!run.screen.contains("expired"), "nobody has to know: {}", run.screen);
}

#[tokio::test]
async fn a_stack_that_vanishes_under_its_update_is_an_error_and_no_endless_wait() {
    let script = "
        0:00   stack    UPDATE_IN_PROGRESS
        0:02   Log      AWS::Logs::LogGroup UPDATE_IN_PROGRESS
        3:00   stack    vanishes";
    let story = Arc::new(Story::begin().with(APP, OLD).then(APP, script));
    let endpoint = story.play().await;
    let run = up(&story, &endpoint, &plan(false), keys(&["KEY"])).await;
    assert_eq!(run.exit_code(), 4);
    assert!(run.seconds < 300, "{} s", run.seconds);
    insta::assert_snapshot!(run.screen);
}

#[tokio::test]
async fn a_stack_that_was_deleted_before_its_turn_is_made_anew() {
    let story = Story::begin()
        .with(APP, OLD)
        .then(KAFKA, KAFKA_IS_MADE)
        .then(APP, APP_IS_MADE);
    let story = Arc::new(story);
    let told = story.clone();
    let endpoint = story
        .play_with(move |_, now| {
            if now.as_secs() > 600 && now.as_secs() < 900 {
                told.lose(APP);
            }
            None
        })
        .await;
    let run = up(&story, &endpoint, &plan(true), keys(&["KEY"])).await;
    assert_eq!(run.exit_code(), 0, "{}", run.screen);
    let made = run.result.expect("it ends well");
    assert!(made.contains(&(APP.to_owned(), Outcome::Created)), "{made:?}");
    assert!(
        run.screen
            .contains("shop-dev-app was deleted meanwhile: it is made anew"),
        "{}",
        run.screen
    );
}

#[tokio::test]
async fn an_endpoint_that_is_gone_for_a_minute_is_waited_for_wherever_the_run_is() {
    // From the very beginning of a change set, and again in the middle of the operation.
    let story = Arc::new(Story::begin().with(APP, OLD).then(APP, APP_IS_UPDATED));
    let gone = Mutex::new(None);
    let endpoint = story
        .play_with(move |call, now| {
            let mut gone = gone.lock().expect("whole");
            if gone.is_none() && call.operation == "CreateChangeSet" {
                *gone = Some(now);
            }
            let first = gone.is_some_and(|since| now - since < Duration::from_secs(60));
            let again = gone.is_some_and(|since| (180..240).contains(&(now - since).as_secs()));
            (first || again).then_some(None)
        })
        .await;
    let run = up(&story, &endpoint, &plan(false), keys(&["KEY"])).await;
    assert_eq!(run.exit_code(), 0, "{}", run.screen);
    assert!(run.screen.contains("UPDATE_COMPLETE"), "{}", run.screen);
}

#[tokio::test]
async fn an_endpoint_that_stays_away_ends_the_run_and_says_so() {
    let story = Arc::new(Story::begin().with(APP, OLD).then(APP, APP_IS_UPDATED));
    let endpoint = story.play_with(|_, now| (now.as_secs() > 120).then_some(None)).await;
    let run = up(&story, &endpoint, &plan(false), keys(&["KEY"])).await;
    assert_eq!(run.exit_code(), 1);
    assert!(run.seconds < 900, "{} s", run.seconds);
    insta::assert_snapshot!(run.screen);
}
