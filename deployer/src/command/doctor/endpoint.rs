//! The checks of the local target: the endpoint, its ports, and the programs that the embedded one runs.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};

use aws::endpoint::Probe;
use aws::{Endpoint, EndpointKind};
use platform::stacks::Plan;
use serde_json::Value;

use super::check::Check;
use super::clock_skew;
use super::machine::on_path;
use crate::context::Session;
use crate::embedded::{self, listener};
use crate::error::Result;

/// The AWS services that a deployment needs, each with the names that health documents use.
const SERVICES: [&[&str]; 11] = [
    &["cloudformation"],
    &["ec2"],
    &["ecr"],
    &["ecs"],
    &["elbv2", "elasticloadbalancing", "elb"],
    &["iam"],
    &["kafka", "msk"],
    &["logs"],
    &["rds"],
    &["secretsmanager"],
    &["servicediscovery"],
];

pub async fn checks(session: &Session) -> Result<Vec<Check>> {
    let probe = session.probe().await?;
    let url = session.endpoint_url().unwrap_or_default();
    let mut checks = vec![endpoint(session, &probe, &url)];
    if let Probe::Endpoint(health) = &probe {
        checks.extend(gaps(health, &url));
        checks.extend(clock_skew::check(&format!("{url}/_localstack/health")).await);
    }
    let embedded = probe.is_embedded() || matches!(probe, Probe::Nothing(_)) && session.common.endpoint_url.is_none();
    if embedded {
        checks.push(ingress_port(session));
        checks.push(addresses(session));
        checks.push(namespaces());
        let plan = session.plan().ok();
        let uses = |kind: &str| plan.as_ref().is_none_or(|plan| has(plan, kind));
        if uses("AWS::RDS::DBInstance") {
            checks.push(postgresql());
        }
        if uses("AWS::MSK::Cluster") {
            checks.push(kafka(session));
        }
    }
    Ok(checks)
}

fn has(plan: &Plan, kind: &str) -> bool {
    let mut resources = plan
        .stacks
        .iter()
        .filter_map(|stack| stack.template["Resources"].as_object())
        .flat_map(|resources| resources.values());
    resources.any(|resource| resource["Type"] == kind)
}

fn endpoint(session: &Session, probe: &Probe, url: &str) -> Check {
    const NAME: &str = "endpoint";
    match probe {
        Probe::Nothing(reason) if session.common.endpoint_url.is_none() => {
            Check::ok(NAME, format!("{reason}; `up` starts the embedded endpoint"))
        }
        Probe::Nothing(reason) => Check::fail(
            NAME,
            format!("{url}: {reason}"),
            "start it, or leave --endpoint-url out",
        ),
        Probe::Other(found) => {
            let number = url::Url::parse(url).ok().and_then(|url| url.port_or_known_default());
            let who = number.and_then(listener::listener);
            let who = who
                .map(|who| format!(" (pid {}, {})", who.pid, who.name))
                .unwrap_or_default();
            Check::fail(
                NAME,
                format!("{url} is not an AWS endpoint{who}: {found}"),
                "stop that program, or choose another port with --port",
            )
        }
        Probe::Endpoint(health) => identified(&Endpoint::from_health(health, url)),
    }
}

fn identified(endpoint: &Endpoint) -> Check {
    let found = format!("{endpoint}, at {}", endpoint.url);
    let (own, version) = (env!("CARGO_PKG_VERSION"), endpoint.version.as_deref());
    if endpoint.kind == EndpointKind::Embedded && version != Some(own) {
        let fix = "`deployer endpoint stop`, then `deployer endpoint start`; its state is kept";
        return Check::warn("endpoint", format!("{found}; deployer is {own}"), fix);
    }
    if !endpoint.is_foreign() {
        return Check::ok("endpoint", found);
    }
    let lacks = |names: &&&[&str]| !names.iter().any(|name| endpoint.lists(name).unwrap_or(true));
    let missing: Vec<&str> = SERVICES.iter().filter(lacks).map(|names| names[0]).collect();
    if missing.is_empty() {
        return Check::ok("endpoint", found);
    }
    let fix = "use an edition with these services, or the embedded endpoint (stop this one first)";
    Check::warn("endpoint", format!("{found}: no {}", missing.join(", ")), fix)
}

/// Returns the capabilities that an endpoint of another project lacks, each with deployer's fallback.
fn gaps(health: &Value, url: &str) -> Vec<Check> {
    let endpoint = Endpoint::from_health(health, url);
    if !endpoint.is_foreign() {
        return Vec::new();
    }
    let gaps = endpoint.gaps().map(|(support, row)| {
        let found = format!("{}: {support}", row.description);
        Check::warn("capability", found, format!("none needed: {}", row.fallback))
    });
    gaps.collect()
}

