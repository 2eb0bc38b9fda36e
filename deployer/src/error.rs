//! Everything that can go wrong, as data; one place writes the words.

mod answer;
#[cfg(test)]
mod recorded;
mod sdk;

use std::sync::Arc;

use ui::Ui;

use crate::cloudformation::failure::Failure;
use crate::ecs::stopped::StoppedTask;
use crate::image::{CompileError, CredentialsError, EngineError, ImageError, PushError};
use crate::manifest::ManifestError;
use crate::preflight::Finding;
use crate::target::capabilities::fit::Missing;
use crate::target::capabilities::hollow::Hollow;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a command; its text says what happened and why, [`Error::hint`] what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("{0}")]
    Plan(String),
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
    #[error("no AWS endpoint answers at {url}: {reason}")]
    NoEndpoint { url: String, reason: String },
    #[error("{url} cannot be reached: {reason}")]
    Unreachable { url: String, reason: String },
    #[error("no AWS region is given: neither --region nor AWS_REGION nor the profile names one")]
    NoRegion,
    #[error("port {port} is taken by something that is not an AWS endpoint: {seen}")]
    PortTaken { port: u16, seen: String },
    #[error("the embedded endpoint did not start: {reason}")]
    EndpointStart { reason: String, log: String },
    #[error("{operation}: {message}")]
    Aws {
        operation: String,
        code: String,
        message: String,
    },
    #[error("{operation} was refused: {message}")]
    Denied { operation: String, message: String },
    /// The endpoint has no such operation, or no such service in its plan.
    #[error("{operation}: the endpoint does not do this: {message}")]
    Unsupported { operation: String, message: String },
    #[error("{endpoint} does not know {}", .missing.iter().map(|one| one.kind.as_str()).collect::<Vec<_>>().join(", "))]
    LacksTypes { endpoint: String, missing: Vec<Missing> },
    #[error("the stacks are complete on {endpoint}, and nothing serves:{}", .hollow.iter().map(|one| format!("\n  {one}")).collect::<String>())]
    NothingRuns {
        endpoint: String,
        hollow: Vec<Hollow>,
        needs: Option<&'static str>,
    },
    #[error("{operation} was refused: the credentials have expired, and there are no fresh ones")]
    Expired { operation: String },
    #[error("another deployment is running: the lock is held by {holder} since {since}, expires {expires}")]
    Locked {
        holder: String,
        since: String,
        expires: String,
        parameter: String,
    },
    #[error("the template of stack {stack} has {bytes} bytes; CloudFormation takes 1,000,000 at most")]
    TemplateTooLarge { stack: String, bytes: usize },
    #[error("{0}")]
    Failed(Box<Failure>),
    #[error("stack {stack} is stuck in {status}{}", reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default())]
    Stuck {
        stack: String,
        status: String,
        reason: Option<String>,
    },
    #[error("{what} did not finish within {seconds} s{}", last.as_ref().map(|l| format!("; last seen: {l}")).unwrap_or_default())]
    TimedOut {
        what: String,
        seconds: u64,
        last: Option<String>,
    },
    #[error("nothing was begun: {}", .0.iter().map(|finding| finding.what.as_str()).collect::<Vec<_>>().join("; "))]
    Preflight(Vec<Finding>),
    #[error("{stack} differs in more than its image: {what}")]
    MoreThanCode { stack: String, what: String },
    #[error("the new code of {service} did not become healthy: ECS has rolled it back to {task_definition}")]
    RolledBack { service: String, task_definition: String },
    #[error("{proof}; the creation of stack {stack} goes on without being watched\n{task}")]
    CrashLoop {
        stack: String,
        proof: String,
        task: Box<StoppedTask>,
    },
    #[error("differences were found")]
    Differences,
    #[error("interrupted")]
    Interrupted { hint: String },
    #[error("{0}")]
    Declined(String),
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    /// Failures of several stacks; the first decides the exit code, unless another one is stuck.
    #[error("{first}{}", others.iter().map(|e| format!("\nalso: {e}")).collect::<String>())]
    Several { first: Box<Error>, others: Vec<Error> },
    #[error("{0}")]
    Shared(Arc<Error>),
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl Error {
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// What became of a push: that the registry refuses us is exit code 3.
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

    /// What a service refuses, by its code.
    pub fn refused(operation: String, status: u16, code: &str, message: String) -> Self {
        match code {
            "AccessDenied"
            | "AccessDeniedException"
            | "UnauthorizedOperation"
            | "InvalidClientTokenId"
            | "InvalidAccessKeyId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch"
            | "AuthFailure"
            | "OptInRequired" => Self::Denied { operation, message },
            "ExpiredToken" | "ExpiredTokenException" => Self::Expired { operation },
            _ if answer::is_unsupported(status, code, &message) => Self::Unsupported { operation, message },
            _ => Self::Aws {
                operation,
                code: code.to_owned(),
                message,
            },
        }
    }

    /// A request that got no answer; asking again may help.
    pub fn unreached(operation: String, reason: &str) -> Self {
        Self::Aws {
            operation,
            code: String::new(),
            message: format!("the endpoint cannot be reached or broke off: {reason}"),
        }
    }

    /// The process' exit code; see the help of `deployer`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Differences => 2,
            Self::Denied { .. } | Self::Expired { .. } | Self::Registry { .. } => 3,
            Self::Failed(_) | Self::RolledBack { .. } => 4,
            Self::Stuck { .. } => 5,
            Self::TimedOut { .. } | Self::CrashLoop { .. } | Self::NothingRuns { .. } => 6,
            Self::Interrupted { .. } => 130,
            Self::Shared(error) => error.exit_code(),
            Self::Several { first, others } => {
                let stuck = others.iter().map(Self::exit_code).find(|code| *code == 5);
                stuck.unwrap_or_else(|| first.exit_code())
            }
            _ => 1,
        }
    }

    /// Whether AWS says that the thing asked for is not there.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Aws { code, message, .. } => {
                message.contains("does not exist")
                    || matches!(
                        code.as_str(),
                        "ParameterNotFound"
                            | "ResourceNotFoundException"
                            | "RepositoryNotFoundException"
                            | "ChangeSetNotFound"
                    )
            }
            Self::Shared(error) => error.is_missing(),
            _ => false,
        }
    }

    /// Whether an update cannot be cancelled any more, because it has ended or is rolled back already.
    pub fn is_too_late(&self) -> bool {
        matches!(self, Self::Aws { code, message, .. } if code == "ValidationError" && message.contains("CancelUpdateStack"))
    }

    /// Whether the endpoint says that it has no such operation; each emulator does so in its own words.
    pub fn is_unsupported(&self) -> bool {
        match self {
            Self::Unsupported { .. } => true,
            Self::Aws { message, .. } => answer::says_unsupported(message),
            _ => false,
        }
    }

    pub fn code(&self) -> &str {
        match self {
            Self::Aws { code, .. } => code,
            _ => "",
        }
    }

    /// Reports the error and its hint, then the summary of the deployment that it ended.
    pub fn report(&self, ui: &Ui) {
        ui.error(self.to_string(), self.hint(), self.exit_code());
    }

    /// Returns what to do next, if there is something.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoEndpoint { .. } => {
                "start it with `deployer endpoint start`, or deploy with `deployer up`, which starts it; --endpoint-url or --port name another one".into()
            }
            Self::Unreachable { .. } => "check the URL or region, the network and the proxy (HTTPS_PROXY); without --endpoint-url the target's own endpoint is used".into(),
            Self::NoRegion => "name it with --region, AWS_REGION, or `aws configure set region` in the profile".into(),
            Self::PortTaken { .. } => "stop what listens there, or choose another port with --port".into(),
            Self::EndpointStart { log, .. } => format!("its log is {log}"),
            Self::Denied { .. } => "check --profile, AWS_PROFILE and the permissions of the identity (`aws sts get-caller-identity`)".into(),
            Self::Unsupported { message, .. } if answer::is_licence(message) => {
                "use a plan of LocalStack that has this service, or stop it and let `deployer up` start the embedded endpoint, which needs no plan".into()
            }
            Self::Unsupported { .. } => {
                "`deployer doctor` says what this endpoint does not do and what deployer does instead".into()
            }
            Self::Aws { code, .. } if code == "BucketAlreadyExists" => {
                "deploy to another region, or make the template smaller (51,200 bytes need no bucket): move some of the stack's services or databases into another project".into()
            }
            Self::Aws { message, .. } if answer::names_types(message) => {
                "the region or the endpoint does not have these types; without MSK, kafka.bootstrap in deployer.toml names brokers that you run".into()
            }
            Self::Aws { code, .. } if answer::is_fault(code) => {
                "this is a fault of the endpoint, or of something before it: its own log says more, and `deployer doctor` who answers".into()
            }
            Self::Aws { code, .. } if code.is_empty() => {
                "`deployer doctor` says whether it runs; what was begun there goes on, and the same command takes it up again".into()
            }
            Self::LacksTypes { missing, .. } => {
                let mut remedies: Vec<&str> = missing.iter().filter_map(|one| one.remedy).collect();
                remedies.dedup();
                if missing.iter().any(|one| one.remedy.is_none()) {
                    remedies.push("use an endpoint that has these: AWS, or the embedded one (another --port, and no --endpoint-url)");
                }
                remedies.join("\n      ")
            }
            Self::NothingRuns { needs, .. } => {
                let needs = needs.map(|needs| format!("it runs them with: {needs}; ")).unwrap_or_default();
                format!("{needs}`deployer up --stacks-only` is content with complete stacks; the embedded endpoint (another --port, and no --endpoint-url) runs everything")
            }
            Self::Registry { registry, .. } if registry.ends_with(".amazonaws.com") => {
                "check --profile, AWS_PROFILE and the identity's ecr: permissions; for --registry, `aws ecr get-login-password | docker login`".into()
            }
            Self::Registry { registry, .. } => {
                format!("`docker login {registry}`, or set DEPLOYER_REGISTRY_USERNAME and DEPLOYER_REGISTRY_PASSWORD; the identity must be allowed to push there")
            }
            Self::Image { hint, .. } => return hint.clone(),
            Self::Archive(error) | Self::Engine(EngineError::Image(error)) => return error.hint(),
            Self::Engine(EngineError::Absent { .. }) => {
                "start Docker or set DOCKER_HOST=unix://SOCKET; `deployer images load --output FILE` writes the archive without it".into()
            }
            Self::Expired { .. } => {
                "what CloudFormation has begun goes on; get fresh ones (`aws sso login`, or as you got these), then the same command goes on from here".into()
            }
            Self::Locked { parameter, .. } => {
                format!("wait until it ends; if its process is gone, the lock expires by itself, or delete the SSM parameter {parameter}")
            }
            Self::TemplateTooLarge { .. } => "move some of the stack's services or databases into another project".into(),
            Self::Failed(failure) => failure.hint(),
            Self::Stuck { stack, status, .. } if status == "DELETE_FAILED" => format!(
                "correct the cause, then `deployer destroy` goes on; `deployer destroy --retain LOGICAL_ID` leaves a resource behind, `deployer unstick {stack}` says more"
            ),
            Self::Stuck { stack, .. } => format!("`deployer unstick {stack}` says what can be done"),
            Self::CrashLoop { stack, .. } => {
                format!("CloudFormation waits for hours, since the service has no circuit breaker: `aws cloudformation delete-stack --stack-name {stack}` ends it; correct the cause, then `deployer up`")
            }
            Self::TimedOut { .. } => "nothing was cancelled: `deployer status` and `deployer events` show where it stands, `deployer up` goes on".into(),
            Self::Interrupted { hint } => hint.clone(),
            Self::Preflight(findings) => findings.iter().map(|finding| finding.hint.as_str()).collect::<Vec<_>>().join("\n      "),
            Self::MoreThanCode { .. } => "`deployer diff` shows it, `deployer up` deploys it; --code swaps images alone".into(),
            Self::RolledBack { service, .. } => format!("`deployer logs {service}` shows what it said; correct it and run `deployer up --code` again"),
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => "free some disk space, then run the command again".into(),
            Self::Manifest(error) => return error.hint(),
            Self::Shared(error) => return error.hint(),
            Self::Several { first, others } => {
                let stuck = others.iter().find(|error| error.exit_code() == 5);
                return stuck.map_or_else(|| first.hint(), Self::hint);
            }
            _ => return None,
        })
    }
}

impl From<Arc<Error>> for Error {
    fn from(error: Arc<Error>) -> Self {
        Arc::try_unwrap(error).unwrap_or_else(Self::Shared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_help() {
        let stuck = Error::Stuck {
            stack: "s".into(),
            status: "UPDATE_ROLLBACK_FAILED".into(),
            reason: None,
        };
        assert_eq!(stuck.exit_code(), 5);
        assert_eq!(Error::Shared(Arc::new(stuck)).exit_code(), 5);
        assert_eq!(Error::Interrupted { hint: String::new() }.exit_code(), 130);
    }
}
