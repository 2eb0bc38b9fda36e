//! Plans on endpoints that lack a capability: what the plan leaves out or replaces, and what is reported complete but does not run.
//!
//! AWS and the embedded endpoint have everything that the deployer uses. Each other product lacks something else, so that nothing here
//! depends on a product: `aws::endpoint` has the table of capabilities, `unsupported_types` asks for unknown resource types,
//! `fallback` has the replacement of each type, `adapt_plan` removes such resources from a plan, and `unbacked` checks afterwards
//! that complete resources exist.

mod adapt_plan;
mod database_passwords;
mod fallback;
mod public_name;
mod this_machine;
mod unbacked;
mod unsupported_types;

#[cfg(test)]
mod tests;

use aws::cloudformation;

pub use adapt_plan::{UnsupportedType, adapt_plan};
pub use unbacked::{UnbackedResource, check_backing};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A plan that the endpoint cannot deploy or run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    CloudFormation(#[from] cloudformation::Error),
    #[error("stacks on {endpoint} have no outputs, from which other stacks take their parameters")]
    NoOutputs { endpoint: String },
    #[error("{endpoint} does not support {}", .types.iter().map(|one| one.resource_type.as_str()).collect::<Vec<_>>().join(", "))]
    UnsupportedTypes {
        endpoint: String,
        types: Vec<UnsupportedType>,
    },
    #[error("the stacks are complete on {endpoint}, but no service is running:\n  {}", .resources.iter().map(|one| one.to_string()).collect::<Vec<_>>().join("\n  "))]
    Unbacked {
        endpoint: String,
        resources: Vec<UnbackedResource>,
        /// The condition under which the endpoint runs tasks.
        condition: Option<&'static str>,
    },
}

impl From<aws::Error> for Error {
    fn from(error: aws::Error) -> Self {
        Self::CloudFormation(error.into())
    }
}

impl Error {
    /// Returns what to do next, if there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnsupportedTypes { types, .. } => {
                let mut remedies: Vec<&str> = types.iter().filter_map(|one| one.remedy).collect();
                remedies.dedup();
                if types.iter().any(|one| one.remedy.is_none()) {
                    remedies.push(
                        "use an endpoint that supports them: AWS, or the embedded one (another --port, and no --endpoint-url)",
                    );
                }
                Some(remedies.join("\n      "))
            }
            Self::Unbacked { condition, .. } => {
                let condition = condition
                    .map(|condition| format!("it runs tasks with: {condition}; "))
                    .unwrap_or_default();
                Some(format!(
                    "{condition}`deployer up --stacks-only` stops once the stacks are complete; the embedded endpoint (another --port, and no --endpoint-url) runs everything"
                ))
            }
            Self::NoOutputs { .. } => Some("`deployer doctor` shows what this endpoint does not support".to_owned()),
            Self::CloudFormation(_) => None,
        }
    }
}
