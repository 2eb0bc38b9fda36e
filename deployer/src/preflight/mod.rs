//! What would stop a deployment half an hour in, looked at before it begins.

mod certificate;
mod changes;
pub mod crates;
mod images;
mod ports;

use std::collections::BTreeMap;

use aws_sdk_ec2::types::AccountAttributeName;
use futures::future::try_join_all;
use serde::Serialize;
use serde_json::Value;

use crate::cloudformation::Existing;
use crate::error::{Error, Result};
use crate::manifest::{KafkaSecurity, Manifest};
use crate::stacks::{Plan, Stack};
use crate::target::capabilities::matrix::Standing;
use crate::target::capabilities::{Capability, Identity};
use crate::target::{Aws, Session};

/// VPCs that a region takes unless a higher quota was asked for (Amazon VPC quotas).
const VPCS: usize = 5;

/// Something to know before deploying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether the deployment cannot succeed; otherwise it is a warning.
    pub fatal: bool,
    pub what: String,
    pub hint: String,
}

fn fatal(what: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding {
        fatal: true,
        what: what.into(),
        hint: hint.into(),
    }
}

fn warning(what: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding {
        fatal: false,
        what: what.into(),
        hint: hint.into(),
    }
}

/// Looks, says the warnings, and ends the command when something is fatal; nothing has been changed then.
pub async fn preflight(
    session: &Session,
    aws: &Aws,
    manifest: &Manifest,
    plan: &Plan,
    existing: &BTreeMap<String, Existing>,
    templates: &BTreeMap<String, Value>,
) -> Result<()> {
    // Expired credentials are an error of their own, with an exit code of their own.
    let identity = aws.sts.get_caller_identity().send();
    let new: Vec<&Stack> = plan
        .stacks
        .iter()
        .filter(|stack| existing.get(&stack.name).is_none_or(Existing::is_leftover))
        .collect();
    // What a failed rollback has left still belongs to its stack, and goes with it.
    let free: Vec<&Stack> = new
        .iter()
        .filter(|stack| {
            existing
                .get(&stack.name)
                .is_none_or(|left| !left.status.ends_with("_FAILED"))
        })
        .copied()
        .collect();
    let (identity, zones, quotas, names, clusters, images, crates, certificate) = tokio::join!(
        async { identity.await.map_err(Error::from).map(drop) },
        zones(aws, manifest, &new),
        quotas(aws, &new),
        names(aws, &free),
        clusters(aws, &free),
        images::look(aws, manifest),
        crates::look(manifest, true),
        certificate(session, aws, manifest),
    );
    identity?;
    let mut findings = settings(manifest, &aws.endpoint, session.is_local());
    findings.extend(images);
    findings.extend(ports::look(session, aws, manifest, plan, &new));
    findings.extend(crates);
    findings.extend(changes::look(plan, templates));
    for found in [zones, quotas, names, clusters, certificate] {
        match found {
            Ok(found) => findings.extend(found),
            // Who may not look, or an endpoint that does not know the operation, is told so and not stopped.
            Err(error) => session
                .ui
                .warn(format!("a check before deploying was left out: {error}")),
        }
    }
    for finding in findings.iter().filter(|finding| !finding.fatal) {
        session.ui.warn(format!("{}; {}", finding.what, finding.hint));
    }
    let fatal: Vec<Finding> = findings.into_iter().filter(|finding| finding.fatal).collect();
    if fatal.is_empty() {
        Ok(())
    } else {
        Err(Error::Preflight(fatal))
    }
}

/// What keeps the load balancer from its certificate; on AWS alone, since no local endpoint has an authority to ask.
pub async fn certificate(session: &Session, aws: &Aws, manifest: &Manifest) -> Result<Vec<Finding>> {
    match session.is_local() || !is_of_acm(manifest) {
        true => Ok(Vec::new()),
        false => certificate::look(aws, manifest).await,
    }
}

fn is_of_acm(manifest: &Manifest) -> bool {
    let arn = manifest.ingress.certificate.as_deref().unwrap_or_default();
    arn.starts_with("arn:") && arn.contains(":acm:")
}

