//! The audit trail: no route answers without a record, whatever the outcome.
//!
//! The routes are those of the OpenAPI document, so a new one is tested as soon as it is documented, and needs a successful
//! request in [`successes`].

use std::collections::BTreeSet;

use contracts::{audit::Event, topics::AUDIT};
use http::{Method, StatusCode};
use kit::{Role, testing::audit_records};
use patient_service::openapi;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{TestApp, TestResponse, path_of, patient};

/// Fields of a patient that a client sets.
const FIELDS: [&str; 5] = ["name", "email", "address", "dateOfBirth", "registeredDate"];

/// Returns method and pattern of every route.
fn operations() -> Vec<(Method, String)> {
    let operations = kit::testing::operations(&openapi()).into_iter();
    let as_routed = |path: String| path.replace("{patientId}", "{patient_id}");
    operations.map(|(method, path)| (method, as_routed(path))).collect()
}

/// Returns the records in the outbox, oldest first.
async fn records(app: &TestApp) -> Vec<Event> {
    audit_records(&app.database.pool).await
}

/// A successful request, and what its record must say.
struct Success {
    request: (Method, String, Option<Value>),
    route: &'static str,
    action: &'static str,
    patient: Option<Uuid>,
    shown: Vec<Uuid>,
    changed: &'static [&'static str],
}

fn id(value: &Value) -> Uuid {
    value["id"].as_str().and_then(|id| id.parse().ok()).expect("an id")
}

/// Sends one successful request of each route, and returns what each record must say.
#[expect(clippy::too_many_lines, reason = "a list of all routes")]
async fn successes(app: &TestApp) -> Vec<(TestResponse, Success)> {
    let mut done = Vec::new();
    let mut run = async |success: Success| {
        let (method, path, body) = success.request.clone();
        let headers = [
            ("content-type", "application/x-ndjson"),
            ("idempotency-key", "a"),
            ("x-forwarded-for", "203.0.113.9"),
        ];
        let response = match body {
            Some(row) if path.ends_with("/import") => app.post(&path, &headers, row.to_string().into()).await,
            body => app.call_as(Role::Admin, method, &path, body).await,
        };
        assert!(
            response.status.is_success(),
            "{}: {} {}",
            success.route,
            response.status,
            response.body
        );
        let body = response.body.clone();
        done.push((response, success));
        body
    };
    let on = |request, route, action| Success {
        request,
        route,
        action,
        patient: None,
        shown: Vec::new(),
        changed: &[],
    };
    let create = (Method::POST, "/patients".to_owned(), Some(patient("Ada")));
    let ada = run(Success {
        changed: &FIELDS,
        ..on(create, "POST /patients", "CREATE")
    })
    .await;
    let family = (Method::POST, "/families".to_owned(), Some(json!({"name": "Byron"})));
    let family = run(on(family, "POST /families", "CREATE")).await;
    let (path, family) = (path_of(&ada), format!("/families/{}", id(&family)));
    let (ada, member) = (id(&ada), format!("{family}/members/{}", id(&ada)));
    let of_ada = |request, route, action| Success {
        patient: Some(ada),
        ..on(request, route, action)
    };
    let showing_ada = |request, route, action| Success {
        shown: vec![ada],
        ..on(request, route, action)
    };
    let get = |path: &str| (Method::GET, path.to_owned(), None);
    run(of_ada(get(&path), "GET /patients/{id}", "READ")).await;
    run(showing_ada(get("/patients"), "GET /patients", "LIST")).await;
    run(showing_ada(get("/patients?search=ada"), "GET /patients", "SEARCH")).await;
    run(on(get("/patients?search=nobody"), "GET /patients", "SEARCH")).await;
    let search = (
        Method::POST,
        "/patients/search".to_owned(),
        Some(json!({"search": "ada"})),
    );
    run(showing_ada(search, "POST /patients/search", "SEARCH")).await;
    let history = get(&format!("{path}/history"));
    run(of_ada(history, "GET /patients/{id}/history", "HISTORY")).await;
    let export = get(&format!("{path}/export"));
    run(of_ada(export, "GET /patients/{id}/export", "EXPORT")).await;
    run(showing_ada(get("/patients/bulk"), "GET /patients/bulk", "EXPORT")).await;
    // It creates nobody, and is recorded nevertheless.
    let import = (Method::POST, "/patients/import".to_owned(), Some(json!({})));
    run(on(import, "POST /patients/import", "CREATE")).await;
    let renamed = (
        Method::PUT,
        path.clone(),
        Some(json!({"name": "Ada King", "email": "ada@example.org",
        "address": "2 Main St", "dateOfBirth": "1990-05-17"})),
    );
    run(Success {
        changed: &["name", "address"],
        ..of_ada(renamed, "PUT /patients/{id}", "UPDATE")
    })
    .await;
    let put = (Method::PUT, member.clone(), None);
    let route = "PUT /families/{id}/members/{patient_id}";
    run(Success {
        changed: &["family"],
        ..of_ada(put, route, "UPDATE")
    })
    .await;
    run(showing_ada(get(&family), "GET /families/{id}", "READ")).await;
    run(showing_ada(get("/families"), "GET /families", "LIST")).await;
    let renamed = (Method::PUT, family.clone(), Some(json!({"name": "Lovelace"})));
    run(Success {
        changed: &["name"],
        ..showing_ada(renamed, "PUT /families/{id}", "UPDATE")
    })
    .await;
    let route = "DELETE /families/{id}/members/{patient_id}";
    run(Success {
        changed: &["family"],
        ..of_ada((Method::DELETE, member, None), route, "UPDATE")
    })
    .await;
    run(on((Method::DELETE, family, None), "DELETE /families/{id}", "DELETE")).await;
    run(of_ada((Method::DELETE, path, None), "DELETE /patients/{id}", "DELETE")).await;
    done
}

