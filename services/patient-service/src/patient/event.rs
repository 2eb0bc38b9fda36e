//! Patient events, stored in the outbox.

use contracts::{patient::events::PatientEvent, topics};
use kit::outbox;
use prost::Message;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Patient;

/// Stores an event with the patient's state after the change in the outbox, in the transaction of the change.
pub(super) async fn enqueue(transaction: &mut PgConnection, event_type: &str, patient: &Patient) -> sqlx::Result<()> {
    let now = OffsetDateTime::now_utc();
    let event = PatientEvent {
        patient_id: patient.id.to_string(),
        name: patient.name.clone(),
        email: patient.email.clone(),
        event_type: event_type.to_owned(),
        event_id: Uuid::now_v7().to_string(),
        occurred_at: Some(prost_types::Timestamp {
            seconds: now.unix_timestamp(),
            nanos: now.nanosecond().cast_signed(),
        }),
        version: patient.version,
        birth_year: patient.date_of_birth.year(),
    };
    outbox::enqueue(transaction, topics::PATIENT, &event.patient_id, &event.encode_to_vec()).await
}
