//! Arguments that do not fit the manifest, the deployment or each other.

use std::fmt;
use std::path::PathBuf;

use platform::suggest::closest_or_all;

/// A kind of things that the manifest names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    Stack,
    Service,
    /// A service whose image is built from a crate.
    Image,
    Output,
}

impl Named {
    fn plural(self) -> &'static str {
        match self {
            Self::Stack => "stacks",
            Self::Service => "services",
            Self::Image => "services with a package",
            Self::Output => "outputs",
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stack => "stack",
            Self::Service => "service",
            Self::Image => "service with a package",
            Self::Output => "output",
        })
    }
}

/// An argument that a command rejects.
#[derive(Debug, thiserror::Error)]
pub enum ArgumentError {
    #[error("there is no {named} '{name}'")]
    Unknown {
        named: Named,
        name: String,
        known: Vec<String>,
    },
    #[error("there is no stack {name}")]
    NoSuchStack { name: String },
    #[error("several stacks have an output '{name}'")]
    AmbiguousOutput { name: String },
    #[error("{environment} is not deployed")]
    NotDeployed { environment: String },
    /// `destroy --retain` of a resource whose deletion has not failed.
    #[error("--retain {resource}: {}", match .status {
        Some((stack, status)) => format!("{stack} is in {status}, and the deletion of this resource has not failed"),
        None => "there is no resource of this name whose deletion has failed".to_owned(),
    })]
    NothingToRetain {
        resource: String,
        /// The stack that has the resource, and its status.
        status: Option<(String, String)>,
    },
    #[error("--skip applies to a rollback that is continued, and {stack} is in {status}")]
    NothingToSkip { stack: String, status: String },
    #[error("--endpoint-url and --target aws do not apply to the embedded endpoint")]
    EndpointOnAws,
    #[error("the archive is binary and cannot be written to a terminal or with --json")]
    ArchiveOnTerminal,
    #[error("--registry {registry} is not HOST/NAME")]
    Registry { registry: String },
    #[error("stack {stack} has no repository for {service} yet")]
    NoRepository { stack: String, service: String },
    #[error("this endpoint has no container registry")]
    NoRegistry,
    #[error("cannot read the templates in {}: {source}", .folder.display())]
    NoTemplates { folder: PathBuf, source: std::io::Error },
    #[error("{} is not a template: {reason}", .path.display())]
    NotATemplate { path: PathBuf, reason: String },
    #[error("{} does not belong to a stack of the manifest", .path.display())]
    UnknownTemplate { path: PathBuf },
}

impl ArgumentError {
    /// Returns the error for a name that is not among the known ones.
    pub fn unknown<'a>(named: Named, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Unknown {
            named,
            name: name.to_owned(),
            known: known.into_iter().map(str::to_owned).collect(),
        }
    }

    /// Returns what to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown { named, name, known } => closest_or_all(named.plural(), name, known.iter().map(String::as_str)),
            Self::NoSuchStack { .. } => "`deployer status` lists the stacks".into(),
            Self::AmbiguousOutput { name } => format!("name the stack, too: STACK.{name}"),
            Self::NotDeployed { .. } => "`deployer up` deploys it".into(),
            Self::NothingToRetain { .. } => {
                "CloudFormation retains a resource only in a stack in DELETE_FAILED; run `deployer destroy` without --retain first"
                    .into()
            }
            Self::NothingToSkip { .. } => "leave --skip out".into(),
            Self::EndpointOnAws => "use --target localstack without --endpoint-url".into(),
            Self::ArchiveOnTerminal => "redirect stdout to a file or to `docker load`, or use --output FILE".into(),
            Self::Registry { .. } => "for example ghcr.io/someone or 127.0.0.1:5000/project".into(),
            Self::NoRepository { .. } => {
                "run `deployer up`, which creates it, or push to another registry with --registry".into()
            }
            Self::NoRegistry => "push to another registry with --registry".into(),
            Self::NoTemplates { .. } => "`deployer synth` writes the templates".into(),
            Self::NotATemplate { .. } => return None,
            Self::UnknownTemplate { path } => {
                format!("name the stack to compare it with: `deployer diff --against {} STACK`", path.display())
            }
        })
    }
}
