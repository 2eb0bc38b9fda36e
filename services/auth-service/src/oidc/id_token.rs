//! Verification of ID tokens (OpenID Connect Core 1.0, 3.1.3.7).

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::{OidcError, Settings};

/// Tolerated clock skew in seconds.
const LEEWAY: u64 = 60;
/// Maximum length of a subject, in characters (OpenID Connect Core 1.0, 2).
const MAX_SUBJECT: usize = 255;

fn unusable(reason: impl Into<String>) -> OidcError {
    OidcError::Unusable(format!("ID token: {}", reason.into()))
}

/// Reads the header of a token: `none` and unknown algorithms are refused here, and symmetric ones because no key fits.
pub(super) fn header(token: &str) -> Result<Header, OidcError> {
    let header = decode_header(token).map_err(|_| unusable("malformed, or without a known algorithm"))?;
    // RFC 7515, 4.1.11: extensions that must be understood, and none is.
    match header.crit {
        Some(_) => Err(unusable("it has extensions that must be understood")),
        None => Ok(header),
    }
}

/// Selects the key of a header; `None` if no key fits, or several do.
pub(super) fn select<'a>(keys: &'a [Jwk], header: &Header) -> Option<&'a Jwk> {
    let mut fitting = keys.iter().filter(|key| {
        let id = &key.common.key_id;
        (header.kid.is_none() || *id == header.kid) && fits(key, header.alg)
    });
    let key = fitting.next()?;
    fitting.next().is_none().then_some(key)
}

/// Returns true if the key is for signatures of this algorithm.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let is_kind = match (&key.algorithm, algorithm) {
        (
            AlgorithmParameters::RSA(_),
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512,
        )
        | (AlgorithmParameters::OctetKeyPair(_), Algorithm::EdDSA) => true,
        (AlgorithmParameters::EllipticCurve(curve), Algorithm::ES256) => curve.curve == EllipticCurve::P256,
        (AlgorithmParameters::EllipticCurve(curve), Algorithm::ES384) => curve.curve == EllipticCurve::P384,
        _ => false,
    };
    let common = &key.common;
    is_kind
        && matches!(common.public_key_use, None | Some(PublicKeyUse::Signature))
        && common
            .key_algorithm
            .is_none_or(|declared| declared == KeyAlgorithm::from(algorithm))
}

/// Verifies signature, issuer, audience, times and nonce of a token, and returns its claims.
///
/// # Errors
/// [`OidcError::InvalidCode`] if it belongs to another login, [`OidcError::Unusable`] if the provider should not have issued it.
pub(super) fn verify(
    token: &str,
    algorithm: Algorithm,
    key: &Jwk,
    settings: &Settings,
    nonce: &str,
) -> Result<Map<String, Value>, OidcError> {
    let key = DecodingKey::from_jwk(key).map_err(|_| unusable("its key is malformed"))?;
    let mut rules = Validation::new(algorithm);
    rules.leeway = LEEWAY;
    rules.validate_nbf = true;
    rules.set_issuer(&[&settings.issuer]);
    rules.set_audience(&[&settings.client_id]);
    rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let claims: Map<String, Value> = decode(token, &key, &rules)
        // The kind names a claim, and never quotes a value.
        .map_err(|error| unusable(format!("{:?}", error.kind())))?
        .claims;
    let is_shared = claims["aud"].as_array().is_some_and(|audience| audience.len() > 1);
    let is_ours = match claims.get("azp") {
        Some(party) => party.as_str() == Some(&settings.client_id),
        None => !is_shared,
    };
    if !is_ours {
        return Err(unusable("it was issued to another client"));
    }
    let subject = claims["sub"].as_str().unwrap_or_default();
    if subject.is_empty() || subject.chars().count() > MAX_SUBJECT || subject.contains('\0') {
        return Err(unusable("its subject is malformed"));
    }
    if claims.get("nonce").and_then(Value::as_str) != Some(nonce) {
        return Err(OidcError::InvalidCode);
    }
    Ok(claims)
}
