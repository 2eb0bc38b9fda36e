//! The copies of persons in the services' databases, compared with patient-service at the end of a test.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use crate::{History, Service, System};

/// Name and email of each living patient, in one text.
const TRUTH: &str = "select id, name || ' ' || email from patient";
/// The copies of both in other services, and the empty text where a service holds none.
const COPIES: [(Service, &str); 2] = [
    (
        Service::Billing,
        "select patient_id, coalesce(holder_name || ' ' || holder_email, '') from accounts",
    ),
    (
        Service::Notification,
        "select patient_id, coalesce(name || ' ' || email, '') from patients",
    ),
];

/// Returns the violations of two rules: a copy of a living patient is the newest, and nothing of a deleted one is left.
pub(crate) async fn violations(system: &System, history: &History) -> Vec<String> {
    let truth = texts(&system.database(Service::Patient), TRUTH).await;
    let mut violations = Vec::new();
    for (service, query) in COPIES {
        for (id, copy) in texts(&system.database(service), query).await {
            if truth.get(&id).map_or("", String::as_str) != copy {
                violations.push(format!("{service:?} has an outdated copy of patient {id}"));
            }
        }
    }
    let deleted = history.patients.values().filter(|patient| patient.is_deleted());
    let needles: Vec<String> = deleted
        .flat_map(|patient| &patient.events)
        .filter(|event| !event.email.is_empty())
        .map(|event| format!("%{}%", event.email))
        .collect();
    for service in Service::ALL.into_iter().filter(|service| service.database().is_some()) {
        let found = tables_with(&system.database(service), &needles).await;
        violations.extend(
            found
                .into_iter()
                .map(|(table, rows)| format!("{rows} rows of {service:?}'s table {table} contain a deleted person")),
        );
    }
    let fingerprints = "select count(*) from idempotency_key k where fingerprint is not null
        and not exists (select from patient where id = resource_id)
        and not exists (select from family where id = resource_id)";
    let fingerprints: i64 = sqlx::query_scalar(fingerprints)
        .fetch_one(&system.database(Service::Patient))
        .await
        .expect("a count");
    if fingerprints > 0 {
        violations.push(format!("{fingerprints} fingerprints of deleted patients or families"));
    }
    violations
}

/// Returns the tables with rows that match a pattern, and the number of these rows.
async fn tables_with(database: &PgPool, patterns: &[String]) -> Vec<(String, i64)> {
    let tables = "select table_name::text from information_schema.tables where table_schema = 'public'";
    let tables: Vec<String> = sqlx::query_scalar(tables)
        .fetch_all(database)
        .await
        .expect("the tables");
    let mut found = Vec::new();
    for table in tables {
        let query = format!("select count(*) from {table} t where t::text like any($1)");
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(query))
            .bind(patterns)
            .fetch_one(database)
            .await
            .expect("a count");
        if rows > 0 {
            found.push((table, rows));
        }
    }
    found
}

async fn texts(database: &PgPool, query: &'static str) -> BTreeMap<Uuid, String> {
    let rows: Vec<(Uuid, String)> = sqlx::query_as(query).fetch_all(database).await.expect("the rows");
    rows.into_iter().collect()
}