/// Checks the port of the load balancer.
fn ingress_port(session: &Session) -> Check {
    let Ok(plan) = session.plan() else {
        return Check::ok("ingress port", "unknown until the manifest is valid");
    };
    let number = plan.ingress.port;
    match listener::listener(number) {
        Some(who) if Some(who.pid) == embedded::pid(&session.state_dir()) => Check::ok(
            "ingress port",
            format!("{number}, the embedded endpoint's load balancer"),
        ),
        Some(who) => Check::fail(
            "ingress port",
            format!("{number} is taken by pid {} ({})", who.pid, who.name),
            "stop that program, or set another `port` under [ingress] in deployer.toml",
        ),
        None => match TcpListener::bind((Ipv4Addr::LOCALHOST, number)) {
            Ok(_) => Check::ok("ingress port", format!("{number} is free")),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Check::warn(
                "ingress port",
                format!("{number} requires root"),
                "set a `port` above 1023 under [ingress] in deployer.toml, or run the endpoint as root",
            ),
            Err(error) => Check::warn(
                "ingress port",
                format!("{number}: {error}"),
                format!("`ss -ltnp 'sport = :{number}'` as root shows the program that uses it"),
            ),
        },
    }
}

/// Checks the loopback addresses of tasks. On Linux every address of 127.0.0.0/8 can be used.
fn addresses(session: &Session) -> Check {
    let address = Ipv4Addr::new(127, session.common.loopback_octet(), 0, 1);
    match TcpListener::bind((address, 0)) {
        Ok(_) => Check::ok("loopback", format!("{address} can be used")),
        Err(error) => Check::fail(
            "loopback",
            format!("{address}: {error}"),
            "on Linux every address of 127.0.0.0/8 works; on macOS add them with `ifconfig lo0 alias ADDRESS`",
        ),
    }
}

fn namespaces() -> Check {
    const NAME: &str = "namespaces";
    if !on_path("unshare") {
        return Check::warn(
            NAME,
            "unknown: `unshare` is not installed",
            "apt-get install util-linux",
        );
    }
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--pid", "--ipc", "--mount", "--fork", "true"]);
    let output = command.stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Check::ok(NAME, "permitted: tasks run in their images"),
        Ok(output) => {
            let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Check::fail(
                NAME,
                format!("not permitted ({reason})"),
                "`sysctl -w kernel.unprivileged_userns_clone=1` (Debian), `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu), or run the endpoint as root",
            )
        }
        Err(error) => Check::warn(NAME, format!("unknown: {error}"), "try `unshare --user true`"),
    }
}

fn postgresql() -> Check {
    match embedded::postgres_version() {
        Ok(version) => Check::ok("PostgreSQL", format!("version {version}")),
        Err(error) => Check::fail(
            "PostgreSQL",
            format!("{error:#}"),
            "apt-get install postgresql (scripts/setup does it)",
        ),
    }
}

fn kafka(session: &Session) -> Check {
    match embedded::broker(session.common.broker.as_deref()) {
        Ok("kafka") => Check::ok("Kafka broker", "Apache Kafka, with Java"),
        Ok(name) => Check::ok("Kafka broker", name),
        Err(error) => Check::fail(
            "Kafka broker",
            format!("{error:#}"),
            "run scripts/install-broker; Apache Kafka needs Java (`apt-get install openjdk-17-jre-headless`)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::check::Level;
    use super::*;

    #[test]
    fn only_the_programs_of_the_manifest_are_needed() {
        let mut manifest = crate::command::testing::manifest("dev");
        let uses =
            |manifest: &platform::manifest::Manifest| has(&platform::stacks::plan(manifest), "AWS::MSK::Cluster");
        assert!(uses(&manifest));
        manifest.kafka = None;
        manifest.topics.clear();
        for service in &mut manifest.services {
            service.publishes.clear();
            service.consumes.clear();
        }
        assert!(!uses(&manifest));
    }

    #[test]
    fn missing_services_of_an_endpoint_are_a_warning() {
        let services = json!({"cloudformation": "available", "ecs": "disabled", "msk": "running"});
        let health = json!({"edition": "community", "version": "4.9", "services": services});
        let check = identified(&Endpoint::from_health(&health, "http://127.0.0.1:4566"));
        assert_eq!(check.level, Level::Warn);
        insta::assert_snapshot!(check.found, @"LocalStack community 4.9, at http://127.0.0.1:4566: no ec2, ecr, ecs, elbv2, iam, logs, rds, secretsmanager, servicediscovery");
    }

    #[test]
    fn an_embedded_endpoint_of_another_version_is_a_warning() {
        let of = |version: &str| {
            identified(&Endpoint::from_health(
                &json!({"edition": "embedded", "version": version}),
                "u",
            ))
            .level
        };
        assert_eq!(of(env!("CARGO_PKG_VERSION")), Level::Ok);
        assert_eq!(of("0.0.1"), Level::Warn);
    }
}
