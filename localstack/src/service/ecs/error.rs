//! Errors that several ECS operations return.

use crate::AwsError;

pub fn invalid_parameter(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterException", message)
}

pub fn client(message: impl Into<String>) -> AwsError {
    AwsError::new("ClientException", message)
}
