//! The audit trail: no route answers without a record.

use billing_service::openapi;
use http::StatusCode;
use kit::{
    Role,
    testing::{audit_records, check_audit, routes_without_record},
};
use uuid::Uuid;

use crate::support::{SECRET, TestApp};

#[tokio::test]
async fn a_success_of_each_route_is_recorded_with_whom_it_concerned() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    let (account, _) = app.create(&patient.to_string(), SECRET).await.expect("opened");
    let list = "GET /billing/accounts";
    let expected = [
        ("/billing/accounts".to_owned(), list, "LIST", None, vec![patient]),
        (
            format!("/billing/accounts?patientId={patient}"),
            list,
            "LIST",
            Some(patient),
            vec![],
        ),
        (
            format!("/billing/accounts/{account}"),
            "GET /billing/accounts/{id}",
            "READ",
            Some(patient),
            vec![],
        ),
        (
            format!("/billing/patients/{patient}/export"),
            "GET /billing/patients/{patientId}/export",
            "EXPORT",
            Some(patient),
            vec![],
        ),
    ];
    for (path, ..) in &expected {
        assert_eq!(app.get(path, Some(Role::Admin)).await.0, StatusCode::OK, "{path}");
    }
    let records = audit_records(&app.database.pool).await;
    assert_eq!(records.len(), expected.len());
    for (record, (_, route, action, patient, shown)) in records.iter().zip(&expected) {
        assert_eq!((&*record.route, &*record.action), (*route, *action));
        assert_eq!((record.patient, &record.shown), (*patient, shown), "{route}");
        assert_eq!((&*record.service, record.outcome), ("billing-service", 200));
    }
    assert_eq!(routes_without_record(&openapi(), &records), Vec::<String>::new());
    app.stop().await;
}

#[tokio::test]
async fn every_outcome_of_each_route_is_one_record() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4().to_string();
    let (account, _) = app.create(&patient, SECRET).await.expect("opened");
    let ids = [&*account, &*patient, "no-uuid"];
    check_audit(&app.router, &app.tokens, &app.database.pool, &openapi(), &ids).await;
    app.stop().await;
}
