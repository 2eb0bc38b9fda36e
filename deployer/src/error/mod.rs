//! The error of a command: the sum of the modules' errors, with their identifiers, exit codes and hints.

mod argument;
mod conversion;
mod hint;
mod not_confirmed;
mod parameter;
mod protected;

use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;

use aws::location::LocationError;
use aws::lock::LockError;
use aws::{TimedOut, cloudformation, ecs};
use platform::lint::LintFinding;
use platform::manifest::ManifestError;
use ui::Ui;

use crate::image::{CompileError, CredentialsError, EngineError, ImageError, PushError};
use crate::{capabilities, context, embedded, operations, preflight};

pub use argument::{ArgumentError, Named};
pub use not_confirmed::{NotConfirmed, Reason};
pub use parameter::ParameterError;
pub use protected::Protected;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a command; its text says what happened and why, [`Error::hint`] what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("{} lint {} in the templates{}", .0.len(), if .0.len() == 1 { "finding" } else { "findings" }, .0.first().map(|one| format!("; first: {one}")).unwrap_or_default())]
    Lint(Vec<LintFinding>),
    #[error("the templates do not match the manifest: {}", .files.join(", "))]
    StaleTemplates { files: Vec<String> },
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    #[error("{failed} of {total} checks failed")]
    ChecksFailed { failed: usize, total: usize },
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error("image of {service}: {reason}")]
    Image {
        service: String,
        reason: String,
        hint: Option<String>,
    },
    #[error(transparent)]
    Archive(#[from] ImageError),
    #[error(transparent)]
    RegistryCredentials(#[from] CredentialsError),
    #[error("image of {service}: {reason}")]
    Registry {
        service: String,
        registry: String,
        reason: String,
    },
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Context(context::Error),
    #[error(transparent)]
    Embedded(embedded::Error),
    #[error(transparent)]
    Request(#[from] aws::Error),
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// An error of CloudFormation other than [`Request`](Self::Request) and [`TimedOut`](Self::TimedOut); so are the next ones.
    #[error(transparent)]
    CloudFormation(cloudformation::Error),
    #[error(transparent)]
    Ecs(ecs::Error),
    #[error(transparent)]
    Lock(LockError),
    #[error(transparent)]
    Location(LocationError),
    #[error(transparent)]
    Capabilities(capabilities::Error),
    #[error(transparent)]
    Operation(operations::Error),
    #[error(transparent)]
    Preflight(preflight::Error),
    #[error("{stack} differs in more than its image: {what}")]
    MoreThanCode { stack: String, what: String },
    /// Services whose stacks are complete, and that ECS does not have.
    #[error("these ECS services were deleted outside CloudFormation: {}", services.join(", "))]
    DeletedServices {
        services: Vec<String>,
        /// The full names of their stacks.
        stacks: Vec<String>,
    },
    #[error("differences were found")]
    Differences,
    #[error("interrupted")]
    Interrupted { hint: String },
    #[error(transparent)]
    NotConfirmed(#[from] NotConfirmed),
    #[error(transparent)]
    Protected(#[from] Protected),
    #[error("stack {stack} has termination protection")]
    TerminationProtection { stack: String },
    #[error("this endpoint does not support the repair: {source}")]
    RemedyUnsupported {
        alternative: &'static str,
        source: aws::Error,
    },
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    /// Failures of several stacks; the first decides the exit code, unless another one is stuck.
    #[error("{first}{}", lines("\nalso: ", "", others))]
    Several { first: Box<Error>, others: Vec<Error> },
    #[error("{0}")]
    Shared(Arc<Error>),
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

/// Formats each item between `before` and `after`.
pub fn lines<T: fmt::Display>(before: &str, after: &str, items: &[T]) -> String {
    let mut text = String::new();
    for item in items {
        text.push_str(&format!("{before}{item}{after}"));
    }
    text
}

impl Error {
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Returns the error of a push. A registry that rejects the credentials has its own exit code.
    pub fn from_push(service: &str, error: PushError) -> Self {
        let (service, reason) = (service.to_owned(), error.to_string());
        match error {
            PushError::Denied { registry, .. } => Self::Registry {
                service,
                registry,
                reason,
            },
            PushError::Image(error) => Self::image(&service, &error),
            _ => Self::Image {
                service,
                reason,
                hint: None,
            },
        }
    }

    /// Returns the error of building a service's image.
    pub fn image(service: &str, error: &ImageError) -> Self {
        Self::Image {
            service: service.to_owned(),
            reason: error.to_string(),
            hint: error.hint(),
        }
    }

    /// Combines the failures of several stacks; returns `None` without a failure.
    pub fn several(failures: Vec<Self>) -> Option<Self> {
        let mut failures = failures.into_iter();
        let first = failures.next()?;
        let others: Vec<Self> = failures.collect();
        Some(if others.is_empty() {
            first
        } else {
            Self::Several {
                first: Box::new(first),
                others,
            }
        })
    }

    /// Returns the failure that decides the exit code: the first of several, unless another one is stuck.
    fn decisive(&self) -> &Self {
        match self {
            Self::Shared(error) => error.decisive(),
            Self::Several { first, others } => {
                let stuck = others.iter().find(|error| error.exit_code() == 5);
                stuck.unwrap_or(first).decisive()
            }
            _ => self,
        }
    }

    /// Returns whether the endpoint is not reachable.
    pub fn is_unreachable(&self) -> bool {
        use aws::SessionError;
        use context::Error as Context;
        matches!(
            self,
            Self::Context(
                Context::NoEndpoint { .. }
                    | Context::Unreachable { .. }
                    | Context::Session(SessionError::Unreachable { .. } | SessionError::NotHttp { .. })
            )
        )
    }

    /// Returns whether a stack cannot be updated or deleted without another operation.
    pub fn is_stuck(&self) -> bool {
        matches!(self, Self::CloudFormation(cloudformation::Error::Stuck { .. }))
    }

    /// Returns the stable identifier of the error, for programs: the field `code` of the event `error`.
    pub fn identifier(&self) -> &'static str {
        use aws::SessionError;
        use aws::location::LocationError;
        use cloudformation::Error as CloudFormation;
        use context::Error as Context;
        match self.decisive() {
            Self::Argument(_)
            | Self::Context(Context::Session(
                SessionError::InvalidRegion { .. }
                | SessionError::UnsupportedPartition { .. }
                | SessionError::InvalidUrl(_),
            )) => "invalid_argument",
            Self::Manifest(_) | Self::Context(Context::Manifest(_)) => "manifest",
            Self::Parameter(_) => "missing_value",
            Self::Lint(_) => "lint",
            Self::StaleTemplates { .. } => "stale_templates",
            Self::ChecksFailed { .. } => "checks_failed",
            Self::Compile(_) => "compile",
            Self::Image { .. } | Self::Archive(_) => "image",
            Self::Registry { .. } | Self::RegistryCredentials(_) => "registry",
            Self::Engine(_) => "docker_engine",
            Self::Context(Context::NoEndpoint { .. }) => "no_endpoint",
            Self::Context(
                Context::Unreachable { .. }
                | Context::Session(SessionError::Unreachable { .. } | SessionError::NotHttp { .. }),
            ) => "unreachable",
            Self::Context(Context::Session(SessionError::NoRegion)) => "no_region",
            Self::Context(Context::Session(SessionError::UnknownProfile { .. })) => "denied",
            Self::Context(
                Context::Session(SessionError::Request(error)) | Context::Location(LocationError::Request(error)),
            )
            | Self::Request(error) => request_identifier(error),
            Self::Context(Context::Location(_)) => "other_location",
            Self::Context(Context::PortInUse { .. }) => "port_taken",
            Self::Context(Context::Embedded(error)) | Self::Embedded(error) => embedded_identifier(error),
            Self::RemedyUnsupported { .. }
            | Self::CloudFormation(CloudFormation::NoTemplateStorage { .. })
            | Self::Capabilities(capabilities::Error::NoOutputs { .. }) => "unsupported",
            Self::TimedOut(_) => "timed_out",
            Self::CloudFormation(CloudFormation::TemplateTooLarge { .. }) => "template_too_large",
            Self::CloudFormation(CloudFormation::Failed(_)) | Self::Operation(operations::Error::Failed { .. }) => {
                "stack_failed"
            }
            Self::CloudFormation(CloudFormation::Stuck { .. }) => "stack_stuck",
            Self::Ecs(ecs::Error::RolledBack { .. }) => "rolled_back",
            Self::Operation(operations::Error::CrashLoop { .. }) => "crash_loop",
            Self::Operation(operations::Error::Unplaced { .. }) | Self::Ecs(ecs::Error::Unplaced { .. }) => "quota",
            Self::Lock(LockError::Held { .. } | LockError::Lost) => "locked",
            Self::Context(Context::Session(SessionError::NoEndpointInRegion { .. }))
            | Self::CloudFormation(_)
            | Self::Ecs(_)
            | Self::Lock(_)
            | Self::Operation(_) => "aws",
            Self::Capabilities(capabilities::Error::Unbacked { .. }) => "nothing_runs",
            Self::Capabilities(_) => "unsupported_types",
            Self::Location(_) => "wrong_location",
            Self::Preflight(_) => "preflight",
            Self::MoreThanCode { .. } => "more_than_code",
            Self::DeletedServices { .. } => "deleted_service",
            Self::Differences => "differences",
            Self::Interrupted { .. } => "interrupted",
            Self::NotConfirmed(_) => "not_confirmed",
            Self::Protected(_) | Self::TerminationProtection { .. } => "protected",
            Self::Io { .. } => "io",
            Self::Several { .. } | Self::Shared(_) | Self::Other(_) => "other",
        }
    }

    /// Returns the exit code of the process; see the help of `deployer`.
    pub fn exit_code(&self) -> u8 {
        match self.identifier() {
            "differences" => 2,
            "denied" | "expired_credentials" | "registry" => 3,
            "stack_failed" | "rolled_back" => 4,
            "stack_stuck" => 5,
            "timed_out" | "crash_loop" | "quota" | "nothing_runs" => 6,
            "interrupted" => 130,
            _ => 1,
        }
    }

    /// Reports the error and its hint, then the summary of the deployment that it ended.
    pub fn report(&self, ui: &Ui) {
        ui.error(self.identifier(), self.to_string(), self.hint(), self.exit_code());
    }
}

fn request_identifier(error: &aws::Error) -> &'static str {
    match error {
        aws::Error::Denied { .. } => "denied",
        aws::Error::Expired { .. } => "expired_credentials",
        aws::Error::Unsupported { .. } => "unsupported",
        _ => "aws",
    }
}

fn embedded_identifier(error: &embedded::Error) -> &'static str {
    use embedded::Error as Embedded;
    match error {
        Embedded::Start { .. } => "endpoint_start",
        Embedded::StateDir { source, .. } if source.kind() == ErrorKind::StorageFull => "io",
        Embedded::RemoveState { .. } | Embedded::Program(_) => "io",
        Embedded::TimedOut(_) => "timed_out",
        _ => "invalid_argument",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_help() {
        let stuck = || {
            Error::CloudFormation(cloudformation::Error::Stuck {
                stack: "s".into(),
                status: "UPDATE_ROLLBACK_FAILED".into(),
                reason: None,
            })
        };
        assert_eq!(stuck().exit_code(), 5);
        assert_eq!(Error::Shared(Arc::new(stuck())).exit_code(), 5);
        assert_eq!(Error::Interrupted { hint: String::new() }.exit_code(), 130);
        let several = Error::several(vec![Error::Differences, stuck()]).expect("an error");
        assert_eq!((several.exit_code(), several.identifier()), (5, "stack_stuck"));
    }
}
