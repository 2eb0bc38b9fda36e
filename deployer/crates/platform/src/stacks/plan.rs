//! What is to be deployed: the stacks in order, where their parameters come from, and the images they run.

use serde_json::Value;

/// Where every image has the authorities of Amazon RDS, which no system trusts by itself. The embedded endpoint, whose
/// databases have an authority of its own, shows that one to its tasks in this very place.
pub const DATABASE_AUTHORITIES: &str = "/etc/ssl/certs/rds-global-bundle.pem";

/// Everything that one `up` applies, computed from the manifest alone.
#[derive(Debug, Clone)]
pub struct Plan {
    pub project: String,
    pub environment: String,
    /// Whether what it makes is to be kept from being deleted by mistake: `protected` in deployer.toml.
    pub protected: bool,
    /// In an order in which each stack comes after all it depends on.
    pub stacks: Vec<Stack>,
    pub images: Vec<Image>,
    /// Where the system is reached once it serves.
    pub ingress: Ingress,
}

impl Plan {
    /// Whether a stack of this full name is planned.
    pub fn has(&self, stack: &str) -> bool {
        self.stacks.iter().any(|planned| planned.name == stack)
    }

    /// Every service: those whose images are built, then those that run an image of somebody else's.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        let built = |name: &str| self.images.iter().any(|image| image.service == name);
        let runs = |stack: &&Stack| stack.template["Resources"]["TaskDefinition"].is_object();
        let others = self.stacks.iter().filter(runs).map(|stack| stack.short.as_str());
        let images = self.images.iter().map(|image| image.service.as_str());
        images.chain(others.filter(move |name| !built(name)))
    }
}

/// One CloudFormation stack.
#[derive(Debug, Clone)]
pub struct Stack {
    /// `<project>-<env>-<stack>`.
    pub name: String,
    /// The last part of the name: `network`, `data`, or a service's name.
    pub short: String,
    /// The template, as `deployer synth` writes it (pretty) and as it is sent (minified).
    pub template: Value,
    pub parameters: Vec<Parameter>,
    /// Full names of the stacks that must be complete before this one starts.
    pub depends_on: Vec<String>,
}

/// A parameter of a stack and where deployer takes its value from.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    pub name: String,
    pub source: Source,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// An output of another stack, by the stack's full name.
    Output {
        stack: String,
        output: String,
    },
    /// What MSK's GetBootstrapBrokers gives for the cluster whose ARN is this output: sorted, joined by commas, and
    /// kept while all of the former value's brokers are still in the answer. `iam` takes the SASL/IAM string.
    BootstrapBrokers {
        stack: String,
        output: String,
        iam: bool,
    },
    /// The image of this service as `REPOSITORY_URI@sha256:…`; the repository's URI is an output of `stack`.
    Image {
        service: String,
        stack: String,
        output: String,
    },
    Literal(String),
}

/// An image that is built from a crate of the workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    pub service: String,
    /// The cargo package; its binary has the same name.
    pub package: String,
    /// The directory of the cargo workspace.
    pub workspace: std::path::PathBuf,
    pub ports: Vec<u16>,
}

/// The public door.
#[derive(Debug, Clone, PartialEq)]
pub struct Ingress {
    /// Full name of the stack whose output `LoadBalancerDnsName` holds the host name.
    pub stack: String,
    /// The listener's port.
    pub port: u16,
    pub https: bool,
    /// The name that people use on AWS, where it is not the load balancer's own.
    pub host: Option<String>,
    /// The path that `up` asks for to see that the system serves; an answer below 500 from a target counts.
    pub probe_path: String,
    /// Two commands to print at the end of `up`, with `{url}` for the base URL.
    pub curl: Vec<String>,
}
