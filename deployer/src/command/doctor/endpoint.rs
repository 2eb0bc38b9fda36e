//! What the local target needs: the endpoint, its port and the door's, and what the embedded one runs things with.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};

use embedded_endpoint::runtime::{broker, postgres};
use serde_json::Value;

use super::check::Check;
use super::clock;
use super::machine::on_path;
use crate::error::Result;
use crate::target::Session;
use crate::target::capabilities::{Identity, Kind};
use crate::target::embedded::{self, Answer};
use crate::target::port;

/// The services that a deployment asks for, as health documents name them: one of these names each.
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
    let answer = embedded::probe(session).await?;
    let url = session.endpoint_url().unwrap_or_default();
    let mut checks = vec![endpoint(session, &answer, &url)];
    if let Answer::Endpoint(health) = &answer {
        checks.extend(gaps(health, &url));
        checks.extend(clock::check(&format!("{url}/_localstack/health")).await);
    }
    let embedded =
        answer.is_embedded() || matches!(answer, Answer::Nothing(_)) && session.common.endpoint_url.is_none();
    if embedded {
        checks.push(door(session));
        checks.push(addresses(session));
        checks.push(namespaces());
        checks.push(postgresql());
        checks.push(kafka(session));
    }
    Ok(checks)
}

fn endpoint(session: &Session, answer: &Answer, url: &str) -> Check {
    const NAME: &str = "endpoint";
    match answer {
        Answer::Nothing(reason) if session.common.endpoint_url.is_none() => {
            Check::ok(NAME, format!("{reason}; `up` starts the embedded endpoint"))
        }
        Answer::Nothing(reason) => Check::fail(
            NAME,
            format!("{url}: {reason}"),
            "start it, or leave --endpoint-url away",
        ),
        Answer::Stranger(seen) => {
            let number = url::Url::parse(url).ok().and_then(|url| url.port_or_known_default());
            let who = number.and_then(port::listener);
            let who = who
                .map(|who| format!(" (pid {}, {})", who.pid, who.name))
                .unwrap_or_default();
            Check::fail(
                NAME,
                format!("{url} is not an AWS endpoint{who}: {seen}"),
                "stop what listens there, or choose another port with --port",
            )
        }
        Answer::Endpoint(health) => known(&Identity::of(health, url)),
    }
}

fn known(identity: &Identity) -> Check {
    let found = format!("{identity}, at {}", identity.url);
    let (own, version) = (env!("CARGO_PKG_VERSION"), identity.version.as_deref());
    if identity.kind == Kind::Embedded && version != Some(own) {
        let fix = "`deployer endpoint stop`, then `deployer endpoint start`; its state is kept";
        return Check::warn("endpoint", format!("{found}, where this is {own}"), fix);
    }
    if !identity.is_foreign() {
        return Check::ok("endpoint", found);
    }
    let lacks = |names: &&&[&str]| !names.iter().any(|name| identity.lists(name).unwrap_or(true));
    let missing: Vec<&str> = SERVICES.iter().filter(lacks).map(|names| names[0]).collect();
    if missing.is_empty() {
        return Check::ok("endpoint", found);
    }
    let fix = "use an edition that has them, or the embedded endpoint: nothing else may listen on its port";
    Check::warn(
        "endpoint",
        format!("{found}, does not list {}", missing.join(", ")),
        fix,
    )
}

/// What an endpoint that is neither AWS nor ours does not do, and what deployer does instead.
fn gaps(health: &Value, url: &str) -> Vec<Check> {
    let identity = Identity::of(health, url);
    if !identity.is_foreign() {
        return Vec::new();
    }
    let told = identity.gaps().map(|(standing, row)| {
        let found = format!("{}: {standing}", row.what);
        Check::warn("capability", found, format!("none needed: {}", row.instead))
    });
    told.collect()
}

