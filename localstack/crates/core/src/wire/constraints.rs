//! The constraints of AWS's models on values in requests, and the errors of what violates them.

use super::model::Shape;
use crate::error::AwsError;

/// The checks of one service; they differ in the codes of the errors.
#[derive(Clone, Copy)]
pub struct Constraints<'a> {
    /// The signing name.
    pub service: &'a str,
}

impl Constraints<'_> {
    /// Checks a text against the enumeration and the lengths of its shape.
    pub fn check_text(self, shape: &Shape, text: &str, path: &str) -> Result<(), AwsError> {
        if !shape.values.is_empty() && !shape.values.iter().any(|value| value == text) {
            return Err(self.violation(
                &format!("Value '{text}'"),
                path,
                &format!("Member must satisfy enum value set: [{}]", shape.values.join(", ")),
            ));
        }
        self.check_size(shape, text.chars().count(), path)
    }

    /// Checks a number against the range of its shape.
    pub fn check_range(self, shape: &Shape, number: f64, path: &str) -> Result<(), AwsError> {
        let refuse = |bound: &str, limit: f64| {
            let constraint = format!("Member must have value {bound} than or equal to {limit}");
            Err(self.violation(&format!("Value '{number}'"), path, &constraint))
        };
        match (shape.min, shape.max) {
            (Some(min), _) if number < min => refuse("greater", min),
            (_, Some(max)) if number > max => refuse("less", max),
            _ => Ok(()),
        }
    }

    /// Checks the length of a text in characters, or the number of items of a list.
    pub fn check_size(self, shape: &Shape, size: usize, path: &str) -> Result<(), AwsError> {
        let size = f64::from(u32::try_from(size).unwrap_or(u32::MAX));
        let refuse = |bound: &str, limit: f64| {
            let constraint = format!("Member must have length {bound} than or equal to {limit}");
            Err(self.violation("Value", path, &constraint))
        };
        match (shape.min, shape.max) {
            (Some(min), _) if size < min => refuse("greater", min),
            (_, Some(max)) if size > max => refuse("less", max),
            _ => Ok(()),
        }
    }

    /// Returns the error of a value that has not the type of its member.
    pub fn invalid(self, path: &str, text: &str) -> AwsError {
        let message = format!("Value ({text}) for parameter {path} is invalid.");
        AwsError::new(self.codes().0, message)
    }

    /// Returns the error of a structure without a required member.
    pub fn missing(self, path: &str, member: &str) -> AwsError {
        let separator = if path.is_empty() { "" } else { "." };
        let message = format!("The request must contain the parameter {path}{separator}{member}");
        AwsError::new(self.codes().1, message)
    }

    /// Returns the error of a member that the operation does not have.
    pub fn unknown(self, path: &str) -> AwsError {
        let code = match self.service {
            "ec2" => "UnknownParameter",
            _ => self.codes().0,
        };
        AwsError::new(code, format!("The parameter {path} is not recognized"))
    }

    /// Returns the error of a member that this endpoint does not act on.
    pub fn unsupported(self, operation: &str, path: &str, value: &str, allowed: Option<&str>) -> AwsError {
        let rest = allowed.map_or_else(String::new, |allowed| format!(": it has the value {allowed} here"));
        let message = format!("The embedded endpoint does not support {path} {value} of {operation}{rest}.");
        AwsError::new(self.codes().0, message)
    }

    fn violation(self, value: &str, path: &str, constraint: &str) -> AwsError {
        let message =
            format!("1 validation error detected: {value} at '{path}' failed to satisfy constraint: {constraint}");
        AwsError::new(self.codes().0, message)
    }

    /// Returns the codes of an invalid value and of a missing member (the API references: "Common Errors" of each service, and the
    /// errors of its operations).
    fn codes(self) -> (&'static str, &'static str) {
        match self.service {
            "ec2" | "rds" | "monitoring" => ("InvalidParameterValue", "MissingParameter"),
            "sns" => ("InvalidParameter", "InvalidParameter"),
            "ecr" | "ecs" | "logs" => ("InvalidParameterException", "InvalidParameterException"),
            "kafka" | "ses" => ("BadRequestException", "BadRequestException"),
            "kms" | "secretsmanager" | "ssm" | "application-autoscaling" => {
                ("ValidationException", "ValidationException")
            }
            "servicediscovery" => ("InvalidInput", "InvalidInput"),
            "servicequotas" => ("IllegalArgumentException", "IllegalArgumentException"),
            _ => ("ValidationError", "ValidationError"),
        }
    }
}
