//! Export of the data about a patient.

use http::StatusCode;
use kit::{Role, testing::tables_about_patients};
use serde_json::json;
use uuid::Uuid;

use crate::support::{SECRET, TestApp};

#[tokio::test]
async fn the_export_has_every_table_and_the_holder_until_the_account_is_closed() {
    let Some(app) = TestApp::start().await else { return };
    let (patient, other) = (Uuid::new_v4(), Uuid::new_v4());
    for patient in [patient, other] {
        app.create(&patient.to_string(), SECRET).await.expect("opened");
    }
    let path = format!("/billing/patients/{patient}/export");
    let (status, held) = app.get(&path, Some(Role::Admin)).await;
    assert_eq!(status, StatusCode::OK);
    let mut tables: Vec<_> = held.as_object().expect("an object").keys().cloned().collect();
    tables.sort();
    assert_eq!(tables, tables_about_patients(&app.database.pool).await);
    let accounts = held["accounts"].as_array().expect("rows");
    assert_eq!(accounts.len(), 1, "{held}");
    let found = [
        &accounts[0]["patientId"],
        &accounts[0]["holderName"],
        &accounts[0]["holderEmail"],
    ];
    assert_eq!(
        found,
        [&json!(patient), &json!("Ada Example"), &json!("ada@example.org")]
    );

    app.close(patient).await;
    let (_, held) = app.get(&path, Some(Role::Admin)).await;
    let account = &held["accounts"][0];
    assert_eq!(
        [&account["holderName"], &account["status"]],
        [&json!(null), &json!("CLOSED")]
    );

    let unknown = format!("/billing/patients/{}/export", Uuid::new_v4());
    let (status, held) = app.get(&unknown, Some(Role::Admin)).await;
    assert_eq!((status, held), (StatusCode::OK, json!({"accounts": []})));
    for role in [Role::User, Role::Auditor] {
        assert_eq!(app.get(&path, Some(role)).await.0, StatusCode::FORBIDDEN);
    }
    app.stop().await;
}