/// The port that the load balancer listens on.
fn door(session: &Session) -> Check {
    let Ok(plan) = session.plan() else {
        return Check::ok("ingress port", "known when the manifest is right");
    };
    let number = plan.ingress.port;
    match port::listener(number) {
        Some(who) if Some(who.pid) == embedded::pid(&session.state_dir()) => Check::ok(
            "ingress port",
            format!("{number}, the embedded endpoint's load balancer"),
        ),
        Some(who) => Check::fail(
            "ingress port",
            format!("{number} is taken by pid {} ({})", who.pid, who.name),
            "stop it, or set another `port` under [ingress] in deployer.toml",
        ),
        None => match TcpListener::bind((Ipv4Addr::LOCALHOST, number)) {
            Ok(_) => Check::ok("ingress port", format!("{number} is free")),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Check::warn(
                "ingress port",
                format!("{number} is for root alone"),
                "set a `port` above 1023 under [ingress] in deployer.toml, or run the endpoint as root",
            ),
            Err(error) => Check::warn(
                "ingress port",
                format!("{number}: {error}"),
                format!("`ss -ltnp 'sport = :{number}'` as root names who has it"),
            ),
        },
    }
}

/// Tasks have loopback addresses of their own; Linux has all of 127.0.0.0/8.
fn addresses(session: &Session) -> Check {
    let address = Ipv4Addr::new(127, session.common.slice(), 0, 1);
    match TcpListener::bind((address, 0)) {
        Ok(_) => Check::ok("loopback", format!("{address} and its neighbours can be listened on")),
        Err(error) => Check::fail(
            "loopback",
            format!("{address}: {error}"),
            "Linux has all of 127.0.0.0/8; elsewhere add the addresses (macOS: `ifconfig lo0 alias ADDRESS`) or use a Linux machine",
        ),
    }
}

fn namespaces() -> Check {
    const NAME: &str = "namespaces";
    if !on_path("unshare") {
        return Check::warn(
            NAME,
            "cannot tell: `unshare` is not installed",
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
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Check::fail(
                NAME,
                format!("not permitted ({said})"),
                "`sysctl -w kernel.unprivileged_userns_clone=1` (Debian), `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu), or run the endpoint as root",
            )
        }
        Err(error) => Check::warn(
            NAME,
            format!("cannot tell: {error}"),
            "run `unshare --user true` by hand",
        ),
    }
}

fn postgresql() -> Check {
    match postgres::Installation::find() {
        Ok(found) => Check::ok("PostgreSQL", format!("version {}", found.version)),
        Err(error) => Check::fail(
            "PostgreSQL",
            format!("{error:#}"),
            "apt-get install postgresql (scripts/setup does it)",
        ),
    }
}

fn kafka(session: &Session) -> Check {
    match broker::choose(session.common.broker.as_deref()) {
        Ok(found) if found.name() == "kafka" => Check::ok("Kafka broker", "Apache Kafka, with Java"),
        Ok(found) => Check::ok("Kafka broker", found.name()),
        Err(error) => Check::fail(
            "Kafka broker",
            format!("{error:#}"),
            "scripts/install-broker installs one; Apache Kafka needs Java, `apt-get install openjdk-17-jre-headless`",
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::check::Level;
    use super::*;

    #[test]
    fn an_endpoint_that_lacks_services_is_named_with_what_it_lacks() {
        let services = json!({"cloudformation": "available", "ecs": "disabled", "msk": "running"});
        let health = json!({"edition": "community", "version": "4.9", "services": services});
        let check = known(&Identity::of(&health, "http://127.0.0.1:4566"));
        assert_eq!(check.level, Level::Warn);
        assert!(
            check.found.contains("LocalStack community 4.9") && check.found.contains("does not list ec2, ecr, ecs,"),
            "{}",
            check.found
        );
        assert!(!check.found.contains("kafka"), "{}", check.found);
    }

    #[test]
    fn an_embedded_endpoint_of_another_version_is_worth_a_word() {
        let of = |version: &str| known(&Identity::of(&json!({"edition": "embedded", "version": version}), "u")).level;
        assert_eq!(of(env!("CARGO_PKG_VERSION")), Level::Ok);
        assert_eq!(of("0.0.1"), Level::Warn);
    }
}
