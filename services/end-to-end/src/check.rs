//! The invariants at the end of every test, whatever failed during it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use contracts::topics::{ANALYTICS_GROUP, AUDIT_GROUP, NOTIFICATION_GROUP, PATIENT};
use sqlx::PgPool;
use tokio::time::sleep;
use uuid::Uuid;

use crate::{History, Service, System, audit, copies};

/// Time limit for the platform to become idle.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);

/// The acknowledged state of one patient.
#[derive(Debug, Clone, Copy, Default)]
pub struct Acknowledged {
    /// The newest version in a response.
    pub version: i64,
    /// Set if its deletion was acknowledged.
    pub deleted: bool,
}

/// Waits until the platform is idle, then checks:
///
/// - every acknowledged write is in patient-service's database, and its event on the topic;
/// - the first occurrences of each patient's events ascend in version without gaps;
/// - each patient has exactly one account: ACTIVE, or CLOSED once deleted;
/// - analytics-service has one effect for each event, and the newest version of each patient;
/// - notification-service has handled each event once and has one notification for each: sent, so that the mail server has taken it,
///   or skipped, because the patient was deleted first; the mail server has taken nothing else;
/// - every copy of a living patient is the newest, and no table contains a deleted one; see [`copies::violations`];
/// - the audit trail is intact, has a record of each answered request about a patient, and one of each change;
/// - no process has panicked.
///
/// # Panics
/// With a list of the violations.
pub(crate) async fn invariants(
    system: &System,
    acknowledged: &BTreeMap<Uuid, Acknowledged>,
    answered: &[String],
    mut violations: Vec<String>,
) {
    wait_until_idle(system).await;
    let mut history = History::read(&system.kafka().records(PATIENT).await);
    violations.append(&mut history.violations);
    for (id, known) in acknowledged {
        match history.patients.get(id) {
            None => violations.push(format!("patient {id} was acknowledged and has no event")),
            Some(events) if events.version() < known.version || (known.deleted && !events.is_deleted()) => violations
                .push(format!(
                    "patient {id}: acknowledged {known:?}, published version {}",
                    events.version()
                )),
            Some(_) => {}
        }
    }
    violations.extend(patients(&system.database(Service::Patient), &history).await);
    violations.extend(
        accounts(
            &system.database(Service::Patient),
            &system.database(Service::Billing),
            &history,
        )
        .await,
    );
    violations.extend(analytics(&system.database(Service::Analytics), &history).await);
    let taken = system.mail().message_ids();
    violations.extend(notifications(&system.database(Service::Notification), &taken, &history).await);
    violations.extend(copies::violations(system, &history).await);
    violations.extend(audit::violations(system, answered, &history).await);
    for service in Service::ALL {
        let lines = system.log_lines(service).into_iter();
        violations.extend(lines.filter(|line| line.contains("panicked at")));
    }
    let events = history.events().count();
    eprintln!(
        "{events} events of {} patients, {} repeated",
        history.patients.len(),
        history.repeated
    );
    let shown = violations.iter().take(20).cloned().collect::<Vec<_>>().join("\n  ");
    assert!(violations.is_empty(), "{} violations:\n  {shown}", violations.len());
}

