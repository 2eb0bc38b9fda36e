//! Hints: what to do after an error.

use std::io::ErrorKind;

use aws::cloudformation::StackFailure;
use aws::lock::LockError;
use aws::{cloudformation, ecs};

use super::Error;
use crate::image::EngineError;
use crate::{operations, preflight};

impl Error {
    /// Returns what to do next, if there is something.
    pub fn hint(&self) -> Option<String> {
        Some(match self.decisive() {
            Self::Request(error) => return request(error),
            Self::CloudFormation(error) => return stack(error),
            Self::Operation(error) => return operation(error),
            Self::Context(error) => return error.hint(),
            Self::Embedded(error) => return error.hint(),
            Self::Capabilities(error) => return error.hint(),
            Self::Argument(error) => return error.hint(),
            Self::Manifest(error) => return error.hint(),
            Self::NotConfirmed(error) => return error.hint(),
            Self::Protected(error) => error.hint(),
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
            Self::Lock(LockError::Held { parameter, .. }) => {
                format!("wait until it ends; if its process no longer runs, the lock expires by itself, or delete the SSM parameter {parameter}")
            }
            Self::Lock(LockError::NotALock { .. }) => "delete the parameter if nothing else uses it".into(),
            Self::TimedOut(_) => {
                "nothing was cancelled: `deployer status` and `deployer events` show the progress, `deployer up` continues".into()
            }
            Self::Ecs(ecs::Error::RolledBack { service, .. }) => {
                format!("`deployer logs {service}` shows its output; correct it and run `deployer up --code` again")
            }
            Self::Preflight(preflight::Error::Findings(findings)) => {
                findings.iter().map(|finding| finding.problem.hint()).collect::<Vec<_>>().join("\n      ")
            }
            Self::Interrupted { hint } => hint.clone(),
            Self::TerminationProtection { stack } => {
                format!("disable it with `aws cloudformation update-termination-protection --no-enable-termination-protection --stack-name {stack}`")
            }
            Self::RemedyUnsupported { alternative, .. } => (*alternative).to_owned(),
            Self::StaleTemplates { .. } => "run `deployer synth`".into(),
            Self::Lint(_) => "`deployer validate` shows all of them".into(),
            Self::Parameter(_) => "run a full `deployer up`, which creates it".into(),
            Self::MoreThanCode { .. } => "`deployer diff` shows it, `deployer up` deploys it; --code replaces images only".into(),
            Self::Io { source, .. } if source.kind() == ErrorKind::StorageFull => "free some disk space, then run the command again".into(),
            _ => return None,
        })
    }
}

