//! Export of the data about a patient.

use http::StatusCode;
use kit::{Role, testing::tables_about_patients};
use prost::Message;
use serde_json::json;
use uuid::Uuid;

use crate::support::{TestApp, event};

#[tokio::test]
async fn the_export_has_every_table() {
    let Some(app) = TestApp::start().await else { return };
    let (patient, other) = (Uuid::new_v4(), Uuid::new_v4());
    for patient in [patient, other] {
        app.deliver(&event(patient, "PATIENT_CREATED", 1).encode_to_vec()).await;
    }
    let path = format!("/notifications/patients/{patient}/export");
    let (status, _, held) = app.get(&path, Some(Role::Admin)).await;
    assert_eq!(status, StatusCode::OK);
    let mut tables: Vec<_> = held.as_object().expect("an object").keys().cloned().collect();
    tables.sort();
    assert_eq!(tables, tables_about_patients(&app.database.pool).await);
    let [patients, notifications] =
        ["patients", "notifications"].map(|table| held[table].as_array().expect("rows").clone());
    assert_eq!((patients.len(), notifications.len()), (1, 1), "{held}");
    let found = ["patientId", "name", "email", "emailAllowed"].map(|column| patients[0][column].clone());
    assert_eq!(
        found,
        [
            json!(patient),
            json!("Ada Example"),
            json!("ada@example.org"),
            json!(true)
        ]
    );
    assert_eq!(
        [&notifications[0]["kind"], &notifications[0]["patientId"]],
        [&json!("WELCOME"), &json!(patient)]
    );
    for role in [Role::User, Role::Auditor] {
        assert_eq!(app.get(&path, Some(role)).await.0, StatusCode::FORBIDDEN);
    }
    app.database.drop().await;
}