/// Waits until the outbox is empty, no account and no notification is due, and the groups have read everything.
async fn wait_until_idle(system: &System) {
    let started = Instant::now();
    loop {
        match pending_work(system).await {
            Ok(None) => return,
            pending => assert!(
                started.elapsed() < IDLE_TIMEOUT,
                "not idle after {IDLE_TIMEOUT:?}: {pending:?}"
            ),
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Returns what is not done yet.
async fn pending_work(system: &System) -> sqlx::Result<Option<String>> {
    let queries = [
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
    for (service, query) in queries {
        let count: i64 = sqlx::query_scalar(query).fetch_one(&system.database(service)).await?;
        if count > 0 {
            return Ok(Some(format!("{query}: {count}")));
        }
    }
    for group in [ANALYTICS_GROUP, NOTIFICATION_GROUP, AUDIT_GROUP] {
        let lag = system.kafka().lag(group).await;
        if lag > 0 {
            return Ok(Some(format!("{group} has not committed {lag} messages")));
        }
    }
    Ok(None)
}

async fn patients(patients: &PgPool, history: &History) -> Vec<String> {
    let rows = pairs::<i64>(patients, "select id, version from patient").await;
    let mut violations = Vec::new();
    for (id, version) in &rows {
        match history.patients.get(id) {
            Some(events) if events.version() == *version && !events.is_deleted() => {}
            Some(events) => violations.push(format!(
                "patient {id} has version {version}, published is {}",
                events.version()
            )),
            None => violations.push(format!("patient {id} has no event")),
        }
    }
    let living = history.patients.iter().filter(|(_, events)| !events.is_deleted());
    violations.extend(
        living
            .filter(|(id, _)| !rows.contains_key(id))
            .map(|(id, _)| format!("patient {id} is lost")),
    );
    violations
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
    let mut violations = Vec::new();
    for (id, events) in &history.patients {
        let status = if events.is_deleted() { "CLOSED" } else { "ACTIVE" };
        match accounts.remove(id).unwrap_or_default().as_slice() {
            [account] if account.starts_with(status) => {
                if !events.is_deleted() && known.get(id) != Some(account) {
                    violations.push(format!(
                        "patient {id} has account {account}, patient-service knows {:?}",
                        known.get(id)
                    ));
                }
            }
            others => violations.push(format!(
                "patient {id} should have one account that is {status}: {others:?}"
            )),
        }
    }
    violations.extend(
        accounts
            .into_keys()
            .map(|id| format!("an account of {id}, which never existed")),
    );
    violations
}

async fn analytics(database: &PgPool, history: &History) -> Vec<String> {
    let mut violations = event_ids(database, "select event_id::text from events", history, "analytics").await;
    let rows = pairs::<i64>(
        database,
        "select patient_id, case when deleted then -version else version end from patients",
    )
    .await;
    for (id, events) in &history.patients {
        let expected = if events.is_deleted() {
            -events.version()
        } else {
            events.version()
        };
        if rows.get(id) != Some(&expected) {
            violations.push(format!(
                "analytics has version {:?} of patient {id}, published is {expected}",
                rows.get(id)
            ));
        }
    }
    violations
}

async fn notifications(database: &PgPool, taken: &[String], history: &History) -> Vec<String> {
    let mut violations = event_ids(
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
        violations.push(format!("{count} notifications for {} events", rows.len()));
    }
    let messages = pairs::<String>(database, "select message_id, status from notifications").await;
    for id in taken.iter().filter_map(|id| id.parse().ok()) {
        if !messages.contains_key(&id) {
            violations.push(format!("the mail server took message {id}, which no notification has"));
        }
    }
    for (id, _) in messages.iter().filter(|(_, status)| *status == "SENT") {
        if !taken.contains(&id.to_string()) {
            violations.push(format!(
                "message {id} counts as sent, and the mail server has not taken it"
            ));
        }
    }
    for (patient, event) in history
        .patients
        .values()
        .flat_map(|patient| patient.events.iter().map(move |event| (patient, event)))
    {
        let kind = match event.event_type.as_str() {
            "PATIENT_CREATED" => "WELCOME",
            "PATIENT_UPDATED" => "DETAILS_CHANGED",
            _ => "FAREWELL",
        };
        let id = Uuid::parse_str(&event.event_id).unwrap_or_default();
        // Skipped because the patient was deleted before it was sent.
        let is_finished = |row: &String| {
            *row == format!("{kind} SENT") || (patient.is_deleted() && *row == format!("{kind} SKIPPED"))
        };
        if !rows.get(&id).is_some_and(is_finished) {
            violations.push(format!(
                "event {id} should have a notification {kind}: {:?}",
                rows.get(&id)
            ));
        }
    }
    violations
}

/// Checks that the event ids in a table are those on the topic, each once.
async fn event_ids(database: &PgPool, list: &'static str, history: &History, service: &str) -> Vec<String> {
    let rows: Vec<String> = sqlx::query_scalar(list)
        .fetch_all(database)
        .await
        .expect("the event ids");
    let stored: BTreeSet<&str> = rows.iter().map(String::as_str).collect();
    let published: BTreeSet<&str> = history.events().map(|event| event.event_id.as_str()).collect();
    let mut violations = Vec::new();
    if stored.len() < rows.len() {
        violations.push(format!("{service} stored {} events twice", rows.len() - stored.len()));
    }
    violations.extend(
        published
            .difference(&stored)
            .map(|id| format!("{service} has not handled event {id}")),
    );
    violations.extend(
        stored
            .difference(&published)
            .map(|id| format!("{service} has handled event {id}, which is not on the topic")),
    );
    violations
}

async fn pairs<T>(database: &PgPool, list: &'static str) -> BTreeMap<Uuid, T>
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    let rows: Vec<(Uuid, T)> = sqlx::query_as(list).fetch_all(database).await.expect("the rows");
    rows.into_iter().collect()
}
