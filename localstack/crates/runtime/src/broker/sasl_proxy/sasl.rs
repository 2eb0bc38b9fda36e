//! Requests before authentication (Kafka protocol guide, "SASL Authentication Sequence"; RFC 7628).

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{
    ApiKey, RequestHeader, ResponseHeader, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
    SaslHandshakeResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};

/// The only SASL mechanism of MSK that clients in every language support.
pub const MECHANISM: &str = "OAUTHBEARER";

pub const NO_ERROR: i16 = 0;
pub const UNSUPPORTED_MECHANISM: i16 = ResponseError::UnsupportedSaslMechanism.code();
pub const UNSUPPORTED_VERSION: i16 = ResponseError::UnsupportedVersion.code();
const AUTHENTICATION_FAILED: i16 = ResponseError::SaslAuthenticationFailed.code();

/// The part of a request's header that its response depends on.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    pub version: i16,
    correlation_id: i32,
}

/// A request before authentication.
#[derive(Debug, PartialEq, Eq)]
pub enum SaslRequest {
    ApiVersions,
    /// With the mechanism.
    Handshake(String),
    /// With the client's SASL message.
    Authenticate(Bytes),
    /// Any other request, by its API key; it is not allowed before authentication.
    Other(i16),
}

/// Decodes one request, without its length.
///
/// # Errors
/// When the request is truncated, or its version is unknown.
pub fn decode(mut bytes: Bytes) -> anyhow::Result<(Header, SaslRequest)> {
    let [key, version] = first_fields(&bytes)?;
    let key_of = ApiKey::try_from(key);
    let header_version = match key_of {
        Ok(ApiKey::SaslHandshake) => SaslHandshakeRequest::header_version(version),
        Ok(ApiKey::SaslAuthenticate) => SaslAuthenticateRequest::header_version(version),
        // The rest of any other request is not read, and all headers begin alike.
        _ => 1,
    };
    let header = RequestHeader::decode(&mut bytes, header_version).context("invalid request header")?;
    let request = match key_of {
        Ok(ApiKey::ApiVersions) => SaslRequest::ApiVersions,
        Ok(ApiKey::SaslHandshake) => {
            let request = SaslHandshakeRequest::decode(&mut bytes, version).context("invalid SaslHandshake request")?;
            SaslRequest::Handshake(request.mechanism.as_str().to_owned())
        }
        Ok(ApiKey::SaslAuthenticate) => {
            let request = SaslAuthenticateRequest::decode(&mut bytes, version);
            SaslRequest::Authenticate(request.context("invalid SaslAuthenticate request")?.auth_bytes)
        }
        _ => SaslRequest::Other(key),
    };
    let header = Header {
        version,
        correlation_id: header.correlation_id,
    };
    Ok((header, request))
}

/// Returns the API key and the version of a request.
fn first_fields(bytes: &Bytes) -> anyhow::Result<[i16; 2]> {
    let fields = bytes.first_chunk::<4>().context("the request is too short")?;
    Ok([
        i16::from_be_bytes([fields[0], fields[1]]),
        i16::from_be_bytes([fields[2], fields[3]]),
    ])
}

impl Header {
    /// Encodes the response to `SaslHandshake`, with the supported mechanism.
    ///
    /// # Errors
    /// When the request's version is unknown; `decode` rejects such a request.
    pub fn handshake_response(self, error_code: i16) -> anyhow::Result<BytesMut> {
        let response = SaslHandshakeResponse::default()
            .with_error_code(error_code)
            .with_mechanisms(vec![StrBytes::from_static_str(MECHANISM)]);
        // Version 1 differs from version 0 in what follows, not in its form.
        self.encode(&response, self.version)
    }

    /// Encodes the response to `SaslAuthenticate`: success, or a failure with a message. The session does not expire.
    ///
    /// # Errors
    /// As for `handshake_response`.
    pub fn authenticate_response(self, failure: Option<&str>) -> anyhow::Result<BytesMut> {
        let code = if failure.is_some() {
            AUTHENTICATION_FAILED
        } else {
            NO_ERROR
        };
        let response = SaslAuthenticateResponse::default()
            .with_error_code(code)
            .with_error_message(failure.map(|message| StrBytes::from_string(message.to_owned())));
        self.encode(&response, self.version)
    }

