//! Checks before a deployment, which would otherwise fail after some time.

pub mod authorities;
mod broker_storage;
mod certificate;
mod changes;
pub mod crates;
pub mod existing_network;
mod hosted_zone;
mod images;
mod ports;
mod problem;
mod programs;
mod quotas;
mod secrets;
pub mod service_linked_roles;
mod session_expiry;
mod traffic;
mod zones;

use std::collections::BTreeMap;
use std::fmt;

use aws::endpoint::Support;
use aws::{Capability, Endpoint, account, cloudformation, ecr, ecs, kafka, logs};
use futures::future::try_join_all;
use platform::manifest::{Certificate, KafkaSecurity, Manifest};
use platform::stacks::{Plan, Stack};
use serde_json::Value;

use crate::context::Session;

pub use problem::{NamedResource, Problem};

/// The result of a check that found a problem.
#[derive(Debug, Clone, PartialEq)]
pub struct PreflightFinding {
    pub problem: Problem,
    /// True if the deployment cannot succeed; otherwise it is a warning.
    pub fatal: bool,
}

impl fmt::Display for PreflightFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem, self.problem.hint())
    }
}

/// A deployment that cannot succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Request(#[from] aws::Error),
    #[error("nothing was changed: {}", .0.iter().map(|finding| finding.problem.to_string()).collect::<Vec<_>>().join("; "))]
    Findings(Vec<PreflightFinding>),
}

type Findings = Result<Vec<PreflightFinding>, aws::Error>;

pub fn fatal(problem: impl Into<Problem>) -> PreflightFinding {
    PreflightFinding {
        problem: problem.into(),
        fatal: true,
    }
}

fn warning(problem: impl Into<Problem>) -> PreflightFinding {
    PreflightFinding {
        problem: problem.into(),
        fatal: false,
    }
}

/// Runs all checks and shows the warnings; changes nothing.
///
/// # Errors
/// A finding is fatal, or the credentials are not valid.
pub async fn preflight(
    session: &Session,
    aws: &aws::Session,
    manifest: &Manifest,
    plan: &Plan,
    existing: &BTreeMap<String, cloudformation::Stack>,
    templates: &BTreeMap<String, Value>,
) -> Result<(), Error> {
    // Expired credentials have their own error and exit code.
    let new: Vec<&Stack> = plan
        .stacks
        .iter()
        .filter(|stack| {
            existing
                .get(&stack.name)
                .is_none_or(cloudformation::Stack::is_failed_create)
        })
        .collect();
    // The resources of a failed rollback still belong to their stack, and are deleted with it.
    let free: Vec<&Stack> = new
        .iter()
        .filter(|stack| {
            existing
                .get(&stack.name)
                .is_none_or(|left| !left.status.ends_with("_FAILED"))
        })
        .copied()
        .collect();
    let (identity, zones, network, quotas, names, clusters, storage, images, crates, certificate, secrets, traffic) = tokio::join!(
        account::identity(aws),
        zones::check(aws, &new),
        existing_network::check(aws, manifest, plan, existing, &new),
        quotas(session, aws, plan, &new),
        names(aws, &free),
        clusters(aws, &free),
        broker_storage::check(aws, plan, templates),
        images::check(aws, manifest),
        crates::check(manifest, true),
        certificate(session, aws, manifest),
        secrets::check(aws, manifest),
        traffic::check(aws, plan, templates),
    );
    identity?;
    let mut findings = settings(manifest, aws.endpoint(), session.is_local());
    findings.extend(images);
    let region = (!session.is_local()).then(|| aws.region());
    findings.extend(authorities::check(manifest, region).err().map(fatal));
    findings.extend(ports::check(session, aws, manifest, plan, &new));
    findings.extend(programs::check(session, aws, &new));
    findings.extend(session_expiry::check(session, aws, plan, templates));
    findings.extend(crates);
    findings.extend(changes::check(plan, templates));
    for found in [
        zones,
        network,
        quotas,
        names,
        clusters,
        storage,
        certificate,
        secrets,
        traffic,
    ] {
        match found {
            Ok(found) => findings.extend(found),
            // Without the permission, or on an endpoint without the operation, the check is skipped.
            Err(error) => session.ui.warn(format!("a preflight check was skipped: {error}")),
        }
    }
    reject_fatal(session, findings)
}

