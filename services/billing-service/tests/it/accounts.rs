//! Accounts over gRPC and HTTP.

use std::time::{Duration, Instant};

use billing_service::link_secret::{EmptySecret, LinkSecretInterceptor};
use futures::{future::join_all, stream};
use http::StatusCode;
use kit::{Role, grpc::repeat_if_cancelled};
use serde_json::Value;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use uuid::Uuid;

use crate::support::{SECRET, TestApp};

#[tokio::test]
async fn two_calls_for_one_patient_open_one_account() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    let id = patient.to_string();
    let (first, second, third) = tokio::join!(
        app.create(&id, SECRET),
        app.create(&id, SECRET),
        app.create(&id, SECRET)
    );
    let first = first.expect("opened");
    assert_eq!(first.1, "ACTIVE");
    assert_eq!([second.as_ref(), third.as_ref()], [Ok(&first), Ok(&first)]);

    let (status, listed) = app
        .get(&format!("/billing/accounts?patientId={patient}"), Some(Role::Admin))
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed[0]["patientId"], id);
    assert_eq!(listed[0]["status"], "ACTIVE");
    assert!(
        listed[0]["openedAt"].as_str().is_some_and(|at| at.ends_with('Z')),
        "{listed}"
    );

    let (status, read) = app
        .get(&format!("/billing/accounts/{}", first.0), Some(Role::Admin))
        .await;
    assert_eq!((status, &read), (StatusCode::OK, &listed[0]));
    app.stop().await;
}

#[tokio::test]
async fn connections_are_renewed_under_calls_without_a_failed_call() {
    let age = Duration::from_millis(200);
    let Some(app) = TestApp::with_max_connection_age(age).await else {
        return;
    };
    let started = Instant::now();
    let callers = (0..4).map(async |_| {
        let mut calls = 0;
        while started.elapsed() < 12 * age {
            let patient = Uuid::new_v4().to_string();
            // as patient-service calls it
            let called = repeat_if_cancelled(|| app.call_create(&patient, SECRET)).await;
            assert!(called.is_ok(), "{called:?} after {calls} calls");
            calls += 1;
        }
        calls
    });
    let calls: usize = join_all(callers).await.into_iter().sum();
    assert!(calls > 50, "{calls} calls");
    app.stop().await;
}

#[tokio::test]
async fn closing_is_final_and_deletes_the_holder() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    let (account, _) = app.create(&patient.to_string(), SECRET).await.expect("opened");
    assert_eq!(app.close(patient).await, (account.clone(), "CLOSED".to_owned()));
    assert_eq!(app.close(patient).await, (account.clone(), "CLOSED".to_owned()));
    assert_eq!(
        app.create(&patient.to_string(), SECRET).await,
        Ok((account, "CLOSED".to_owned()))
    );
    let holder: Option<String> = sqlx::query_scalar("select concat(holder_name, holder_email) from accounts")
        .fetch_one(&app.database.pool)
        .await
        .expect("one row");
    assert_eq!(holder.as_deref(), Some(""));
    app.stop().await;
}

#[tokio::test]
async fn the_holder_follows_the_patient_in_the_order_of_versions() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    assert_eq!(app.update(patient, "Early", 2).await, Err(Code::NotFound));
    app.create(&patient.to_string(), SECRET).await.expect("opened");
    let holder = |name: &str| {
        (
            Some(name.to_owned()),
            Some(format!("{}@example.org", name.to_lowercase())),
        )
    };
    for (name, version, expected) in [
        ("Third", 3, "Third"),
        ("Second", 2, "Third"),
        ("Third", 3, "Third"),
        ("Ninth", 9, "Ninth"),
    ] {
        assert_eq!(app.update(patient, name, version).await.as_deref(), Ok("ACTIVE"));
        assert_eq!(app.holder().await, holder(expected), "after version {version}");
    }
    app.create(&patient.to_string(), SECRET).await.expect("version 1 again");
    assert_eq!(app.holder().await, holder("Ninth"), "a late creation is older");
    assert_eq!(app.update(patient, "Late", -1).await, Err(Code::InvalidArgument));

    app.close(patient).await;
    assert_eq!(app.update(patient, "Tenth", 10).await.as_deref(), Ok("CLOSED"));
    assert_eq!(app.holder().await, (None, None), "the deletion wins over a late update");
    app.stop().await;
}

#[tokio::test]
async fn concurrent_updates_end_with_the_newest_version() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    app.create(&patient.to_string(), SECRET).await.expect("opened");
    let names: Vec<(String, i64)> = (2..20).map(|version| (format!("Name{version}"), version)).collect();
    join_all(
        names
            .iter()
            .rev()
            .map(|(name, version)| app.update(patient, name, *version)),
    )
    .await;
    assert_eq!(app.holder().await.0.as_deref(), Some("Name19"));
    app.stop().await;
}

