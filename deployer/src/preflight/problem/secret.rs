//! Problems of existing secrets.

/// A secret or parameter that ECS cannot read, so that no task of its service starts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretProblem {
    #[error("the secret of {service}'s {variable}, {arn}, does not exist")]
    Missing {
        service: String,
        variable: String,
        arn: String,
    },
    #[error("the secret of {service}'s {variable}, {arn}, is scheduled for deletion")]
    Deleted {
        service: String,
        variable: String,
        arn: String,
    },
    #[error("the parameter of {service}'s {variable}, {name}, does not exist in {region}")]
    MissingParameter {
        service: String,
        variable: String,
        name: String,
        region: String,
    },
}

impl SecretProblem {
    /// Returns how to solve it; a value is never an argument.
    pub fn hint(&self) -> String {
        match self {
            Self::Missing { arn, .. } => {
                let region = arn.split(':').nth(3).unwrap_or_default();
                format!(
                    "create it with `aws secretsmanager create-secret --region {region} --name NAME --secret-string file://FILE`, and use \
                     the ARN that it prints"
                )
            }
            Self::Deleted { arn, .. } => format!("`aws secretsmanager restore-secret --secret-id {arn}`"),
            Self::MissingParameter { name, region, .. } => format!(
                "create it with `aws ssm put-parameter --region {region} --type SecureString --name {name} --value file://FILE`"
            ),
        }
    }
}