/// Shows the warnings.
///
/// # Errors
/// A finding is fatal.
pub fn reject_fatal(session: &Session, findings: Vec<PreflightFinding>) -> Result<(), Error> {
    let (fatal, warnings): (Vec<_>, Vec<_>) = findings.into_iter().partition(|finding| finding.fatal);
    for warning in warnings {
        session.ui.warn(warning.to_string());
    }
    if fatal.is_empty() {
        Ok(())
    } else {
        Err(Error::Findings(fatal))
    }
}

/// Checks the certificate of the load balancer, or the hosted zone of the one that is requested. Only on AWS: local endpoints have
/// neither.
///
/// # Errors
/// ACM or Route 53 rejects the request.
pub async fn certificate(session: &Session, aws: &aws::Session, manifest: &Manifest) -> Findings {
    match &manifest.ingress.certificate {
        Some(Certificate::Existing(arn)) if !session.is_local() && is_of_acm(arn) => certificate::check(aws, arn).await,
        Some(Certificate::InZone(zone)) if !session.is_local() => {
            let host = manifest.ingress.host.as_deref().unwrap_or_default();
            hosted_zone::check(aws, zone, host).await
        }
        _ => Ok(Vec::new()),
    }
}

fn is_of_acm(arn: &str) -> bool {
    arn.starts_with("arn:") && arn.contains(":acm:")
}

/// Checks the settings of the manifest.
fn settings(manifest: &Manifest, endpoint: &Endpoint, local: bool) -> Vec<PreflightFinding> {
    let mut findings = Vec::new();
    let ingress = &manifest.ingress;
    if manifest.protected && ingress.certificate.is_none() && ingress.plaintext.is_none() && !local {
        findings.push(fatal(Problem::PlainHttp {
            environment: manifest.prefix(),
            port: manifest.ingress.port,
        }));
    }
    // Without the name, `up` cannot test over HTTPS whether the system is reachable.
    if manifest.ingress.certificate.is_some() && manifest.ingress.host.is_none() && !local {
        findings.push(fatal(Problem::CertificateWithoutHost));
    }
    if manifest.demo_data && !local {
        findings.push(fatal(Problem::DemoData {
            environment: manifest.environment.clone(),
        }));
    }
    // Brokers without IAM would reject the services' credentials, and the services would retry indefinitely.
    if let Some(kafka) = &manifest.kafka
        && kafka.security == KafkaSecurity::MskIam
        && endpoint.support(Capability::BrokersWithIam) != Support::Yes
    {
        findings.push(fatal(Problem::BrokersWithoutIam {
            environment: manifest.prefix(),
            endpoint: endpoint.to_string(),
        }));
    }
    if let Some(Certificate::Existing(arn)) = &manifest.ingress.certificate
        && !is_of_acm(arn)
    {
        findings.push(fatal(Problem::NotACertificateArn { arn: arn.clone() }));
    }
    findings
}

/// Checks the account's quotas, on AWS only: an imitation has none.
async fn quotas(session: &Session, aws: &aws::Session, plan: &Plan, new: &[&Stack]) -> Findings {
    if session.is_local() {
        return Ok(Vec::new());
    }
    quotas::check(aws, plan, new).await
}

/// Finds names of new resources that other resources have.
async fn names(aws: &aws::Session, new: &[&Stack]) -> Findings {
    let groups = named(new, "AWS::Logs::LogGroup", "LogGroupName");
    let repositories = named(new, "AWS::ECR::Repository", "RepositoryName");
    let groups = try_join_all(groups.iter().map(|name| log_group(aws, name)));
    let repositories = try_join_all(repositories.iter().map(|name| repository(aws, name)));
    let (groups, repositories) = tokio::join!(groups, repositories);
    Ok(groups?.into_iter().chain(repositories?).flatten().collect())
}

async fn log_group(aws: &aws::Session, name: &str) -> aws::Result<Option<PreflightFinding>> {
    let taken = logs::groups(aws, name).await?.iter().any(|group| group.name == name);
    Ok(taken.then(|| name_taken(NamedResource::LogGroup, name)))
}

fn name_taken(resource: NamedResource, name: &str) -> PreflightFinding {
    fatal(Problem::NameTaken {
        resource,
        name: name.to_owned(),
    })
}

async fn repository(aws: &aws::Session, name: &str) -> aws::Result<Option<PreflightFinding>> {
    let taken = ecr::repository_exists(aws, name).await?;
    Ok(taken.then(|| name_taken(NamedResource::Repository, name)))
}

