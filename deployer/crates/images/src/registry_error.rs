//! What a registry refuses, and what only went wrong this time.

use oci_client::Reference;
use oci_client::errors::{OciDistributionError, OciErrorCode};

/// A push that failed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The registry does not let this identity write there.
    #[error("{registry} refuses to let this identity push {repository}: {message}")]
    Denied {
        registry: String,
        repository: String,
        message: String,
    },
    #[error("{0:#}")]
    Other(anyhow::Error),
}

impl PushError {
    pub fn context(self, words: String) -> Self {
        match self {
            Self::Other(error) => Self::Other(error.context(words)),
            denied @ Self::Denied { .. } => denied,
        }
    }
}

/// The words for a registry's error.
pub fn fault(image: &Reference, error: OciDistributionError) -> PushError {
    let words = error.to_string();
    if is_denied(&error) {
        return PushError::Denied {
            registry: image.resolve_registry().to_owned(),
            repository: image.repository().to_owned(),
            message: words,
        };
    }
    // A full disk on the other side is worth its own words.
    if words.contains("507") || words.contains("no space left") {
        return PushError::Other(anyhow::anyhow!(
            "the registry has no space left on its disk: free some and run the command again"
        ));
    }
    PushError::Other(anyhow::Error::new(error).context(format!("{} does not take it", image.resolve_registry())))
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

/// Whether the same request may succeed in a moment: a connection that broke, a server that is busy or restarting.
pub fn is_passing(error: &OciDistributionError) -> bool {
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
