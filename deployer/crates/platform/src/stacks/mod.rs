//! The platform's stacks, derived from the manifest. Pure, no I/O.

pub mod links;
pub mod plan;

mod updates;

mod alarms;
mod dashboard;
mod data;
mod kms;
mod messaging;
mod network;
mod platform;
mod registry;
mod service;

mod iam;
mod inputs;

use serde_json::Value;

use crate::manifest::{Certificate, Manifest};

pub use links::{HTTPS, paths, public_ports};
pub use plan::{Image, Ingress, Parameter, Plan, Source, Stack, ZoneNeeds};
pub use registry::DEPLOYED_TAG;
pub use updates::changes;

/// Returns everything that one `up` applies.
pub fn plan(manifest: &Manifest) -> Plan {
    let mut stacks = Vec::new();
    stacks.extend(kms::stack(manifest));
    stacks.extend(alarms::stack(manifest));
    stacks.push(network::stack(manifest));
    stacks.extend(registry::stack(manifest));
    stacks.extend(data::stack(manifest));
    stacks.extend(messaging::stack(manifest));
    stacks.push(platform::stack(manifest));
    stacks.extend(
        links::start_order(manifest)
            .into_iter()
            .map(|one| service::stack(manifest, one)),
    );
    stacks.extend(dashboard::stack(manifest));
    if let Some(boundary) = &manifest.account.permissions_boundary {
        for stack in &mut stacks {
            bound(&mut stack.template, boundary);
        }
    }
    let built = manifest.services.iter().filter(|service| service.image.is_none());
    let images = built.map(|service| Image {
        service: service.name.clone(),
        package: service.package.clone(),
        workspace: manifest.workspace.clone(),
        ports: service.ports.iter().map(|port| port.number).collect(),
        architecture: service.architecture,
        ca_bundle: manifest.ca_bundle.clone(),
    });
    Plan {
        project: manifest.project.clone(),
        environment: manifest.environment.clone(),
        protected: manifest.protected,
        account: manifest.account.clone(),
        images: images.collect(),
        ingress: Ingress {
            stack: name_of(manifest, "platform"),
            port: manifest.ingress.port,
            https: manifest.ingress.certificate.is_some(),
            host: manifest.ingress.host.clone(),
            has_record: matches!(manifest.ingress.certificate, Some(Certificate::InZone(_))),
            readiness_path: manifest.ingress.readiness_path.clone(),
            curl: manifest.ingress.curl.clone(),
        },
        stacks,
    }
}

/// Sets the permissions boundary of every role.
fn bound(template: &mut Value, boundary: &str) {
    let resources = template["Resources"].as_object_mut();
    for resource in resources.into_iter().flat_map(|all| all.values_mut()) {
        if resource["Type"] == "AWS::IAM::Role" {
            resource["Properties"]["PermissionsBoundary"] = boundary.into();
        }
    }
}

/// Returns `<project>-<env>-<stack>`.
fn name_of(manifest: &Manifest, short_name: &str) -> String {
    format!("{}-{short_name}", manifest.prefix())
}

/// Returns a parameter whose value is an output of another stack.
fn from_output(manifest: &Manifest, name: &str, stack: &str, output: &str) -> Parameter {
    let source = Source::Output {
        stack: name_of(manifest, stack),
        output: output.to_owned(),
    };
    Parameter {
        name: name.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
