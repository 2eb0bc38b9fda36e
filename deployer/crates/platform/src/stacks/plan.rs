//! The plan: stacks in order, the origin of their parameters, and the images that they run.

use std::path::PathBuf;

use serde_json::Value;

use crate::manifest::{Account, Architecture, ExistingNetwork, SubnetTier};

/// Path of the CA bundle of Amazon RDS in every image; no system trusts these CAs by default. At this path the
/// embedded endpoint shows the CA of its databases to its tasks.
pub const DATABASE_CA_BUNDLE: &str = "/etc/ssl/certs/rds-global-bundle.pem";

/// Everything that one `up` applies, computed from the manifest alone.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The project's name.
    pub project: String,
    /// The environment's name.
    pub environment: String,
    /// `protected` in deployer.toml: deletion protection for everything that the plan creates.
    pub protected: bool,
    /// The account, the region, and the rights with which it is deployed.
    pub account: Account,
    /// The stacks; each comes after all stacks on which it depends.
    pub stacks: Vec<Stack>,
    /// The images to build.
    pub images: Vec<Image>,
    /// The entry from outside.
    pub ingress: Ingress,
}

impl Plan {
    /// Returns true if the plan has a stack of this full name.
    pub fn has(&self, stack: &str) -> bool {
        self.stacks.iter().any(|planned| planned.name == stack)
    }

    /// Returns the stack of this short name.
    pub fn stack(&self, short_name: &str) -> Option<&Stack> {
        self.stacks.iter().find(|stack| stack.short_name == short_name)
    }

    /// Returns every service: those whose images are built, then those that run an existing image.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        let is_built = |name: &str| self.images.iter().any(|image| image.service == name);
        let is_service = |stack: &&Stack| stack.template["Resources"]["TaskDefinition"].is_object();
        let all = self
            .stacks
            .iter()
            .filter(is_service)
            .map(|stack| stack.short_name.as_str());
        let built = self.images.iter().map(|image| image.service.as_str());
        built.chain(all.filter(move |name| !is_built(name)))
    }
}

/// A CloudFormation stack of the plan.
#[derive(Debug, Clone)]
pub struct Stack {
    /// `<project>-<env>-<stack>`.
    pub name: String,
    /// The last part of the name: `network`, `data`, or a service's name.
    pub short_name: String,
    /// The template; `deployer synth` writes it pretty, CloudFormation receives it minified.
    pub template: Value,
    /// Values of the template's parameters.
    pub parameters: Vec<Parameter>,
    /// Full names of the stacks that must be complete before this one starts.
    pub depends_on: Vec<String>,
}

/// A parameter of a stack, and the origin of its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// The parameter's name in the template.
    pub name: String,
    /// The origin of its value.
    pub source: Source,
}

/// The origin of a parameter's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// An output of another stack, by the stack's full name.
    Output {
        /// The stack's full name.
        stack: String,
        /// The output's name.
        output: String,
    },
    /// The response of MSK's `GetBootstrapBrokers` for the cluster whose ARN is this output: sorted, joined by commas. The former
    /// value stays while all its brokers are in the response.
    BootstrapBrokers {
        /// The full name of the stack with the cluster.
        stack: String,
        /// The output with the cluster's ARN.
        output: String,
        /// Takes the brokers of SASL/IAM.
        iam: bool,
    },
    /// The image of a service as `REPOSITORY_URI@sha256:…`.
    Image {
        /// The service.
        service: String,
        /// The full name of the stack with the repository.
        stack: String,
        /// The output with the repository's URI.
        output: String,
    },
    /// An availability zone of the region: chosen when the stack is created, and never changed afterwards, because another zone
    /// would replace the subnet with everything in it.
    AvailabilityZone {
        /// Its position among the stack's zones, from 0.
        index: usize,
        /// The services that must be available in it.
        needs: ZoneNeeds,
    },
    /// Subnets of an existing VPC, joined by commas: those that the manifest lists, or those with a tag, chosen when the stack is
    /// created and never changed afterwards, because other subnets would move or replace what is in them.
    Subnets {
        /// The resources in them.
        tier: SubnetTier,
        /// The VPC with the subnets of all tiers: those that are chosen are in common zones.
        network: ExistingNetwork,
        /// The services that must be available in their zones.
        needs: ZoneNeeds,
    },
    /// The value itself.
    Literal(String),
}

/// The services that an availability zone must offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneNeeds {
    /// MSK brokers.
    pub kafka: bool,
    /// Instance classes of databases, without duplicates.
    pub database_classes: Vec<String>,
}

/// An image that is built from a package of the workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// The service that runs it.
    pub service: String,
    /// The cargo package; its binary has the same name.
    pub package: String,
    /// The directory of the cargo workspace.
    pub workspace: PathBuf,
    /// The ports on which the service listens.
    pub ports: Vec<u16>,
    /// The processor architecture of the tasks.
    pub architecture: Architecture,
    /// A PEM file with the authorities of the databases, in place of AWS's bundle.
    pub ca_bundle: Option<PathBuf>,
}

/// The entry from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Ingress {
    /// Full name of the stack whose output `LoadBalancerDnsName` holds the host name.
    pub stack: String,
    /// The listener's port.
    pub port: u16,
    /// The listener accepts HTTPS.
    pub https: bool,
    /// The public host name on AWS; `None` for the load balancer's own.
    pub host: Option<String>,
    /// A stack creates the DNS record of `host`.
    pub has_record: bool,
    /// The path that `up` requests to check that the system serves; a status below 500 from a target counts.
    pub readiness_path: String,
    /// Commands that `up` prints, with `{url}` for the base URL.
    pub curl: Vec<String>,
}
