//! The one checker: what must hold at the end of every test, whatever died.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use contracts::topics::{ANALYTICS_GROUP, NOTIFICATION_GROUP, PATIENT};
use sqlx::PgPool;
use tokio::time::sleep;
use uuid::Uuid;

use crate::{History, Service, System, ledger::Acknowledged};

/// How long the platform may take until it has nothing left to do.
const SETTLING: Duration = Duration::from_secs(120);

/// Waits until nothing is left to do, then checks:
///
/// - every acknowledged write is in patient-service's database, and told on the topic;
/// - each patient's events ascend in version by first occurrence, with none missing;
/// - each patient has exactly one account: ACTIVE, or CLOSED once deleted;
/// - analytics-service has one effect for each event, and the newest version of each patient;
/// - notification-service has handled each event once, and sent one notification for each;
/// - no process has panicked.
///
/// # Panics
/// With a list of what does not hold.
pub(crate) async fn everything(system: &System, acknowledged: &BTreeMap<Uuid, Acknowledged>, mut wrong: Vec<String>) {
    at_rest(system).await;
    let mut history = History::read(&system.kafka().records(PATIENT).await);
    wrong.append(&mut history.wrong);
    for (id, known) in acknowledged {
        match history.stories.get(id) {
            None => wrong.push(format!("patient {id} was acknowledged and never told of")),
            Some(story) if story.version() < known.version || (known.deleted && !story.is_deleted()) => wrong.push(
                format!("patient {id}: acknowledged {known:?}, told version {}", story.version()),
            ),
            Some(_) => {}
        }
    }
    wrong.extend(patients(&system.database(Service::Patient), &history).await);
    wrong.extend(
        accounts(
            &system.database(Service::Patient),
            &system.database(Service::Billing),
            &history,
        )
        .await,
    );
    wrong.extend(analytics(&system.database(Service::Analytics), &history).await);
    wrong.extend(notifications(&system.database(Service::Notification), &history).await);
    for service in Service::ALL {
        let lines = system.log_lines(service).into_iter();
        wrong.extend(lines.filter(|line| line.contains("panicked at")));
    }
    let events = history.events().count();
    eprintln!(
        "{events} events of {} patients, {} repeated",
        history.stories.len(),
        history.repeated
    );
    let shown = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n  ");
    assert!(wrong.is_empty(), "{} things do not hold:\n  {shown}", wrong.len());
}

