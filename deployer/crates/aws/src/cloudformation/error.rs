//! Errors of operations on stacks.

use super::StackFailure;
use crate::TimedOut;
use crate::error::from_sdk_error;

/// The result of an operation on a stack.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation on a stack that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request to an AWS service failed.
    #[error(transparent)]
    Request(#[from] crate::Error),
    /// The operation did not end in time; it continues in CloudFormation.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// The operation failed and was rolled back.
    #[error("{0}")]
    Failed(Box<StackFailure>),
    /// The stack needs another operation before it can be updated.
    #[error("stack {stack} is stuck in {status}{}", reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    Stuck {
        /// The name of the stack.
        stack: String,
        /// The status in which it is stuck.
        status: String,
        /// The reason of the first resource that failed.
        reason: Option<String>,
    },
    /// CloudFormation could not create the change set.
    #[error("change set of {stack} ended in {status}: {reason}")]
    ChangeSet {
        /// The name of the stack.
        stack: String,
        /// The status of the change set.
        status: String,
        /// The reason that CloudFormation gives.
        reason: String,
    },
    /// CloudFormation could not compare the resources with the template.
    #[error("drift detection of {stack} failed: {reason}")]
    Drift {
        /// The name of the stack.
        stack: String,
        /// The reason that CloudFormation gives.
        reason: String,
    },
    /// A template exceeds the quota of templates in S3.
    #[error("the template of stack {stack} has {bytes} bytes; CloudFormation accepts 1,000,000 at most")]
    TemplateTooLarge {
        /// The name of the stack.
        stack: String,
        /// The size of the minified template.
        bytes: usize,
    },
    /// A template is too large for a request, and the endpoint has no S3.
    #[error(
        "the template of stack {stack} has {bytes} bytes; CloudFormation accepts 51,200 in a request, and {endpoint} has no S3 for larger ones"
    )]
    NoTemplateStorage {
        /// The name of the stack.
        stack: String,
        /// The size of the minified template.
        bytes: usize,
        /// The name of the endpoint.
        endpoint: String,
    },
    /// The bucket for templates was made by another account.
    #[error("the template bucket {bucket} belongs to another account; nothing was uploaded")]
    ForeignTemplateBucket {
        /// The name of the bucket.
        bucket: String,
    },
}

from_sdk_error!(Error);