/// What the manifest alone tells.
fn settings(manifest: &Manifest, endpoint: &Identity, local: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if manifest.protected && manifest.ingress.certificate.is_none() && !local {
        findings.push(warning(
            format!(
                "{} serves plain HTTP on port {}: passwords and patients' data pass in the clear",
                manifest.prefix(),
                manifest.ingress.port
            ),
            "set ingress.certificate to the ARN of an ACM certificate",
        ));
    }
    if manifest.ingress.certificate.is_some() && manifest.ingress.host.is_none() && !local {
        findings.push(fatal(
            "ingress.certificate is for a name, and nothing says for which: `up` could not ask over HTTPS whether it serves",
            "set ingress.host to that name, such as patients.example.org",
        ));
    }
    if manifest.demo_data && !local {
        let environment = &manifest.environment;
        findings.push(fatal(
            format!("{environment} has demo data: an administrator whose password everybody can read"),
            format!("set demo_data = false under [environments.{environment}] to deploy it to AWS"),
        ));
    }
    // Services would wait for ever for brokers that do not know what they are shown.
    if let Some(kafka) = &manifest.kafka
        && kafka.security == KafkaSecurity::MskIam
        && endpoint.standing(Capability::BrokersWithIam) != Standing::Has
    {
        findings.push(fatal(
            format!(
                "kafka.security is \"msk-iam\" in {}, and the brokers of {endpoint} are not known to ask for TLS and IAM",
                manifest.prefix()
            ),
            "deploy it to AWS or the embedded endpoint, or set security = \"plaintext\" under kafka for an environment \
             that runs there",
        ));
    }
    if let Some(arn) = &manifest.ingress.certificate
        && !is_of_acm(manifest)
    {
        findings.push(fatal(
            format!("ingress.certificate is `{arn}`, which is no ARN of a certificate"),
            "`aws acm list-certificates` lists them",
        ));
    }
    findings
}

async fn zones(aws: &Aws, manifest: &Manifest, new: &[&Stack]) -> Result<Vec<Finding>> {
    if count(new, "AWS::EC2::Subnet") == 0 {
        return Ok(Vec::new());
    }
    let answer = aws.ec2.describe_availability_zones().send().await?;
    let (found, wanted) = (
        answer.availability_zones().len(),
        usize::from(manifest.network.availability_zones),
    );
    Ok(if found < wanted {
        vec![fatal(
            format!("the region has {found} availability zones, and network.availability_zones is {wanted}"),
            "lower it, or choose another --region",
        )]
    } else {
        Vec::new()
    })
}

async fn quotas(aws: &Aws, new: &[&Stack]) -> Result<Vec<Finding>> {
    let (vpcs, addresses) = (count(new, "AWS::EC2::VPC"), count(new, "AWS::EC2::EIP"));
    let mut findings = Vec::new();
    if vpcs > 0 {
        let there = aws.ec2.describe_vpcs().send().await?.vpcs().len();
        if there + vpcs > VPCS {
            findings.push(warning(
                format!("the region holds {there} VPCs already, and {VPCS} is what an account may have unless it asked for more"),
                "delete one, or ask for a higher quota (Service Quotas, L-F678F1CE) if this has not been done",
            ));
        }
    }
    if addresses > 0 {
        let there = aws.ec2.describe_addresses().send().await?.addresses().len();
        let asked = aws
            .ec2
            .describe_account_attributes()
            .attribute_names(AccountAttributeName::from("vpc-max-elastic-ips"));
        let answer = asked.send().await?;
        let value = answer
            .account_attributes()
            .first()
            .and_then(|a| a.attribute_values().first());
        let limit: Option<usize> = value.and_then(|value| value.attribute_value()?.parse().ok());
        if let Some(limit) = limit.filter(|limit| there + addresses > *limit) {
            findings.push(fatal(
                format!("{addresses} Elastic IP addresses are needed for NAT, and {there} of the {limit} that the account may have are taken"),
                "release some, set network.nat = \"single\", or ask for a higher quota (Service Quotas, L-0263D0A3)",
            ));
        }
    }
    Ok(findings)
}

/// Names that a new stack wants and that something else has.
async fn names(aws: &Aws, new: &[&Stack]) -> Result<Vec<Finding>> {
    let groups = named(new, "AWS::Logs::LogGroup", "LogGroupName");
    let repositories = named(new, "AWS::ECR::Repository", "RepositoryName");
    let groups = try_join_all(groups.iter().map(|name| log_group(aws, name)));
    let repositories = try_join_all(repositories.iter().map(|name| repository(aws, name)));
    let (groups, repositories) = tokio::join!(groups, repositories);
    Ok(groups?.into_iter().chain(repositories?).flatten().collect())
}

async fn log_group(aws: &Aws, name: &str) -> Result<Option<Finding>> {
    let answer = aws
        .logs
        .describe_log_groups()
        .log_group_name_prefix(name)
        .send()
        .await?;
    let taken = answer
        .log_groups()
        .iter()
        .any(|group| group.log_group_name() == Some(name));
    Ok(taken.then(|| {
        fatal(
            format!("the log group {name} exists and belongs to no stack of this environment"),
            format!("if nobody needs its lines: `aws logs delete-log-group --log-group-name {name}`"),
        )
    }))
}

