//! An S3 response.

use axum::body::{Body, Bytes};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};

pub struct S3Response {
    pub status: u16,
    headers: HeaderMap,
    /// The `Content-Length` of a response without its body (`HeadObject`).
    pub length: Option<usize>,
    pub body: Bytes,
}

impl S3Response {
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            length: None,
            body: Bytes::new(),
        }
    }

    pub fn xml(text: String) -> Self {
        let mut response = Self::empty(200).with(CONTENT_TYPE.as_str(), "application/xml");
        response.body = text.into();
        response
    }

    /// Sets a header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            self.headers.insert(name, value);
        }
        self
    }
}

impl From<S3Response> for Response<Body> {
    fn from(response: S3Response) -> Self {
        let mut converted = Response::new(Body::from(response.body));
        *converted.status_mut() = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *converted.headers_mut() = response.headers;
        if let Some(length) = response.length {
            converted.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        converted
    }
}