    fn encode<R: Encodable + HeaderVersion>(self, response: &R, version: i16) -> anyhow::Result<BytesMut> {
        let mut bytes = BytesMut::new();
        let header = ResponseHeader::default().with_correlation_id(self.correlation_id);
        header.encode(&mut bytes, R::header_version(version))?;
        response.encode(&mut bytes, version)?;
        Ok(bytes)
    }
}

/// A client's first SASL message without a usable token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("the message is not one of {MECHANISM}")]
    NotOauthBearer,
    #[error("the message contains no token")]
    NoToken,
}

/// Returns the token in a client's first message (RFC 7628, section 3.1).
///
/// # Errors
/// When the message is not one of OAUTHBEARER, or has no token.
pub fn token(message: &[u8]) -> Result<String, TokenError> {
    let text = std::str::from_utf8(message).map_err(|_| TokenError::NotOauthBearer)?;
    let mut pairs = text.split('\u{1}').skip(1);
    let token = pairs.find_map(|pair| pair.strip_prefix("auth=Bearer "));
    token
        .filter(|token| text.starts_with("n,") && !token.is_empty())
        .map(str::to_owned)
        .ok_or(TokenError::NoToken)
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::*;

    const AUTHENTICATE: i16 = 36;
    const MESSAGE: &[u8] = b"n,,\x01auth=Bearer abc\x01\x01";

    #[test]
    fn every_version_of_sasl_authenticate_is_decoded() {
        let start = |version: i16| {
            let mut request = Vec::new();
            request.put_i16(AUTHENTICATE);
            request.put_i16(version);
            request.put_i32(7);
            request.put_i16(2);
            request.put_slice(b"me");
            request
        };
        let expected = SaslRequest::Authenticate(Bytes::from_static(MESSAGE));
        for version in 0..=1 {
            let mut request = start(version);
            request.put_i32(i32::try_from(MESSAGE.len()).unwrap());
            request.put_slice(MESSAGE);
            assert_eq!(decode(request.into()).unwrap().1, expected);
        }
        let mut request = start(2);
        // One tagged field, of two bytes.
        request.put_slice(&[1, 0, 2, 9, 9]);
        request.put_u8(u8::try_from(MESSAGE.len()).unwrap() + 1);
        request.put_slice(MESSAGE);
        request.put_u8(0);
        assert_eq!(decode(request.into()).unwrap().1, expected);
        assert_eq!(token(MESSAGE).unwrap(), "abc");
    }

    #[test]
    fn truncated_requests_and_invalid_lengths_are_errors() {
        let mut request = Vec::new();
        request.put_i16(AUTHENTICATE);
        request.put_i16(1);
        request.put_i32(7);
        request.put_i16(-1);
        request.put_i32(1000);
        request.put_slice(MESSAGE);
        for length in 0..request.len() {
            assert!(decode(Bytes::copy_from_slice(&request[..length])).is_err(), "{length}");
        }
        assert!(decode(request.into()).is_err());
        for message in [
            &b"n,,\x01\x01"[..],
            b"\x00user\x00password",
            b"y,,\x01auth=Bearer a\x01\x01",
            b"\xff",
        ] {
            assert!(token(message).is_err());
        }
    }

    #[test]
    fn responses_have_the_form_of_their_version() {
        let header = |version| Header {
            version,
            correlation_id: 7,
        };
        assert_eq!(
            header(0).authenticate_response(Some("no")).unwrap()[..],
            [0, 0, 0, 7, 0, 58, 0, 2, b'n', b'o', 0, 0, 0, 0]
        );
        assert_eq!(
            header(2).authenticate_response(Some("no")).unwrap()[..],
            [0, 0, 0, 7, 0, 0, 58, 3, b'n', b'o', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(
            header(1).authenticate_response(None).unwrap()[..],
            [0, 0, 0, 7, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        );
        let mechanism = b"\0\0\0\x07\0\x21\0\0\0\x01\0\x0bOAUTHBEARER";
        assert_eq!(
            header(1).handshake_response(UNSUPPORTED_MECHANISM).unwrap()[..],
            mechanism[..]
        );
    }
}
