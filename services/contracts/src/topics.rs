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
