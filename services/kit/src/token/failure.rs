//! Counter of rejected tokens by reason; clients do not get the reason.

use jsonwebtoken::errors::{Error, ErrorKind};

use super::TokenError;

/// Counts an invalid token.
pub(super) fn invalid(reason: &'static str) -> TokenError {
    count(reason);
    TokenError::Invalid
}

/// Counts a token that could not be verified.
pub(super) fn unavailable() -> TokenError {
    count("unavailable");
    TokenError::Unavailable
}

/// Counts a token that the library rejected.
pub(super) fn rejected(error: &Error) -> TokenError {
    invalid(match error.kind() {
        ErrorKind::ExpiredSignature => "expired",
        ErrorKind::ImmatureSignature => "not_yet_valid",
        ErrorKind::InvalidSignature => "signature",
        ErrorKind::InvalidAudience => "audience",
        ErrorKind::InvalidIssuer => "issuer",
        ErrorKind::MissingRequiredClaim(_) => "missing_claim",
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => "algorithm",
        _ => "malformed",
    })
}

fn count(reason: &'static str) {
    metrics::counter!("token_failures_total", "reason" => reason).increment(1);
}
