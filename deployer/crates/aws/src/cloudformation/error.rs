//! Errors of operations on stacks.

use super::StackFailure;
use crate::TimedOut;
use crate::error::from_sdk_error;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation on a stack that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Request(#[from] crate::Error),
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// The operation failed and was rolled back.
    #[error("{0}")]
    Failed(Box<StackFailure>),
    /// The stack needs another operation before it can be updated.
    #[error("stack {stack} is stuck in {status}{}", reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    Stuck {
        stack: String,
        status: String,
        reason: Option<String>,
    },
    #[error("change set of {stack} ended in {status}: {reason}")]
    ChangeSet {
        stack: String,
        status: String,
        reason: String,
    },
    #[error("drift detection of {stack} failed: {reason}")]
    Drift { stack: String, reason: String },
    #[error("the template of stack {stack} has {bytes} bytes; CloudFormation accepts 1,000,000 at most")]
    TemplateTooLarge { stack: String, bytes: usize },
    #[error(
        "the template of stack {stack} has {bytes} bytes; CloudFormation accepts 51,200 in a request, and {endpoint} has no S3 for larger ones"
    )]
    NoTemplateStorage {
        stack: String,
        bytes: usize,
        endpoint: String,
    },
    #[error("the template bucket {bucket} belongs to another account; nothing was uploaded")]
    ForeignTemplateBucket { bucket: String },
}

from_sdk_error!(Error);
