//! The invariants of the audit trail.

use std::collections::{BTreeMap, BTreeSet};

use contracts::events::{PATIENT_CREATED, PATIENT_DELETED, PATIENT_UPDATED};
use tokio::process::Command;
use uuid::Uuid;

use crate::{History, Service, System, postgres, tools::binary};

/// Checks that the chain is intact, that each answered request is recorded, and that each change is recorded once.
pub(crate) async fn violations(system: &System, answered: &[String], history: &History) -> Vec<String> {
    let mut violations = verify(system).await;
    let database = system.database(Service::Audit);
    let select = "select trace_id from records where trace_id is not null";
    let recorded: Vec<String> = sqlx::query_scalar(select)
        .fetch_all(&database)
        .await
        .expect("the traces");
    let recorded: BTreeSet<String> = recorded.into_iter().collect();
    let missing = answered.iter().filter(|trace| !recorded.contains(*trace));
    violations.extend(missing.map(|trace| format!("the answered request of trace {trace} is not in the audit trail")));
    eprintln!(
        "{} answered requests about patients, {} recorded traces",
        answered.len(),
        recorded.len()
    );

    // A replayed creation and a 404 of a repeated deletion are records too, and no changes.
    let select = "select patient_id, action, count(*) from records
                  where outcome < 300 and patient_id is not null and service = 'patient-service'
                    and (action = 'CREATE' and changed_fields <> '{}' or action = 'UPDATE' and changed_fields <> '{family}'
                         or action = 'DELETE') group by 1, 2";
    let rows: Vec<(Uuid, String, i64)> = sqlx::query_as(select).fetch_all(&database).await.expect("the changes");
    let recorded: BTreeMap<(Uuid, String), i64> = rows
        .into_iter()
        .map(|(patient, action, count)| ((patient, action), count))
        .collect();
    for (patient, events) in &history.patients {
        for (kind, action) in [
            (PATIENT_CREATED, "CREATE"),
            (PATIENT_UPDATED, "UPDATE"),
            (PATIENT_DELETED, "DELETE"),
        ] {
            let changes = events.events.iter().filter(|event| event.event_type == kind).count();
            let found = recorded
                .get(&(*patient, action.to_owned()))
                .copied()
                .unwrap_or_default();
            if usize::try_from(found) != Ok(changes) {
                violations.push(format!(
                    "patient {patient}: {changes} times {kind}, {found} audit records of {action}"
                ));
            }
        }
    }
    violations
}

/// Runs `audit-service verify`.
async fn verify(system: &System) -> Vec<String> {
    let name = Service::Audit.database().expect("a database");
    let environment = postgres::environment(system.postgres().port(), name, system.secret("DATABASE_PASSWORD"));
    let mut command = Command::new(binary(Service::Audit));
    let output = command
        .arg("verify")
        .envs(environment)
        .output()
        .await
        .expect("audit-service verify");
    if output.status.success() {
        return Vec::new();
    }
    vec![format!(
        "audit-service verify: {}",
        String::from_utf8_lossy(&output.stderr)
    )]
}
