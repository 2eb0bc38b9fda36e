//! Tests of the audit trail that hold for every route of a service with an outbox.

use axum::{Router, body::Body};
use contracts::{audit::Event, topics};
use http::{Method, Request, StatusCode};
use tower::ServiceExt;
use utoipa::openapi::OpenApi;

use super::TestTokens;
use crate::{database::Pool, openapi::for_each_operation, token::Role};

/// Returns method and pattern of every documented route.
///
/// # Panics
/// Never: a document is JSON.
pub fn operations(document: &OpenApi) -> Vec<(Method, String)> {
    let mut document = serde_json::to_value(document).expect("JSON");
    let mut operations = Vec::new();
    for_each_operation(&mut document, |path, method, _| {
        let method = method.to_ascii_uppercase().parse().expect("a method");
        operations.push((method, path.to_owned()));
    });
    operations
}

/// Returns the audit records in the outbox, oldest first.
///
/// # Panics
/// If the database fails, or a record is malformed.
pub async fn audit_records(pool: &Pool) -> Vec<Event> {
    let select = sqlx::query_scalar("select payload from outbox where topic = $1 order by id").bind(topics::AUDIT);
    let rows: Vec<Vec<u8>> = select.fetch_all(pool).await.expect("the outbox");
    rows.iter().map(|row| Event::decode(row).expect("readable")).collect()
}

/// Returns the documented routes of which there is no record: a test of successful requests has forgotten them.
///
/// # Panics
/// Never: a document is JSON.
pub fn routes_without_record(document: &OpenApi, records: &[Event]) -> Vec<String> {
    let routes = operations(document).into_iter();
    let routes = routes.map(|(method, path)| format!("{method} {path}"));
    routes
        .filter(|route| !records.iter().any(|record| record.route == *route))
        .collect()
}

/// Checks that each outcome of each route is one record, that a request without a user is none, and that no response leaves that
/// could not be recorded; `ids` take the place of each parameter of a path, one after another.
///
/// # Panics
/// If that is not so.
pub async fn check_audit(router: &Router, tokens: &TestTokens, pool: &Pool, document: &OpenApi, ids: &[&str]) {
    let send = async |method: &Method, path: &str, role: Option<Role>| -> StatusCode {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(role) = role {
            request = request.header("authorization", format!("Bearer {}", tokens.token(role)));
        }
        let request = request.header("content-type", "application/json");
        let request = request.body(Body::from("{\"email\":false}")).expect("a request");
        router.clone().oneshot(request).await.expect("a response").status()
    };
    let paths = |pattern: &str| -> Vec<String> {
        let mut segments = pattern.split('{');
        let first = segments.next().unwrap_or_default().to_owned();
        let rest: Vec<&str> = segments
            .filter_map(|part| part.split_once('}'))
            .map(|(_, rest)| rest)
            .collect();
        let fill = |id: &&str| rest.iter().fold(first.clone(), |path, rest| path + id + rest);
        ids.iter().map(fill).collect()
    };
    let operations = operations(document);
    for (method, pattern) in &operations {
        let route = format!("{method} {pattern}");
        for path in paths(pattern) {
            assert_eq!(send(method, &path, None).await, StatusCode::UNAUTHORIZED, "{route}");
            for role in [Role::User, Role::Auditor, Role::Admin] {
                let before = audit_records(pool).await.len();
                let status = send(method, &path, Some(role)).await;
                let records = audit_records(pool).await;
                assert_eq!(records.len(), before + 1, "{route} as {role:?}: {status}");
                let record = records.last().expect("a record");
                let found = (&*record.route, &*record.role, record.outcome);
                assert_eq!(found, (&*route, role.as_str(), status.as_u16()));
            }
        }
    }
    let reject = "create function no() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
                  create trigger no before insert on outbox for each row execute function no()";
    sqlx::raw_sql(reject).execute(pool).await.expect("a trigger");
    for (method, pattern) in &operations {
        for path in paths(pattern) {
            let status = send(method, &path, Some(Role::Admin)).await;
            assert_eq!(
                status,
                StatusCode::SERVICE_UNAVAILABLE,
                "{method} {path} without a record"
            );
        }
    }
    sqlx::raw_sql("drop function no() cascade")
        .execute(pool)
        .await
        .expect("dropped");
}
