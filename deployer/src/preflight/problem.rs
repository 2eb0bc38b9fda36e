//! The problems that the preflight checks report.

use std::fmt;
use std::path::PathBuf;

use time::Date;

use cfn::diff::UnsupportedUpdate;
use platform::suggest::closest_or_all;

/// The platform of every task definition's `RuntimePlatform`.
pub const PLATFORM: &str = "linux/amd64";

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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    #[error("ingress.certificate is in {region}, and a load balancer in {needed} needs a certificate in its region")]
    CertificateRegion { region: String, needed: String },
    #[error("ingress.certificate is {arn}, which does not exist")]
    NoSuchCertificate { arn: String, region: String },
    #[error("the certificate of the ingress is {status}, not ISSUED")]
    CertificateStatus { status: String },
    #[error("the certificate of the ingress expired on {date}")]
    CertificateExpired { date: Date },
    #[error("the certificate of the ingress expires on {date}, and ACM does not renew it")]
    CertificateExpiresSoon { date: Date },
    #[error("the region has {found} availability zones, and network.availability_zones is {needed}")]
    AvailabilityZones { found: usize, needed: usize },
    #[error("the region has {existing} VPCs, and the default quota of an account is {quota}")]
    VpcQuota { existing: usize, quota: usize },
    #[error(
        "{needed} Elastic IP addresses are needed for NAT, and {used} of the account's quota of {quota} are in use"
    )]
    ElasticIpQuota { needed: usize, used: usize, quota: usize },
    #[error("the {resource} {name} exists, and no stack of this environment owns it")]
    NameTaken { resource: NamedResource, name: String },
    #[error("the load balancer of {environment} listens on port {port}, which requires root on this machine")]
    PortNeedsRoot { environment: String, port: u16 },
    #[error("the load balancer of {environment} listens on port {port}, which is in use ({by})")]
    PortInUse { environment: String, port: u16, by: String },
    #[error("{service} runs {image}: a tag can be moved, and then new tasks run another image")]
    ImageByTag { service: String, image: String },
    #[error("{image} of {service} is built for {}, and tasks run on {PLATFORM}", .found.join(", "))]
    ImagePlatform {
        service: String,
        image: String,
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
    #[error("there is no Cargo.toml in {}", .folder.display())]
    NoWorkspace { folder: PathBuf },
    #[error("cannot run cargo: {reason}")]
    NoCargo { reason: String },
    #[error("cargo cannot read {}: {message}", .folder.display())]
    CargoMetadata { folder: PathBuf, message: String },
    #[error("{service} is built from the binary '{package}', and no package in {} has it", .folder.display())]
    NoBinary {
        service: String,
        package: String,
        folder: PathBuf,
        known: Vec<String>,
    },
    #[error("there is no Cargo.lock in {}", .folder.display())]
    NoLockFile { folder: PathBuf },
    #[error(transparent)]
    UnsupportedUpdate(#[from] UnsupportedUpdate),
}

impl Problem {
    /// Returns how to solve it.
    pub fn hint(&self) -> String {
        match self {
            Self::PlainHttp { .. } => "set ingress.certificate to the ARN of an ACM certificate".into(),
            Self::CertificateWithoutHost => "set ingress.host, for example to patients.example.org".into(),
            Self::DemoData { environment } => {
                format!("set demo_data = false under [environments.{environment}] to deploy it to AWS")
            }
            Self::BrokersWithoutIam { .. } => {
                "deploy to AWS or the embedded endpoint, or set security = \"plaintext\" under kafka".into()
            }
            Self::NotACertificateArn { .. } => "`aws acm list-certificates` lists the certificates".into(),
            Self::CertificateRegion { needed, .. } => {
                format!("request one there with `aws acm request-certificate --region {needed}`, and use its ARN")
            }
            Self::NoSuchCertificate { region, .. } => {
                format!("`aws acm list-certificates --region {region}` lists the certificates")
            }
            Self::CertificateStatus { status } if status == "PENDING_VALIDATION" => {
                "create the DNS record that `aws acm describe-certificate` shows, and wait until the certificate is ISSUED"
                    .into()
            }
            Self::CertificateStatus { status } if status != "EXPIRED" => {
                "request another certificate, and use its ARN".into()
            }
            Self::CertificateStatus { .. } | Self::CertificateExpired { .. } => {
                "renew or import the certificate, or use another one".into()
            }
            Self::CertificateExpiresSoon { .. } => {
                "import its successor under the same ARN with `aws acm import-certificate --certificate-arn`".into()
            }
            Self::AvailabilityZones { .. } => "lower that number, or choose another --region".into(),
            Self::VpcQuota { .. } => "delete a VPC, or request a higher quota (Service Quotas, L-F678F1CE)".into(),
            Self::ElasticIpQuota { .. } => {
                "release some, set network.nat = \"single\", or request a higher quota (Service Quotas, L-0263D0A3)".into()
            }
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
            Self::ImagePlatform { .. } => {
                format!("build it with `docker buildx build --platform {PLATFORM}`, and push it")
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
            Self::NoWorkspace { .. } => {
                "set project.workspace to the folder of the cargo workspace, or `image` for services that are not built here"
                    .into()
            }
            Self::NoCargo { .. } => {
                "install Rust from https://rustup.rs, or set the variable CARGO to cargo's path".into()
            }
            Self::CargoMetadata { .. } => "run `cargo metadata --no-deps` there for the complete error".into(),
            Self::NoBinary { package, known, .. } => {
                closest_or_all("binaries", package, known.iter().map(String::as_str))
            }
            Self::NoLockFile { .. } => {
                "create it with `cargo generate-lockfile`, and commit it: the same sources then give the same image".into()
            }
            Self::UnsupportedUpdate(update) => update.hint().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a value of each problem")]
    fn each_problem_says_what_is_wrong_and_how_to_solve_it() {
        let text = |text: &str| text.to_owned();
        let (service, image) = (text("orders"), text("ghcr.io/shop/orders:1"));
        let problems = [
            Problem::PlainHttp {
                environment: text("shop-prod"),
                port: 80,
            },
            Problem::CertificateWithoutHost,
            Problem::DemoData {
                environment: text("dev"),
            },
            Problem::BrokersWithoutIam {
                environment: text("shop-prod"),
                endpoint: text("moto 5.2"),
            },
            Problem::NotACertificateArn {
                arn: text("my-certificate"),
            },
            Problem::CertificateRegion {
                region: text("eu-west-1"),
                needed: text("eu-central-1"),
            },
            Problem::NoSuchCertificate {
                arn: text("arn:aws:acm:eu-west-1:1:certificate/1"),
                region: text("eu-west-1"),
            },
            Problem::CertificateStatus {
                status: text("PENDING_VALIDATION"),
            },
            Problem::CertificateStatus { status: text("FAILED") },
            Problem::CertificateExpired {
                date: date!(2026 - 01 - 02),
            },
            Problem::CertificateExpiresSoon {
                date: date!(2026 - 01 - 02),
            },
            Problem::AvailabilityZones { found: 2, needed: 3 },
            Problem::VpcQuota { existing: 5, quota: 5 },
            Problem::ElasticIpQuota {
                needed: 3,
                used: 4,
                quota: 5,
            },
            Problem::NameTaken {
                resource: NamedResource::LogGroup,
                name: text("/ecs/shop-dev/web"),
            },
            Problem::NameTaken {
                resource: NamedResource::Repository,
                name: text("shop-dev/web"),
            },
            Problem::NameTaken {
                resource: NamedResource::MskCluster,
                name: text("shop-dev"),
            },
            Problem::NameTaken {
                resource: NamedResource::EcsCluster,
                name: text("shop-dev"),
            },
            Problem::PortNeedsRoot {
                environment: text("prod"),
                port: 80,
            },
            Problem::PortInUse {
                environment: text("dev"),
                port: 8080,
                by: text("pid 7, nginx"),
            },
            Problem::ImageByTag {
                service: service.clone(),
                image: image.clone(),
            },
            Problem::ImagePlatform {
                service: service.clone(),
                image: image.clone(),
                found: vec![text("linux/arm64")],
            },
            Problem::ImageMissing {
                service: service.clone(),
                image: image.clone(),
            },
            Problem::ImageUnchecked {
                service: service.clone(),
                image: image.clone(),
                reason: text("timeout"),
            },
            Problem::ImageElsewhere {
                service,
                image,
                repository: text("shop/orders"),
                url: text("http://127.0.0.1:4566"),
            },
            Problem::NoWorkspace { folder: "/shop".into() },
            Problem::NoCargo {
                reason: text("not found"),
            },
            Problem::CargoMetadata {
                folder: "/shop".into(),
                message: text("error: invalid type"),
            },
            Problem::NoBinary {
                service: text("web"),
                package: text("web"),
                folder: "/shop".into(),
                known: vec![text("wbe")],
            },
            Problem::NoLockFile { folder: "/shop".into() },
        ];
        let messages = problems.map(|problem| format!("{problem}\n    hint: {}", problem.hint()));
        insta::assert_snapshot!(messages.join("\n"));
    }
}
