//! Patient events, stored in the outbox.

use contracts::{events::PATIENT_DELETED, patient::events::PatientEvent, topics};
use kit::outbox;
use prost::Message;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Patient;

/// Stores an event with the patient's state after the change in the outbox, in the transaction of the change.
///
/// A deletion contains ids only: the topic keeps its messages for days.
pub(super) async fn enqueue(transaction: &mut PgConnection, event_type: &str, patient: &Patient) -> sqlx::Result<()> {
    let now = OffsetDateTime::now_utc();
    let (name, email, birth_year) = match event_type {
        PATIENT_DELETED => <_>::default(),
        _ => (
            patient.name.clone(),
            patient.email.clone(),
            patient.date_of_birth.year(),
        ),
    };
    let event = PatientEvent {
        patient_id: patient.id.to_string(),
        name,
        email,
        event_type: event_type.to_owned(),
        event_id: Uuid::now_v7().to_string(),
        occurred_at: Some(prost_types::Timestamp {
            seconds: now.unix_timestamp(),
            nanos: now.nanosecond().cast_signed(),
        }),
        version: patient.version,
        birth_year,
    };
    outbox::enqueue(transaction, topics::PATIENT, &event.patient_id, &event.encode_to_vec()).await
}