#[tokio::test]
async fn a_success_of_each_route_is_recorded_with_whom_it_concerned() {
    let Some(app) = TestApp::start().await else { return };
    let successes = successes(&app).await;
    let records = records(&app).await;
    assert_eq!(records.len(), successes.len());
    for ((response, expected), record) in successes.iter().zip(&records) {
        let created = response.status == StatusCode::CREATED && expected.route == "POST /patients";
        let patient = expected.patient.or_else(|| created.then(|| id(&response.body)));
        let found = (
            (&*record.route, &*record.action, record.outcome),
            (record.patient, record.shown.clone(), record.changed_fields.clone()),
        );
        let changed: Vec<String> = expected.changed.iter().map(|field| (*field).to_owned()).collect();
        assert_eq!(
            found,
            (
                (expected.route, expected.action, response.status.as_u16()),
                (patient, expected.shown.clone(), changed)
            )
        );
        assert_eq!((&*record.role, &*record.service), ("ADMIN", "patient-service"));
        assert_eq!(record.address, "203.0.113.9".parse().ok());
        assert!(record.trace.is_some() && record.session.is_some());
    }
    let known: BTreeSet<String> = records.iter().map(|record| record.route.clone()).collect();
    let all: BTreeSet<String> = operations()
        .iter()
        .map(|(method, path)| format!("{method} {path}"))
        .collect();
    assert_eq!(known, all, "each route needs a successful request in this test");
    app.database.drop().await;
}

#[tokio::test]
async fn every_outcome_of_each_route_is_one_record() {
    let Some(app) = TestApp::start().await else { return };
    let ada = app.create("Ada").await;
    app.create("Bob").await;
    let unknown = Uuid::new_v4().to_string();
    let email_of_bob = Some(patient("Bob"));
    let mut outcomes = BTreeSet::new();
    for (method, pattern) in operations() {
        let fill = |id: &str| pattern.replace("{id}", id).replace("{patient_id}", id);
        let known = fill(ada["id"].as_str().expect("an id"));
        let requests = [
            (Role::Auditor, known.clone(), None),
            (Role::User, known.clone(), None),
            (Role::User, known.clone(), email_of_bob.clone()),
            (Role::Admin, fill(&unknown), email_of_bob.clone()),
            (Role::Admin, fill("no-uuid"), None),
            (Role::Admin, known.clone(), Some(json!({"name": ""}))),
        ];
        for (role, path, body) in requests {
            let before = records(&app).await.len();
            let response = app.call_as(role, method.clone(), &path, body).await;
            let after = records(&app).await;
            assert_eq!(
                after.len(),
                before + 1,
                "{method} {path} as {role:?}: {}",
                response.status
            );
            let record = after.last().expect("a record");
            assert_eq!(
                (&*record.route, record.outcome, &*record.role),
                (&*format!("{method} {pattern}"), response.status.as_u16(), role.as_str())
            );
            let names_known = path == known && pattern.contains("patient");
            if names_known && pattern.contains('{') {
                assert_eq!(record.patient, Some(id(&ada)), "{method} {path}");
            }
            outcomes.insert(response.status.as_u16());
        }
    }
    for outcome in [200, 201, 400, 403, 404, 409] {
        assert!(outcomes.contains(&outcome), "{outcome} did not occur: {outcomes:?}");
    }
    app.database.drop().await;
}

