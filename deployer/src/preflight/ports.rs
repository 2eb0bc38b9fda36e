//! Ports of this machine that the embedded endpoint's load balancer will listen on.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

use super::{Finding, fatal};
use crate::manifest::Manifest;
use crate::stacks::{Plan, Stack, public_ports};
use crate::target::capabilities::Kind;
use crate::target::{Aws, Session, embedded, port};

/// Only where this user's own endpoint is about to open them: who else may do what is not known from here.
pub fn look(session: &Session, aws: &Aws, manifest: &Manifest, plan: &Plan, new: &[&Stack]) -> Vec<Finding> {
    let opens = new.iter().any(|stack| stack.name == plan.ingress.stack);
    if !opens || aws.endpoint.kind != Kind::Embedded || embedded::pid(&session.state_dir()).is_none() {
        return Vec::new();
    }
    let ports = public_ports(manifest);
    ports
        .into_iter()
        .filter_map(|number| closed(number, manifest))
        .collect()
}

fn closed(number: u16, manifest: &Manifest) -> Option<Finding> {
    let error = TcpListener::bind((Ipv4Addr::LOCALHOST, number)).err()?;
    let environment = &manifest.environment;
    let elsewhere = format!("set another ingress.port for {environment} in deployer.toml");
    Some(match error.kind() {
        ErrorKind::PermissionDenied => fatal(
            format!(
                "the load balancer of {environment} listens on port {number}, which is for root alone on this machine"
            ),
            format!("allow it (`sudo sysctl -w net.ipv4.ip_unprivileged_port_start={number}`), or {elsewhere}"),
        ),
        _ => {
            let who = port::listener(number)
                .map_or_else(|| error.to_string(), |who| format!("pid {}, {}", who.pid, who.name));
            fatal(
                format!("the load balancer of {environment} listens on port {number}, which is taken ({who})"),
                format!("stop what listens there, or {elsewhere}"),
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_taken_port_is_told_with_who_has_it_and_a_free_one_is_not() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deployer.toml");
        let manifest = Manifest::load(&path, "prod").expect("the manifest");
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let number = socket.local_addr().expect("its address").port();
        let told = closed(number, &manifest).expect("a finding");
        assert!(told.fatal && told.what.contains(&format!("port {number}")), "{told:?}");
        assert!(told.what.contains(&format!("pid {}", std::process::id())), "{told:?}");
        drop(socket);
        // A program that another test starts at this moment has it, too, until it runs.
        let free = (0..100).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            closed(number, &manifest).is_none()
        });
        assert!(free, "{number} is taken though nobody has it");
    }
}
