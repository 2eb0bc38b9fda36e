//! The AWS protocols.

use http::request::Parts;

/// One of the AWS protocols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// awsQuery: a form as the request, XML as the response.
    Query,
    /// ec2Query: as awsQuery, with its own form of lists and errors.
    Ec2,
    /// awsJson; the response has the content type of the request (`application/x-amz-json-1.0` or `-1.1`).
    Json(String),
    /// restJson or restXml, by the service.
    Rest,
    /// rpcv2Cbor.
    Cbor,
}

impl Protocol {
    /// Returns awsJson with the content type of a request.
    pub fn json(parts: &Parts) -> Self {
        Self::Json(content_type(parts).unwrap_or("application/x-amz-json-1.1").to_owned())
    }

    /// Returns the likely protocol of a request that could not be parsed, for the form of the error.
    pub fn guess(parts: &Parts) -> Self {
        if parts.headers.contains_key("x-amz-target") {
            Self::json(parts)
        } else if parts.headers.contains_key("smithy-protocol") {
            Self::Cbor
        } else if content_type(parts).is_some_and(|t| t.starts_with("application/x-www-form-urlencoded")) {
            Self::Query
        } else {
            Self::Rest
        }
    }
}

fn content_type(parts: &Parts) -> Option<&str> {
    parts.headers.get(http::header::CONTENT_TYPE)?.to_str().ok()
}
