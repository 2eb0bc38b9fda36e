//! Export of the data about a patient.

use http::StatusCode;
use kit::{Role, testing::tables_about_patients};
use prost::Message;
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::support::{TestApp, event};

#[tokio::test]
async fn the_export_has_every_table() {
    let Some(app) = TestApp::start().await else { return };
    let (patient, other, now) = (Uuid::new_v4(), Uuid::new_v4(), OffsetDateTime::now_utc());
    for patient in [patient, other] {
        app.deliver(&event(patient, "PATIENT_CREATED", 1, now).encode_to_vec())
            .await;
    }
    let path = format!("/analytics/patients/{patient}/export");
    let (status, held) = app.get(&path, Role::Admin).await;
    assert_eq!(status, StatusCode::OK);
    let mut tables: Vec<_> = held.as_object().expect("an object").keys().cloned().collect();
    tables.sort();
    assert_eq!(tables, tables_about_patients(&app.database.pool).await);
    let [patients, events] = ["patients", "events"].map(|table| held[table].as_array().expect("rows").clone());
    assert_eq!((patients.len(), events.len()), (1, 1), "{held}");
    let found = [
        &patients[0]["birthYear"],
        &events[0]["eventType"],
        &events[0]["patientId"],
    ];
    assert_eq!(
        found,
        [&json!(now.year() - 30), &json!("PATIENT_CREATED"), &json!(patient)]
    );
    assert_eq!(app.get(&path, Role::User).await.0, StatusCode::FORBIDDEN);
    app.database.drop().await;
}
