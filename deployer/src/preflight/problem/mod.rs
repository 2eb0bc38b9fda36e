//! The problems that the preflight checks report.

mod certificate;
mod crates;
mod hosted_zone;
mod network;
mod quota;
mod secret;

use std::fmt;

use cfn::diff::{UnsupportedUpdate, UpdateWarning};

use super::authorities::AuthorityProblem;

pub use certificate::CertificateProblem;
pub use crates::CrateProblem;
pub use hosted_zone::HostedZoneProblem;
pub use network::NetworkProblem;
pub use quota::QuotaProblem;
pub use secret::SecretProblem;

/// The service whose names are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedResource {
    LogGroup,
    Repository,
    MskCluster,
    EcsCluster,
}

impl fmt::Display for NamedResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LogGroup => "log group",
            Self::Repository => "ECR repository",
            Self::MskCluster => "MSK cluster",
            Self::EcsCluster => "ECS cluster",
        })
    }
}

/// A problem that prevents a deployment, or that is known before it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Problem {
    #[error("{environment} serves plain HTTP on port {port}: passwords and data are not encrypted in transit")]
    PlainHttp { environment: String, port: u16 },
    #[error("ingress.certificate requires ingress.host, the domain name of the certificate")]
    CertificateWithoutHost,
    #[error("{environment} has demo data, with an administrator whose password is public")]
    DemoData { environment: String },
    #[error("kafka.security is \"msk-iam\" in {environment}, and {endpoint} is not known to support TLS with IAM")]
    BrokersWithoutIam { environment: String, endpoint: String },
    #[error("ingress.certificate is `{arn}`, which is not an ACM certificate ARN")]
    NotACertificateArn { arn: String },
    #[error(transparent)]
    Certificate(#[from] CertificateProblem),
    #[error(
        "the region has {found} availability zones that offer everything, and network.availability_zones is {needed}{}",
        without(.excluded)
    )]
    AvailabilityZones {
        found: usize,
        needed: usize,
        /// The other zones, and what each lacks.
        excluded: Vec<(String, Vec<String>)>,
    },
    #[error("an MSK cluster in {region} has exactly two zones, and network.availability_zones is {needed}")]
    KafkaZones { region: String, needed: usize },
    #[error(transparent)]
    Quota(#[from] QuotaProblem),
    #[error(transparent)]
    Secret(#[from] SecretProblem),
    #[error(transparent)]
    HostedZone(#[from] HostedZoneProblem),
    #[error(transparent)]
    Network(#[from] NetworkProblem),
    #[error(
        "{rule} of {stack} changes, and its last rollout has moved the requests to {}; CloudFormation would send them to the other \
         target group, which is empty", .group.rsplit(':').next().unwrap_or_default()
    )]
    ShiftedTraffic {
        /// The stack's short name, which is the service's.
        stack: String,
        rule: String,
        /// The ARN of the target group that gets the requests.
        group: String,
        cluster: String,
    },
    #[error("the {resource} {name} exists, and no stack of this environment owns it")]
    NameTaken { resource: NamedResource, name: String },
    #[error("the load balancer of {environment} listens on port {port}, which requires root on this machine")]
    PortNeedsRoot { environment: String, port: u16 },
    #[error("the load balancer of {environment} listens on port {port}, which is in use ({by})")]
    PortInUse { environment: String, port: u16, by: String },
    #[error("{service} runs {image}: a tag can be moved, and then new tasks run another image")]
    ImageByTag { service: String, image: String },
    #[error("{image} of {service} is built for {}, and its tasks run on {expected}", .found.join(", "))]
    ImagePlatform {
        service: String,
        image: String,
        expected: String,
        found: Vec<String>,
    },
    #[error("{image} of {service} is not in its registry")]
    ImageMissing { service: String, image: String },
    #[error("{image} of {service} could not be checked: {reason}")]
    ImageUnchecked {
        service: String,
        image: String,
        reason: String,
    },
    #[error("{service} runs {image}, and the embedded endpoint pulls only from its own registry")]
    ImageElsewhere {
        service: String,
        image: String,
        repository: String,
        url: String,
    },
    #[error(transparent)]
    Crate(#[from] CrateProblem),
    #[error("the embedded endpoint cannot run the databases: {reason}")]
    NoPostgres { reason: String },
    #[error("the embedded endpoint cannot run the Kafka brokers: {reason}")]
    NoBroker { reason: String },
    #[error(
        "the session expires in {minutes} min, and the deployment takes about {needed}: CloudFormation works with its credentials"
    )]
    SessionExpires {
        minutes: i64,
        /// Minutes.
        needed: f64,
    },
    #[error(
        "kafka.storage_gib is {planned_gib}, and each broker has {actual} GiB: MSK only increases it, to {least} at least"
    )]
    BrokerStorage {
        planned_gib: i64,
        actual: i64,
        least: i64,
        /// The value in the deployed template.
        former: i64,
    },
    #[error(transparent)]
    Authority(#[from] AuthorityProblem),
    #[error(transparent)]
    UnsupportedUpdate(#[from] UnsupportedUpdate),
    #[error(transparent)]
    UpdateWarning(#[from] UpdateWarning),
}

fn without(excluded: &[(String, Vec<String>)]) -> String {
    let zones = excluded
        .iter()
        .map(|(zone, lacks)| format!("; {zone} lacks {}", lacks.join(", ")));
    zones.collect()
}

impl Problem {
    /// Returns how to solve it.
    pub fn hint(&self) -> String {
        match self {
            Self::PlainHttp { .. } => {
                "set ingress.zone or ingress.certificate, or ingress.plaintext to the reason why it needs no certificate".into()
            }
            Self::CertificateWithoutHost => "set ingress.host, for example to patients.example.org".into(),
            Self::DemoData { environment } => {
                format!("set demo_data = false under [environments.{environment}] to deploy it to AWS")
            }
            Self::BrokersWithoutIam { .. } => {
                "deploy to AWS or the embedded endpoint, or set security = \"plaintext\" under kafka".into()
            }
            Self::NotACertificateArn { .. } => "`aws acm list-certificates` lists the certificates".into(),
            Self::Certificate(problem) => problem.hint(),
            Self::KafkaZones { .. } => "set network.availability_zones = 2, or choose another --region".into(),
            Self::ShiftedTraffic { stack, cluster, .. } => format!(
                "move them back by one more rollout: `aws ecs update-service --cluster {cluster} --service {stack} \
                 --force-new-deployment`; when `deployer status` shows it as COMPLETED, run `deployer up` again"
            ),
            Self::AvailabilityZones { .. } => "lower that number, or choose another --region".into(),
            Self::Quota(problem) => problem.hint(),
            Self::Secret(problem) => problem.hint(),
            Self::HostedZone(problem) => problem.hint(),
            Self::Network(problem) => problem.hint(),
            Self::NameTaken { resource, name } => match resource {
                NamedResource::LogGroup => {
                    format!("if it is not needed: `aws logs delete-log-group --log-group-name {name}`")
                }
                NamedResource::Repository => {
                    format!("if it is not needed: `aws ecr delete-repository --force --repository-name {name}`")
                }
                NamedResource::MskCluster => {
                    "rename the project, or delete the cluster if it is not needed; its deletion takes minutes".into()
                }
                NamedResource::EcsCluster => "rename the project, or delete the cluster if it is not needed".into(),
            },
            Self::PortNeedsRoot { environment, port } => format!(
                "allow it with `sudo sysctl -w net.ipv4.ip_unprivileged_port_start={port}`, or set another ingress.port for {environment}"
            ),
            Self::PortInUse { environment, .. } => {
                format!("stop that program, or set another ingress.port for {environment}")
            }
            Self::ImageByTag { .. } => "use its digest: `…@sha256:…`".into(),
            Self::ImagePlatform { expected, .. } => {
                format!(
                    "build it with `docker buildx build --platform {expected}`, and push it; or change the service's `architecture`"
                )
            }
            Self::ImageMissing { .. } => "push it, or correct the service's `image`".into(),
            Self::ImageUnchecked { .. } => "the tasks may still be able to pull it".into(),
            Self::ImageElsewhere {
                service,
                repository,
                url,
                ..
            } => {
                let registry = url.trim_start_matches("http://");
                format!(
                    "run `deployer endpoint start` and `aws --endpoint-url {url} ecr create-repository --repository-name {repository}`, \
                     push the image to {registry}/{repository}, and set that under [environments.NAME.services.{service}]"
                )
            }
            Self::Crate(problem) => problem.hint(),
            Self::NoPostgres { .. } => "apt-get install postgresql (scripts/setup does it)".into(),
            Self::NoBroker { .. } => {
                "run scripts/install-broker; Apache Kafka needs Java (`apt-get install openjdk-17-jre-headless`)".into()
            }
            Self::SessionExpires { needed, .. } => format!(
                "set `role_arn` under [cloudformation] for the environment, or use credentials that last longer than {needed} min: a permission \
                 set or `duration_seconds`, without role chaining, which is limited to an hour"
            ),
            Self::BrokerStorage { former, least, .. } => {
                format!("set it to {former}, which leaves the disks as they are, or to {least} or more")
            }
            Self::Authority(problem) => problem.hint(),
            Self::UnsupportedUpdate(update) => update.hint().into(),
            Self::UpdateWarning(update) => update.hint().into(),
        }
    }
}

#[cfg(test)]
mod tests;
