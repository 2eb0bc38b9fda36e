//! The audit trail: no route answers without a record.

use kit::{
    Role,
    testing::{audit_records, check_audit, routes_without_record},
};
use notification_service::openapi;
use prost::Message;
use serde_json::json;
use uuid::Uuid;

use crate::support::{TestApp, event};

/// Creates a patient whose notification was sent, and returns the ids of both.
async fn sent(app: &TestApp) -> (Uuid, String) {
    let patient = Uuid::new_v4();
    app.deliver(&event(patient, "PATIENT_CREATED", 1).encode_to_vec()).await;
    app.send_due().await;
    let notification = sqlx::query_scalar("select id from notifications where patient_id = $1").bind(patient);
    let notification: Uuid = notification
        .fetch_one(&app.database.pool)
        .await
        .expect("a notification");
    (patient, notification.to_string())
}

#[tokio::test]
async fn a_success_of_each_route_is_recorded_with_whom_it_concerned() {
    let Some(app) = TestApp::start().await else { return };
    let (patient, notification) = sent(&app).await;
    let preferences = format!("/notifications/preferences/{patient}");
    let (list, preferences_route) = ("/notifications", "/notifications/preferences/{patientId}");
    let named = Some(patient);
    let expected = [
        (
            "GET",
            "/notifications".to_owned(),
            list,
            "LIST",
            None,
            vec![patient],
            vec![],
        ),
        (
            "GET",
            format!("/notifications?patientId={patient}"),
            list,
            "LIST",
            named,
            vec![],
            vec![],
        ),
        (
            "POST",
            format!("/notifications/{notification}/resend"),
            "/notifications/{id}/resend",
            "UPDATE",
            named,
            vec![],
            vec![],
        ),
        (
            "GET",
            preferences.clone(),
            preferences_route,
            "READ",
            named,
            vec![],
            vec![],
        ),
        (
            "PUT",
            preferences,
            preferences_route,
            "UPDATE",
            named,
            vec![],
            vec!["preferences.email"],
        ),
        (
            "GET",
            format!("/notifications/patients/{patient}/export"),
            "/notifications/patients/{patientId}/export",
            "EXPORT",
            named,
            vec![],
            vec![],
        ),
    ];
    let mut statuses = Vec::new();
    for (method, path, ..) in &expected {
        let body = (*method == "PUT").then(|| json!({"email": false}));
        let (status, _, _) = app.call(method, path, Some(Role::Admin), body).await;
        assert!(status.is_success(), "{method} {path}: {status}");
        statuses.push(status.as_u16());
    }
    let records = audit_records(&app.database.pool).await;
    assert_eq!(records.len(), expected.len());
    for ((record, status), (method, _, route, action, patient, shown, changed)) in
        records.iter().zip(statuses).zip(&expected)
    {
        assert_eq!(
            (record.route.clone(), &*record.action),
            (format!("{method} {route}"), *action)
        );
        assert_eq!(
            (record.patient, &record.shown, &record.changed_fields),
            (
                *patient,
                shown,
                &changed.iter().map(|field: &&str| (*field).to_owned()).collect()
            )
        );
        assert_eq!((&*record.service, record.outcome), ("notification-service", status));
    }
    assert_eq!(routes_without_record(&openapi(), &records), Vec::<String>::new());
    app.database.drop().await;
}

#[tokio::test]
async fn every_outcome_of_each_route_is_one_record() {
    let Some(app) = TestApp::start().await else { return };
    let (patient, notification) = sent(&app).await;
    let ids = [&*patient.to_string(), &*notification, "no-uuid"];
    check_audit(&app.router, &app.tokens, &app.database.pool, &openapi(), &ids).await;
    app.database.drop().await;
}

#[tokio::test]
async fn a_change_that_cannot_be_recorded_changes_nothing() {
    let Some(app) = TestApp::start().await else { return };
    let (patient, notification) = sent(&app).await;
    let reject = "create function no() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
                  create trigger no before insert on outbox for each row execute function no()";
    sqlx::raw_sql(reject)
        .execute(&app.database.pool)
        .await
        .expect("a trigger");
    let preferences = format!("/notifications/preferences/{patient}");
    let requests = [
        ("PUT", preferences, Some(json!({"email": false}))),
        ("POST", format!("/notifications/{notification}/resend"), None),
    ];
    for (method, path, body) in requests {
        assert_eq!(
            app.call(method, &path, Some(Role::Admin), body).await.0,
            503,
            "{method} {path}"
        );
    }
    let state = "select email_allowed, status from patients join notifications using (patient_id)";
    let state: (bool, String) = sqlx::query_as(state)
        .fetch_one(&app.database.pool)
        .await
        .expect("a row");
    assert_eq!(state, (true, "SENT".to_owned()));
    app.database.drop().await;
}
