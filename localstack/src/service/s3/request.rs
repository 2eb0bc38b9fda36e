//! A parsed S3 request.

use axum::body::Bytes;
use http::HeaderMap;
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;

use super::bucket::BUCKETS;
use super::operation::{Subject, operation};
use super::{Address, no_such_bucket};
use crate::records::Record;
use crate::{AwsError, Context, wire};

pub struct S3Request {
    /// The operation's name in the API reference.
    pub operation: String,
    pub address: Address,
    pub region: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    query: Vec<(String, String)>,
}

impl S3Request {
    pub fn parse(cx: &Context, parts: Parts, body: Bytes) -> Result<Self, AwsError> {
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(Authority::as_str));
        let authority = host.and_then(|host| host.parse::<Authority>().ok());
        let address = Address::of(authority.as_ref().map_or("", |one| one.host()), parts.uri.path())?;
        let query: Vec<(String, String)> = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
        let subject = match (address.bucket.is_empty(), address.key.is_empty()) {
            (true, _) => Subject::Service,
            (false, true) => Subject::Bucket,
            (false, false) => Subject::Object,
        };
        let has = |name: &str| query.iter().any(|(key, _)| key == name);
        let copies = parts.headers.contains_key("x-amz-copy-source");
        let region = wire::credential_scope(&parts.headers, &parts.uri).map(|(region, _)| region);
        Ok(Self {
            operation: operation(&parts.method, subject, has, copies),
            address,
            region: region.unwrap_or_else(|| cx.region().to_owned()),
            headers: parts.headers,
            body,
            query,
        })
    }

    /// Returns a parameter of the query string.
    pub fn query(&self, name: &str) -> Option<String> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the bucket of the request, or the error `NoSuchBucket`.
    pub fn bucket(&self, cx: &Context) -> Result<Record, AwsError> {
        BUCKETS.get(cx, &self.address.bucket)?.ok_or_else(no_such_bucket)
    }
}