#[tokio::test]
async fn without_a_valid_token_nothing_is_shown_and_nothing_recorded() {
    let Some(app) = TestApp::start().await else { return };
    for (method, pattern) in operations() {
        let path = pattern.replace("{id}", &Uuid::new_v4().to_string());
        if method == Method::GET {
            let response = app.get_without_token(&path).await;
            assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{path}");
        }
    }
    assert_eq!(records(&app).await.len(), 0);
    app.database.drop().await;
}

#[tokio::test]
async fn no_value_of_a_patient_is_in_a_record() {
    let Some(app) = TestApp::start().await else { return };
    successes(&app).await;
    let rows: Vec<Vec<u8>> = sqlx::query_scalar("select payload from outbox where topic = $1")
        .bind(AUDIT)
        .fetch_all(&app.database.pool)
        .await
        .expect("the outbox");
    for row in rows {
        let text = String::from_utf8_lossy(&row).to_lowercase();
        for value in ["ada", "king", "example.org", "main st", "1990", "byron", "nobody"] {
            // An id may contain `ada`.
            let is_there = text.contains(value) && (value != "ada" || text.contains("ada@") || text.contains("ada "));
            assert!(!is_there, "{value} is in {text}");
        }
    }
    app.database.drop().await;
}

#[tokio::test]
async fn a_change_and_its_record_are_one_transaction() {
    let Some(app) = TestApp::start().await else { return };
    successes(&app).await;
    // Every transaction that wrote a patient's event wrote one audit record.
    let alone: i64 = sqlx::query_scalar(
        "select count(*) from outbox event where topic = 'patient'
         and 1 <> (select count(*) from outbox audit where audit.topic = 'audit' and audit.xmin = event.xmin)",
    )
    .fetch_one(&app.database.pool)
    .await
    .expect("a count");
    let events: i64 = sqlx::query_scalar("select count(*) from outbox where topic = 'patient'")
        .fetch_one(&app.database.pool)
        .await
        .expect("a count");
    assert_eq!((alone, events), (0, 3));
    app.database.drop().await;
}

#[tokio::test]
async fn a_request_that_cannot_be_recorded_is_not_answered_and_changes_nothing() {
    let Some(app) = TestApp::start().await else { return };
    let ada = app.create("Ada").await;
    let family = app
        .call(Method::POST, "/families", Some(json!({"name": "Byron"})))
        .await
        .body;
    let reject = "create function no() returns trigger language plpgsql as $$ begin
                      if new.topic = 'audit' then raise exception 'no'; end if; return new; end $$;
                  create trigger no before insert on outbox for each row execute function no()";
    sqlx::raw_sql(reject)
        .execute(&app.database.pool)
        .await
        .expect("a trigger");
    let state = "select (select jsonb_agg(p) from patient p)::text || (select jsonb_agg(f) from family f)::text
                     || (select count(*) from family_member) || (select count(*) from outbox)";
    let state = async || -> String {
        let state = sqlx::query_scalar(state).fetch_one(&app.database.pool).await;
        state.expect("the state")
    };
    let before = state().await;
    for (method, pattern) in operations() {
        let first = if pattern.starts_with("/families") {
            &family
        } else {
            &ada
        };
        let path = pattern
            .replace("{id}", &id(first).to_string())
            .replace("{patient_id}", &id(&ada).to_string());
        let body = matches!(method, Method::POST | Method::PUT).then(|| patient("New"));
        let response = app.call_as(Role::Admin, method.clone(), &path, body).await;
        assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE, "{method} {path}");
        assert!(
            !response.body.to_string().contains("Ada"),
            "{method} {path}: {}",
            response.body
        );
    }
    assert_eq!(state().await, before);
    app.database.drop().await;
}