/// Waits until the outbox is empty, no account and no notification is due, and the groups have read everything.
async fn at_rest(system: &System) {
    let started = Instant::now();
    loop {
        let left = left(system).await;
        match left {
            Ok(None) => return,
            still => assert!(
                started.elapsed() < SETTLING,
                "after {SETTLING:?} still not done: {still:?}"
            ),
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// What is not done yet; databases that cannot be asked right now are asked again.
async fn left(system: &System) -> sqlx::Result<Option<String>> {
    let questions = [
        (Service::Patient, "select count(*) from outbox"),
        (
            Service::Patient,
            "select count(*) from billing_intent where status = 'PENDING'",
        ),
        (
            Service::Notification,
            "select count(*) from notifications where status = 'PENDING'",
        ),
    ];
    for (service, question) in questions {
        let count: i64 = sqlx::query_scalar(question)
            .fetch_one(&system.database(service))
            .await?;
        if count > 0 {
            return Ok(Some(format!("{question}: {count}")));
        }
    }
    for group in [ANALYTICS_GROUP, NOTIFICATION_GROUP] {
        let lag = system.kafka().lag(group).await;
        if lag > 0 {
            return Ok(Some(format!("{group} has not committed {lag} messages")));
        }
    }
    Ok(None)
}

async fn patients(patients: &PgPool, history: &History) -> Vec<String> {
    let rows = pairs::<i64>(patients, "select id, version from patient").await;
    let mut wrong = Vec::new();
    for (id, version) in &rows {
        match history.stories.get(id) {
            Some(story) if story.version() == *version && !story.is_deleted() => {}
            Some(story) => wrong.push(format!(
                "patient {id} is at version {version}, told is {}",
                story.version()
            )),
            None => wrong.push(format!("patient {id} is there and was never told of")),
        }
    }
    let living = history.stories.iter().filter(|(_, story)| !story.is_deleted());
    wrong.extend(
        living
            .filter(|(id, _)| !rows.contains_key(id))
            .map(|(id, _)| format!("patient {id} is lost")),
    );
    wrong
}

async fn accounts(patients: &PgPool, billing: &PgPool, history: &History) -> Vec<String> {
    let list = "select patient_id, status || ' ' || id::text from accounts";
    let rows: Vec<(Uuid, String)> = sqlx::query_as(list).fetch_all(billing).await.expect("the accounts");
    let known = "select patient_id, status || ' ' || coalesce(account_id, '') from billing_intent";
    let known = pairs::<String>(patients, known).await;
    let mut accounts: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
    for (patient, account) in rows {
        accounts.entry(patient).or_default().push(account);
    }
    let mut wrong = Vec::new();
    for (id, story) in &history.stories {
        let status = if story.is_deleted() { "CLOSED" } else { "ACTIVE" };
        match accounts.remove(id).unwrap_or_default().as_slice() {
            [account] if account.starts_with(status) => {
                if !story.is_deleted() && known.get(id) != Some(account) {
                    wrong.push(format!(
                        "patient {id} has account {account}, patient-service knows {:?}",
                        known.get(id)
                    ));
                }
            }
            others => wrong.push(format!(
                "patient {id} should have one account that is {status}: {others:?}"
            )),
        }
    }
    wrong.extend(
        accounts
            .into_keys()
            .map(|id| format!("an account for {id}, who never was")),
    );
    wrong
}

async fn analytics(database: &PgPool, history: &History) -> Vec<String> {
    let mut wrong = ids(database, "select event_id::text from events", history, "analytics").await;
    let rows = pairs::<i64>(
        database,
        "select patient_id, case when deleted then -version else version end from patients",
    )
    .await;
    for (id, story) in &history.stories {
        let expected = if story.is_deleted() {
            -story.version()
        } else {
            story.version()
        };
        if rows.get(id) != Some(&expected) {
            wrong.push(format!(
                "analytics has {:?} of patient {id}, told is {expected}",
                rows.get(id)
            ));
        }
    }
    wrong
}

async fn notifications(database: &PgPool, history: &History) -> Vec<String> {
    let mut wrong = ids(
        database,
        "select event_id::text from handled_events",
        history,
        "notification",
    )
    .await;
    let rows = pairs::<String>(database, "select event_id, kind || ' ' || status from notifications").await;
    let count: i64 = sqlx::query_scalar("select count(*) from notifications")
        .fetch_one(database)
        .await
        .expect("the notifications");
    if usize::try_from(count) != Ok(rows.len()) {
        wrong.push(format!("{count} notifications for {} events", rows.len()));
    }
    for event in history.events() {
        let kind = match event.event_type.as_str() {
            "PATIENT_CREATED" => "WELCOME SENT",
            "PATIENT_UPDATED" => "DETAILS_CHANGED SENT",
            _ => "FAREWELL SENT",
        };
        let id = Uuid::parse_str(&event.event_id).unwrap_or_default();
        if rows.get(&id).map(String::as_str) != Some(kind) {
            wrong.push(format!(
                "event {id} should have a notification {kind}: {:?}",
                rows.get(&id)
            ));
        }
    }
    wrong
}

/// Whether the event ids in a table are those on the topic, each once.
async fn ids(database: &PgPool, list: &'static str, history: &History, who: &str) -> Vec<String> {
    let rows: Vec<String> = sqlx::query_scalar(list)
        .fetch_all(database)
        .await
        .expect("the event ids");
    let stored: BTreeSet<&str> = rows.iter().map(String::as_str).collect();
    let told: BTreeSet<&str> = history.events().map(|event| event.event_id.as_str()).collect();
    let mut wrong = Vec::new();
    if stored.len() < rows.len() {
        wrong.push(format!("{who} stored {} events twice", rows.len() - stored.len()));
    }
    wrong.extend(
        told.difference(&stored)
            .map(|id| format!("{who} has not seen event {id}")),
    );
    wrong.extend(
        stored
            .difference(&told)
            .map(|id| format!("{who} has seen event {id}, which is not on the topic")),
    );
    wrong
}

async fn pairs<T>(database: &PgPool, list: &'static str) -> BTreeMap<Uuid, T>
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    let rows: Vec<(Uuid, T)> = sqlx::query_as(list).fetch_all(database).await.expect("the rows");
    rows.into_iter().collect()
}