fn request(error: &aws::Error) -> Option<String> {
    use aws::Error as Request;
    let hint = match error {
        Request::Denied { .. } => {
            "check --profile, AWS_PROFILE and the permissions of the identity (`aws sts get-caller-identity`)"
        }
        Request::Expired { .. } => {
            "CloudFormation continues the operations that it has started; renew the credentials (`aws sso login`, or the way you obtained them), then the same command continues from here"
        }
        _ if error.is_license() => {
            "use a plan of LocalStack that has this service, or stop it and let `deployer up` start the embedded endpoint, which needs no plan"
        }
        Request::Unsupported { .. } => {
            "`deployer doctor` shows what this endpoint does not support and what deployer does instead"
        }
        _ if error.is_unknown_type() => {
            "the region or the endpoint does not have these types; without MSK, kafka.bootstrap in deployer.toml names brokers that you run"
        }
        Request::NoResponse { .. } => {
            "`deployer doctor` shows whether the endpoint runs; it continues the operations that it has started, and the same command continues from there"
        }
        _ if error.is_fault() => {
            "this is a fault of the endpoint or of a proxy in front of it: its own log says more, and `deployer doctor` shows which product answers"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn stack(error: &cloudformation::Error) -> Option<String> {
    use cloudformation::Error as Stack;
    Some(match error {
        Stack::Failed(error) => failure(error),
        Stack::Stuck { stack, status, .. } if status == "DELETE_FAILED" => format!(
            "correct the cause, then `deployer destroy` continues; `deployer destroy --retain LOGICAL_ID` retains a resource, `deployer unstick {stack}` says more"
        ),
        Stack::Stuck { stack, .. } => format!("`deployer unstick {stack}` shows what can be done"),
        Stack::TemplateTooLarge { .. } => "move some of the stack's services or databases into another project".into(),
        Stack::NoTemplateStorage { .. } => {
            "use an endpoint with S3, or move some of the stack's services or databases into another project".into()
        }
        Stack::ForeignTemplateBucket { .. } => {
            "deploy to another region, or make the template smaller (51,200 bytes need no bucket): move some of the stack's services or databases into another project".into()
        }
        _ => return None,
    })
}

fn failure(failure: &StackFailure) -> String {
    match failure.status.as_str() {
        "DELETE_COMPLETE" => "`deployer up` creates it again".to_owned(),
        status if status.contains("DELETE") => {
            format!("`deployer unstick {}` shows what can be done", failure.stack)
        }
        _ => "correct the cause and run `deployer up` again; it continues from here".to_owned(),
    }
}

fn operation(error: &operations::Error) -> Option<String> {
    Some(match error {
        operations::Error::Failed { failure, .. } => self::failure(failure),
        operations::Error::CrashLoop { stack, .. } => format!(
            "CloudFormation waits for hours, because the service has no circuit breaker: `aws cloudformation delete-stack --stack-name {stack}` ends it; correct the cause, then run `deployer up`"
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use aws::ecs::StoppedTask;
    use aws::{SessionError, TimedOut};

    use super::*;
    use crate::{context, embedded};

    #[test]
    fn each_error_says_what_to_do_next() {
        let operation = || "cloudformation DescribeStacks".to_owned();
        let service = |code: &str, message: &str| aws::Error::Service {
            operation: operation(),
            code: code.to_owned(),
            message: message.to_owned(),
        };
        let unsupported = |message: &str| aws::Error::Unsupported {
            operation: operation(),
            message: message.to_owned(),
        };
        let stuck = |status: &str| cloudformation::Error::Stuck {
            stack: "shop-dev-app".into(),
            status: status.into(),
            reason: None,
        };
        let failed = |status: &str| {
            let failure = StackFailure::from_events("shop-dev-app", status, &[]);
            cloudformation::Error::Failed(Box::new(failure))
        };
        let errors: Vec<Error> = vec![
            aws::Error::Denied {
                operation: operation(),
                message: "no identity-based policy allows it".into(),
            }
            .into(),
            aws::Error::Expired { operation: operation() }.into(),
            aws::Error::NoResponse {
                operation: operation(),
                reason: "Connection refused".into(),
            }
            .into(),
            unsupported("it has no such action").into(),
            unsupported("The API for service ecs is not included in your current license plan").into(),
            service(
                "ValidationError",
                "Template format error: Unrecognized resource types: [AWS::MSK::Cluster]",
            )
            .into(),
            service("InternalFailure", "it failed").into(),
            context::Error::Session(SessionError::NoRegion).into(),
            context::Error::PortInUse {
                port: 4566,
                found: "HTTP 404".into(),
            }
            .into(),
            embedded::Error::Start {
                reason: "it ended".into(),
                log: ".localstack/endpoint.log".into(),
            }
            .into(),
            stuck("UPDATE_ROLLBACK_FAILED").into(),
            stuck("DELETE_FAILED").into(),
            failed("UPDATE_ROLLBACK_COMPLETE").into(),
            failed("DELETE_COMPLETE").into(),
            cloudformation::Error::ForeignTemplateBucket { bucket: "b".into() }.into(),
            cloudformation::Error::TemplateTooLarge {
                stack: "shop-dev-app".into(),
                bytes: 1_000_001,
            }
            .into(),
            operations::Error::CrashLoop {
                stack: "shop-dev-app".into(),
                evidence: "app cannot start".into(),
                task: Box::new(StoppedTask {
                    service: "app".into(),
                    task: "0a1b".into(),
                    reason: "it exited".into(),
                    exit_code: Some(1),
                    log: Vec::new(),
                }),
            }
            .into(),
            LockError::Held {
                holder: "me@here".into(),
                since: "2026-01-02T03:04:05Z".into(),
                expires: "2026-01-02T03:14:05Z".into(),
                parameter: "/deployer/shop-dev/lock".into(),
            }
            .into(),
            TimedOut {
                what: "shop-dev-app".into(),
                seconds: 900,
                last: None,
            }
            .into(),
        ];
        let lines: Vec<String> = errors
            .iter()
            .map(|error| {
                let (code, identifier) = (error.exit_code(), error.identifier());
                let hint = error.hint().unwrap_or_default();
                format!("{code} {identifier}: {error}\n    hint: {hint}")
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