#[tokio::test]
async fn a_late_opening_finds_the_account_closed() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    let path = format!("/billing/accounts?patientId={patient}");
    assert_eq!(app.close(patient).await, (String::new(), "CLOSED".to_owned()));
    assert_eq!(
        app.get(&path, Some(Role::Admin)).await.1.as_array().map(Vec::len),
        Some(0)
    );
    let (account, status) = app.create(&patient.to_string(), SECRET).await.expect("an account");
    assert_eq!(status, "CLOSED");
    let (_, listed) = app.get(&path, Some(Role::Admin)).await;
    assert_eq!(
        (&listed[0]["accountId"], &listed[0]["status"]),
        (&Value::from(account), &Value::from("CLOSED"))
    );
    app.stop().await;
}

#[tokio::test]
async fn a_call_without_the_links_secret_is_rejected_except_for_health() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4().to_string();
    assert_eq!(
        app.create(&patient, "a-secret-of-the-lint").await,
        Err(Code::Unauthenticated)
    );
    assert_eq!(app.create(&patient, "").await, Err(Code::Unauthenticated));
    assert_eq!(app.create("not-a-uuid", SECRET).await, Err(Code::InvalidArgument));
    let long = "x".repeat(20_000);
    assert_eq!(
        app.create(&long, SECRET).await,
        Err(Code::OutOfRange),
        "the message is not read"
    );
    assert_eq!(app.create(&long, "a guess").await, Err(Code::Unauthenticated));
    let request = HealthCheckRequest {
        service: "billing.v1.BillingService".to_owned(),
    };
    let health = HealthClient::new(app.channel.clone())
        .check(request)
        .await
        .expect("a health status")
        .into_inner();
    assert_eq!(health.status(), ServingStatus::Serving);
    assert_eq!(LinkSecretInterceptor::new("".into()).err(), Some(EmptySecret));
    app.stop().await;
}

#[tokio::test]
async fn reflection_lists_the_services_without_the_links_secret() {
    let Some(app) = TestApp::start().await else { return };
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(app.channel.clone());
    let response = reflection.server_reflection_info(stream::iter([request])).await;
    let response = response
        .expect("a response")
        .into_inner()
        .message()
        .await
        .expect("a message");
    let Some(MessageResponse::ListServicesResponse(list)) = response.and_then(|response| response.message_response)
    else {
        panic!("reflection must list the services");
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(
        names.contains(&"billing.v1.BillingService") && names.contains(&"grpc.health.v1.Health"),
        "{names:?}"
    );
    app.stop().await;
}

#[tokio::test]
async fn accounts_are_listed_page_by_page_for_administrators() {
    let Some(app) = TestApp::start().await else { return };
    for _ in 0..3 {
        let patient = Uuid::new_v4().to_string();
        app.create(&patient, SECRET).await.expect("an account");
    }
    let (_, all) = app.get("/billing/accounts", Some(Role::Admin)).await;
    let (_, headers, page) = app
        .get_with_headers("/billing/accounts?limit=2", Some(Role::Admin))
        .await;
    assert_eq!(headers["x-total-count"], "3");
    assert_eq!(headers["x-total-count-relation"], "eq");
    let link = headers["link"].to_str().expect("text");
    let next = link
        .strip_prefix('<')
        .and_then(|link| link.strip_suffix(">; rel=\"next\""))
        .expect("a next page");
    let (_, headers, rest) = app.get_with_headers(next, Some(Role::Admin)).await;
    assert_eq!(
        (page.as_array().map(Vec::len), rest.as_array().map(Vec::len)),
        (Some(2), Some(1))
    );
    assert_eq!((&all[1], &all[2]), (&page[1], &rest[0]));
    assert!(!headers.contains_key("link"), "the last page");
    app.stop().await;
}

#[tokio::test]
async fn invalid_requests_and_other_roles_are_rejected() {
    let Some(app) = TestApp::start().await else { return };
    let unknown = format!("/billing/accounts/{}", Uuid::new_v4());
    for (path, role, expected) in [
        ("/billing/accounts", None, StatusCode::UNAUTHORIZED),
        ("/billing/accounts", Some(Role::User), StatusCode::FORBIDDEN),
        ("/billing/accounts?limit=0", Some(Role::Admin), StatusCode::BAD_REQUEST),
        ("/billing/accounts?limit=x", Some(Role::Admin), StatusCode::BAD_REQUEST),
        (
            "/billing/accounts?patientId=1",
            Some(Role::Admin),
            StatusCode::BAD_REQUEST,
        ),
        ("/billing/accounts?cursor=x", Some(Role::Admin), StatusCode::BAD_REQUEST),
        (
            "/billing/accounts/not-a-uuid",
            Some(Role::Admin),
            StatusCode::BAD_REQUEST,
        ),
        (&unknown, Some(Role::Admin), StatusCode::NOT_FOUND),
    ] {
        let (status, problem) = app.get(path, role).await;
        assert_eq!(status, expected, "{path}");
        assert_eq!(problem["status"], expected.as_u16(), "{path}");
    }
    app.stop().await;
}
