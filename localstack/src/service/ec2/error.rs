//! Errors that several EC2 resource types return, with AWS's codes.

use crate::AwsError;
use crate::records::Record;

pub fn invalid_parameter(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterValue", message)
}

pub fn dependency_violation(message: impl Into<String>) -> AwsError {
    AwsError::new("DependencyViolation", message)
}

/// Returns a required property as text.
///
/// # Errors
/// `MissingParameter` when the record does not have it.
pub fn required(record: &Record, property: &str) -> Result<String, AwsError> {
    let missing = || {
        AwsError::new(
            "MissingParameter",
            format!("The request must contain the parameter {property}"),
        )
    };
    record.text(property).ok_or_else(missing)
}
