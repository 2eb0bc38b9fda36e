//! The values of `PatientEvent.event_type`.

/// A patient was created; its version is 1.
pub const PATIENT_CREATED: &str = "PATIENT_CREATED";
/// A patient was changed.
pub const PATIENT_UPDATED: &str = "PATIENT_UPDATED";
/// A patient was deleted; no later event can undo it.
pub const PATIENT_DELETED: &str = "PATIENT_DELETED";
