//! Errors of a registry, and which of them are transient.

use oci_client::Reference;
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_spec::distribution::ParseError;

use crate::error::ImageError;

/// A push that failed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The text is not the URI of a repository.
    #[error("{uri} is not the URI of a repository: {source}")]
    Repository {
        /// The text.
        uri: String,
        /// The reason.
        source: ParseError,
    },
    /// The registry does not allow this identity to push.
    #[error("{registry} does not allow this identity to push {repository}: {message}")]
    Denied {
        /// The registry's host.
        registry: String,
        /// The repository.
        repository: String,
        /// The registry's message.
        message: String,
    },
    /// The registry's disk is full.
    #[error("{registry} has no space left on its disk: free some and run the command again")]
    NoSpace {
        /// The registry's host.
        registry: String,
    },
    /// The registry reported another error, or the connection failed.
    #[error("{registry} did not accept {item}: {source}")]
    Rejected {
        /// The registry's host.
        registry: String,
        /// The blob or manifest that was sent.
        item: String,
        /// The reason.
        source: Box<OciDistributionError>,
    },
    /// The registry stores the image with another digest.
    #[error("{image} has the digest {digest} instead of {expected}")]
    Changed {
        /// The image's reference.
        image: String,
        /// The digest in the registry.
        digest: String,
        /// The digest of the image.
        expected: String,
    },
    /// A blob of the image does not exist any more.
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl PushError {
    /// Returns the error of sending `item` to the registry of `image`.
    pub(crate) fn of(image: &Reference, item: &str, error: OciDistributionError) -> Self {
        let registry = image.resolve_registry().to_owned();
        if is_denied(&error) {
            let (repository, message) = (image.repository().to_owned(), error.to_string());
            return Self::Denied {
                registry,
                repository,
                message,
            };
        }
        if status(&error) == Some(507) || error.to_string().contains("no space left") {
            return Self::NoSpace { registry };
        }
        let (item, source) = (item.to_owned(), Box::new(error));
        Self::Rejected { registry, item, source }
    }
}

fn is_denied(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_) => true,
        OciDistributionError::RegistryError { envelope, .. } => envelope
            .errors
            .iter()
            .any(|error| matches!(error.code, OciErrorCode::Unauthorized | OciErrorCode::Denied)),
        other => matches!(status(other), Some(401 | 403)),
    }
}

/// Returns true if a retry may succeed: a connection that failed, a server that is busy or restarting.
pub(crate) fn is_transient(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::IoError(error) => error.kind() != std::io::ErrorKind::NotFound,
        OciDistributionError::RequestError(error) if error.status().is_none() => !error.is_builder(),
        OciDistributionError::RegistryError { envelope, .. } => envelope.errors.iter().any(|error| {
            matches!(
                error.code,
                OciErrorCode::Toomanyrequests | OciErrorCode::BlobUploadUnknown
            )
        }),
        other => matches!(status(other), Some(408 | 429 | 500 | 502..=504)),
    }
}

fn status(error: &OciDistributionError) -> Option<u16> {
    match error {
        OciDistributionError::ServerError { code, .. } => Some(*code),
        OciDistributionError::RequestError(error) => error.status().map(|status| status.as_u16()),
        _ => None,
    }
}
