//! Findings of the lint.

use std::fmt;

use cfn::schema::PropertyError;
use cfn::template::MAX_BYTES;
use serde::{Serialize, Serializer};

/// A part of the plan that would fail, or not work, once deployed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LintFinding {
    /// The stack's short name.
    pub stack: String,
    /// The logical ID of the resource, or the name of the output, parameter or section.
    pub location: String,
    /// The reason.
    #[serde(rename = "what", serialize_with = "text")]
    pub problem: LintProblem,
}

fn text<S: Serializer>(problem: &LintProblem, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(problem)
}

impl LintFinding {
    /// Returns a finding.
    pub(super) fn new(stack: &str, location: &str, problem: LintProblem) -> Self {
        Self {
            stack: stack.to_owned(),
            location: location.to_owned(),
            problem,
        }
    }
}

/// `STACK: LOCATION: PROBLEM`.
impl fmt::Display for LintFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.stack, self.location, self.problem)
    }
}

/// The reason why a part of the plan would fail, or not work.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LintProblem {
    /// A resource type without a schema here.
    #[error("{0} is not a known resource type; scripts/resource-schemas adds it")]
    UnknownType(String),
    /// A property that CloudFormation would reject.
    #[error(transparent)]
    Property(#[from] PropertyError),
    /// A template that CloudFormation does not accept.
    #[error(
        "the template has {bytes} bytes, and CloudFormation accepts {MAX_BYTES}; split the platform into several projects"
    )]
    TemplateSize {
        /// The template's size.
        bytes: usize,
    },
    /// A section with more entries than CloudFormation accepts.
    #[error("{count} {section}, and CloudFormation accepts {max} in a template: {}", remedy(*paths))]
    SectionSize {
        /// The section, in lower case.
        section: String,
        /// The number of entries.
        count: usize,
        /// The maximum.
        max: usize,
        /// The entries are network paths.
        paths: bool,
    },

    /// A reference to a name that the template does not have.
    #[error("the template has no {0}")]
    UnknownName(String),
    /// A reference to an attribute of a resource that the template does not have.
    #[error("{resource}.{attribute}: the template has no {resource}")]
    UnknownResource {
        /// The logical ID.
        resource: String,
        /// The attribute.
        attribute: String,
    },
    /// A reference to an attribute that the resource type does not have.
    #[error("{resource_type} has no attribute {attribute}")]
    UnknownAttribute {
        /// The resource type.
        resource_type: String,
        /// The attribute.
        attribute: String,
    },
    /// A reference to a condition that the template does not have.
    #[error("the template has no condition {0}")]
    UnknownCondition(String),
    /// A reference to a mapping that the template does not have.
    #[error("the template has no mapping {0}")]
    UnknownMapping(String),
    /// A dependency on a resource that the template does not have.
    #[error("DependsOn: the template has no {0}")]
    UnknownDependency(String),
    /// A parameter without a value.
    #[error("no value is passed to this parameter")]
    UnfilledParameter,

    /// A link whose ingress rule is missing.
    #[error("{link}, but the security group has no ingress rule for {peer} on tcp {port}")]
    MissingIngress {
        /// The link.
        link: String,
        /// The security group of the client.
        peer: String,
        /// The port.
        port: u16,
    },
    /// A link whose egress rule is missing.
    #[error("{link}, but the security group has no egress rule for {peer} on tcp {port}")]
    MissingEgress {
        /// The link.
        link: String,
        /// The security group of the server.
        peer: String,
        /// The port.
        port: u16,
    },
    /// An open network path without a link.
    #[error("{from} can connect to it on {protocol} {port}, and the manifest has no link for that")]
    UndeclaredPath {
        /// The client.
        from: String,
        /// `tcp` or `udp`.
        protocol: &'static str,
        /// The port.
        port: u16,
    },
    /// An open network path to a port without a listener.
    #[error("{from} may connect to it on {protocol} {port}, and nothing listens there")]
    ClosedPort {
        /// The client.
        from: String,
        /// `tcp` or `udp`.
        protocol: &'static str,
        /// The port.
        port: u16,
    },
    /// A rule that cannot be evaluated.
    #[error("the peer or ports of a rule do not follow from the templates")]
    UnclearRule,
    /// A component that cannot be evaluated.
    #[error("its subnets, security groups or ports do not follow from the templates")]
    UnclearComponent,
    /// A resource type that could open a path, and that is not evaluated.
    #[error("{0} is not supported: reachability cannot be computed with it")]
    UnmodelledType(String),
    /// A component with data in a subnet with a route out of the VPC.
    #[error("it stores data, and its subnets have a route out of the VPC")]
    NotIsolated,
}

fn remedy(paths: bool) -> &'static str {
    if paths {
        "each call, database and topic of a service is a network path; split the platform into several projects, or call \
         fewer services directly"
    } else {
        "split the platform into several projects"
    }
}
