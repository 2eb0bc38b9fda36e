//! EC2's ids and errors.

use crate::AwsError;
use crate::records::{Record, Records};

use crate::Context;

/// A new id, such as `vpc-0` and 16 hex digits.
pub fn new(prefix: &str) -> String {
    format!("{prefix}-0{:016x}", rand::random::<u64>())
}

pub fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterValue", message)
}

pub fn in_use(message: impl Into<String>) -> AwsError {
    AwsError::new("DependencyViolation", message)
}

/// A required property, as text.
pub fn required(record: &Record, property: &str) -> Result<String, AwsError> {
    let missing = || {
        AwsError::new(
            "MissingParameter",
            format!("The request must contain the parameter {property}"),
        )
    };
    record.text(property).ok_or_else(missing)
}

/// The record with an id, or the error that EC2 gives: `The subnet ID 'subnet-…' does not exist`.
pub fn existing(cx: &Context, records: Records, kind: &str, code: &str, id: &str) -> Result<Record, AwsError> {
    let missing = || {
        AwsError::new(
            format!("{code}.NotFound"),
            format!("The {kind} ID '{id}' does not exist"),
        )
    };
    records.get(cx, id)?.ok_or_else(missing)
}
