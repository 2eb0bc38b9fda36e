//! The check of the ports on which the embedded endpoint's load balancer will listen.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

use aws::EndpointKind;
use platform::manifest::Manifest;
use platform::stacks::{Plan, Stack, public_ports};

use super::{PreflightFinding, Problem, fatal};
use crate::context::Session;
use crate::embedded::{self, listener::listener};

/// Checks the ports that this user's own endpoint is about to open. The permissions of another user's endpoint are unknown.
pub fn check(
    session: &Session,
    aws: &aws::Session,
    manifest: &Manifest,
    plan: &Plan,
    new: &[&Stack],
) -> Vec<PreflightFinding> {
    let opens = new.iter().any(|stack| stack.name == plan.ingress.stack);
    if !opens || aws.endpoint().kind != EndpointKind::Embedded || embedded::pid(&session.state_dir()).is_none() {
        return Vec::new();
    }
    let ports = public_ports(manifest);
    ports
        .into_iter()
        .filter_map(|number| unavailable(number, manifest))
        .collect()
}

fn unavailable(port: u16, manifest: &Manifest) -> Option<PreflightFinding> {
    let error = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).err()?;
    let environment = manifest.environment.clone();
    Some(fatal(if error.kind() == ErrorKind::PermissionDenied {
        Problem::PortNeedsRoot { environment, port }
    } else {
        let listener = listener(port);
        let by = listener.map_or_else(
            || error.to_string(),
            |program| format!("pid {}, {}", program.pid, program.name),
        );
        Problem::PortInUse { environment, port, by }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::manifest;

    #[test]
    fn a_port_in_use_is_reported_with_its_program_and_a_free_one_is_not() {
        let manifest = manifest("prod");
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let number = socket.local_addr().expect("its address").port();
        let finding = unavailable(number, &manifest).expect("a finding");
        let pid = format!("pid {}, ", std::process::id());
        assert!(
            matches!(&finding.problem, Problem::PortInUse { port, by, .. } if *port == number && by.starts_with(&pid)),
            "{finding:?}"
        );
        drop(socket);
        // A process that another test starts at this moment inherits the socket until it runs its program.
        let free = (0..100).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            unavailable(number, &manifest).is_none()
        });
        assert!(free, "{number} is in use");
    }
}