async fn repository(aws: &Aws, name: &str) -> Result<Option<Finding>> {
    match aws
        .ecr
        .describe_repositories()
        .repository_names(name)
        .send()
        .await
        .map_err(Error::from)
    {
        Ok(answer) if !answer.repositories().is_empty() => Ok(Some(fatal(
            format!("the ECR repository {name} exists and belongs to no stack of this environment"),
            format!("if nobody needs its images: `aws ecr delete-repository --force --repository-name {name}`"),
        ))),
        Err(error) if !error.is_missing() => Err(error),
        _ => Ok(None),
    }
}

/// Clusters of these names that others have: an account and region has one of a name.
async fn clusters(aws: &Aws, new: &[&Stack]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for name in named(new, "AWS::MSK::Cluster", "ClusterName") {
        let answer = aws.kafka.list_clusters_v2().cluster_name_filter(&name).send().await?;
        let same = answer
            .cluster_info_list()
            .iter()
            .find(|one| one.cluster_name() == Some(&name));
        if let Some(taken) = same {
            let state = taken.state().map_or("unknown", |state| state.as_str());
            findings.push(fatal(
                format!("the MSK cluster {name} ({state}) exists and belongs to no stack of this environment"),
                "rename the project, or delete the cluster if nobody needs its topics; one that is being deleted takes minutes to go",
            ));
        }
    }
    let names = named(new, "AWS::ECS::Cluster", "ClusterName");
    if !names.is_empty() {
        let answer = aws.ecs.describe_clusters().set_clusters(Some(names)).send().await?;
        let active = answer.clusters().iter().filter(|one| one.status() == Some("ACTIVE"));
        findings.extend(active.map(|taken| {
            let name = taken.cluster_name().unwrap_or_default();
            fatal(
                format!("the ECS cluster {name} exists and belongs to no stack of this environment"),
                "rename the project, or delete the cluster if nobody runs anything in it",
            )
        }));
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

fn count(stacks: &[&Stack], kind: &str) -> usize {
    resources(stacks, kind).count()
}

/// The literal names of such resources; one that an intrinsic makes is not known before.
fn named(stacks: &[&Stack], kind: &str, property: &str) -> Vec<String> {
    resources(stacks, kind)
        .filter_map(|found| found["Properties"][property].as_str())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::target::capabilities::Kind;

    fn embedded() -> Identity {
        Identity::of(&json!({"edition": "embedded"}), "http://127.0.0.1:4566")
    }

    #[test]
    fn production_without_a_certificate_is_warned_of_on_aws_alone() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deployer.toml");
        let mut manifest = Manifest::load(&path, "prod").expect("the manifest");
        let aws = Identity::aws();
        let told = settings(&manifest, &aws, false);
        assert!(
            told.len() == 1 && !told[0].fatal && told[0].what.contains("plain HTTP on port 80"),
            "{told:?}"
        );
        let local = settings(&manifest, &embedded(), true);
        assert!(
            local.iter().all(|found| !found.what.contains("plain HTTP")),
            "{local:?}"
        );
        manifest.ingress.certificate = Some("my-certificate".into());
        assert!(settings(&manifest, &aws, false)[0].fatal);
    }

    #[test]
    fn demo_data_stays_on_this_machine() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deployer.toml");
        let mut manifest = Manifest::load(&path, "dev").expect("the manifest");
        let aws = Identity::aws();
        let refused = settings(&manifest, &aws, false);
        assert!(
            refused[0].fatal && refused[0].what.contains("demo data") && refused[0].hint.contains("[environments.dev]"),
            "{refused:?}"
        );
        assert_eq!(settings(&manifest, &aws, true), []);
        manifest.demo_data = false;
        assert_eq!(settings(&manifest, &aws, false), []);
    }

    #[test]
    fn iam_for_brokers_is_refused_where_no_broker_asks_for_it_and_the_setting_is_named() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deployer.toml");
        let mut manifest = Manifest::load(&path, "prod").expect("the manifest");
        let fatal = |manifest: &Manifest, endpoint: &Identity| {
            let told = settings(manifest, endpoint, endpoint.kind != Kind::Aws);
            told.into_iter().find(|told| told.fatal)
        };
        for product in ["ministack", "moto", "localstack", "somebody"] {
            let health = json!({"product": product, "edition": if product == "localstack" { "pro" } else { "" }});
            let endpoint = Identity::of(&health, "http://127.0.0.1:4566");
            let refused = fatal(&manifest, &endpoint).expect("a finding");
            assert!(
                refused.what.contains("kafka.security") && refused.hint.contains("plaintext"),
                "{refused:?}"
            );
        }
        for does in [Identity::aws(), embedded()] {
            assert_eq!(fatal(&manifest, &does), None, "{does}");
        }
        manifest.kafka.as_mut().expect("kafka").security = KafkaSecurity::Plaintext;
        let ministack = Identity::of(&json!({"product": "ministack"}), "http://127.0.0.1:4566");
        assert_eq!(fatal(&manifest, &ministack), None);
    }
}
