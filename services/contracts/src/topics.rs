//! The names of topics and of the groups that read them.

/// Patient events, keyed by the patient's id.
pub const PATIENT: &str = "patient";
/// Where consumers put what they cannot decode, with headers that say why.
pub const PATIENT_DLQ: &str = "patient.dlq";
/// How many partitions [`PATIENT`] has where a producer creates it.
pub const PATIENT_PARTITIONS: i32 = 3;

/// The consumer group of analytics-service.
pub const ANALYTICS_GROUP: &str = "analytics-service";
/// The consumer group of notification-service.
pub const NOTIFICATION_GROUP: &str = "notification-service";
