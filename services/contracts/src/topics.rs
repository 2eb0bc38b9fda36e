//! The names of topics and consumer groups.

/// Patient events, keyed by the patient's id.
pub const PATIENT: &str = "patient";
/// Messages that a consumer cannot decode, with the [headers](crate::dead_letters) of dead letters.
pub const PATIENT_DLQ: &str = "patient.dlq";
/// The number of partitions of [`PATIENT`] if a producer creates it.
pub const PATIENT_PARTITIONS: i32 = 3;

/// The consumer group of analytics-service.
pub const ANALYTICS_GROUP: &str = "analytics-service";
/// The consumer group of notification-service.
pub const NOTIFICATION_GROUP: &str = "notification-service";

/// Audit records of every request about a patient, keyed by the patient's id, or by the event's id for a list.
pub const AUDIT: &str = "audit";
/// Messages of [`AUDIT`] that audit-service cannot decode.
pub const AUDIT_DLQ: &str = "audit.dlq";
/// The number of partitions of [`AUDIT`] if a producer creates it.
pub const AUDIT_PARTITIONS: i32 = 3;
/// The consumer group of audit-service.
pub const AUDIT_GROUP: &str = "audit-service";