/// Finds other clusters with the names of new ones, which are unique in an account and region.
async fn clusters(aws: &aws::Session, new: &[&Stack]) -> Findings {
    let mut findings = Vec::new();
    for name in named(new, "AWS::MSK::Cluster", "ClusterName") {
        if !kafka::clusters(aws, &name).await?.is_empty() {
            findings.push(name_taken(NamedResource::MskCluster, &name));
        }
    }
    let names = named(new, "AWS::ECS::Cluster", "ClusterName");
    if !names.is_empty() {
        let active = ecs::active_clusters(aws, names).await?;
        findings.extend(active.iter().map(|name| name_taken(NamedResource::EcsCluster, name)));
    }
    Ok(findings)
}

fn resources<'a>(stacks: &'a [&Stack], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let all = stacks
        .iter()
        .filter_map(|stack| stack.template["Resources"].as_object());
    all.flat_map(|resources| resources.values())
        .filter(move |resource| resource["Type"] == kind)
}

/// Returns the literal names of the resources of a type. The value of an intrinsic function is not known before the deployment.
fn named(stacks: &[&Stack], kind: &str, property: &str) -> Vec<String> {
    resources(stacks, kind)
        .filter_map(|found| found["Properties"][property].as_str())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::command::testing::manifest;
    use aws::EndpointKind;

    fn embedded() -> Endpoint {
        Endpoint::from_health(&json!({"edition": "embedded"}), "http://127.0.0.1:4566")
    }

    fn plain_http() -> PreflightFinding {
        fatal(Problem::PlainHttp {
            environment: "shop-prod".into(),
            port: 80,
        })
    }

    #[test]
    fn production_without_a_certificate_is_rejected_on_aws_without_a_reason() {
        let mut manifest = manifest("prod");
        assert_eq!(settings(&manifest, &Endpoint::aws(), false), [plain_http()]);
        assert_eq!(settings(&manifest, &embedded(), true), []);
        manifest.ingress.plaintext = Some("TLS ends at the CDN".into());
        assert_eq!(settings(&manifest, &Endpoint::aws(), false), []);
        manifest.ingress.plaintext = None;
        manifest.ingress.certificate = Some(Certificate::Existing("my-certificate".into()));
        let arn = "my-certificate".to_owned();
        let problems = [
            fatal(Problem::CertificateWithoutHost),
            fatal(Problem::NotACertificateArn { arn }),
        ];
        assert_eq!(settings(&manifest, &Endpoint::aws(), false), problems);
    }

    #[test]
    fn demo_data_is_rejected_on_aws() {
        let mut manifest = manifest("dev");
        let environment = "dev".to_owned();
        let demo_data = fatal(Problem::DemoData { environment });
        assert_eq!(settings(&manifest, &Endpoint::aws(), false), [demo_data]);
        assert_eq!(settings(&manifest, &Endpoint::aws(), true), []);
        manifest.demo_data = false;
        assert_eq!(settings(&manifest, &Endpoint::aws(), false), []);
    }

    #[test]
    fn iam_for_brokers_is_rejected_where_it_is_not_supported() {
        let mut manifest = manifest("prod");
        let without_iam = |manifest: &Manifest, endpoint: &Endpoint| {
            let findings = settings(manifest, endpoint, endpoint.kind != EndpointKind::Aws);
            let mut fatal = findings.into_iter().filter(|finding| finding.fatal);
            fatal.any(|finding| matches!(finding.problem, Problem::BrokersWithoutIam { .. }))
        };
        for product in ["ministack", "moto", "localstack", "unknown"] {
            let health = json!({"product": product, "edition": if product == "localstack" { "pro" } else { "" }});
            let endpoint = Endpoint::from_health(&health, "http://127.0.0.1:4566");
            assert!(without_iam(&manifest, &endpoint), "{product}");
        }
        for supports in [Endpoint::aws(), embedded()] {
            assert!(!without_iam(&manifest, &supports), "{supports}");
        }
        manifest.kafka.as_mut().expect("kafka").security = KafkaSecurity::Plaintext;
        let ministack = Endpoint::from_health(&json!({"product": "ministack"}), "http://127.0.0.1:4566");
        assert!(!without_iam(&manifest, &ministack));
    }
}
