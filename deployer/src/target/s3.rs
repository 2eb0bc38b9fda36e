//! S3, as far as handing over a template needs it: a few requests, signed by AWS's own signer.
//!
//! The SDK's crate for S3 is as large as the one for ECS, and what it asks of the SDK's runtime would have all the other
//! crates compiled with further features. The methods are called what IAM calls the permission that each takes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::Method;
use sha2::{Digest, Sha256};

use super::credentials::Renewing;
use super::http::{self, Way};
use super::{Clock, identity};
use crate::error::{Error, Result};

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(60);
/// The first pause before a request is sent again; the next are twice as long each.
const PAUSE: Duration = Duration::from_millis(300);

/// A bucket, and the number of the account that must own it: S3 refuses everything where another one does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    pub name: String,
    pub owner: String,
}

/// The client.
#[derive(Clone)]
pub struct S3(Arc<Inner>);

struct Inner {
    /// Without a slash at its end; none for AWS, where each bucket has a host.
    endpoint: Option<String>,
    region: String,
    credentials: Renewing,
    clock: Clock,
    tries: u32,
}

impl S3 {
    pub(super) fn new(endpoint: Option<String>, region: String, credentials: Renewing, clock: Clock) -> Self {
        let tries = if endpoint.is_some() { 2 } else { 5 };
        Self(Arc::new(Inner {
            endpoint,
            region,
            credentials,
            clock,
            tries,
        }))
    }

    /// Where an object is: what CloudFormation takes as `TemplateURL`.
    pub fn url(&self, bucket: &str, key: &str) -> String {
        let Inner { endpoint, region, .. } = &*self.0;
        match endpoint {
            Some(endpoint) => format!("{endpoint}/{bucket}/{key}").trim_end_matches('/').to_owned(),
            None => format!("https://{bucket}.s3.{region}.{}/{key}", domain(region)),
        }
    }

    /// In the region of the client. It is no error, in us-east-1, that it is there already.
    pub fn create_bucket(&self) -> Request<'_> {
        let region = &self.0.region;
        let place = format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        );
        let body = if region == "us-east-1" { String::new() } else { place };
        Request {
            owned: false,
            ..self.request("CreateBucket", Method::PUT)
        }
        .body(body)
    }

    pub fn delete_bucket(&self) -> Request<'_> {
        self.request("DeleteBucket", Method::DELETE)
    }

    pub fn put_bucket_public_access_block(&self) -> Request<'_> {
        self.request("PutPublicAccessBlock", Method::PUT)
            .query("publicAccessBlock")
    }

    pub fn put_lifecycle_configuration(&self) -> Request<'_> {
        self.request("PutBucketLifecycleConfiguration", Method::PUT)
            .query("lifecycle")
    }

    /// ListObjectsV2: up to a thousand keys.
    pub fn list_bucket(&self) -> Request<'_> {
        self.request("ListObjectsV2", Method::GET).query("list-type=2")
    }

    /// The content is the request's body; S3 encrypts it with a key of its own.
    pub fn put_object(&self) -> Request<'_> {
        self.request("PutObject", Method::PUT)
            .header("content-type", "application/json")
            .header("x-amz-server-side-encryption", "AES256")
    }

    pub fn delete_object(&self) -> Request<'_> {
        self.request("DeleteObject", Method::DELETE)
    }

    fn request(&self, operation: &'static str, method: Method) -> Request<'_> {
        Request {
            s3: self,
            operation,
            method,
            query: "",
            key: String::new(),
            headers: Vec::new(),
            body: String::new(),
            owned: true,
        }
    }
}

/// A request that is not sent yet.
pub struct Request<'a> {
    s3: &'a S3,
    operation: &'static str,
    method: Method,
    query: &'static str,
    key: String,
    headers: Vec<(&'static str, String)>,
    body: String,
    /// Whether S3 is to look whose the bucket is.
    owned: bool,
}

impl Request<'_> {
    fn query(mut self, query: &'static str) -> Self {
        self.query = query;
        self
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The object that is meant: of characters that need no encoding in a URL.
    pub fn key(mut self, key: &str) -> Self {
        self.key = key.to_owned();
        self
    }

    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    /// The answer's body. What may pass is asked again, and what was refused for its age is signed anew.
    pub async fn send(mut self, bucket: &Bucket) -> Result<String> {
        if self.owned {
            self.headers.push(("x-amz-expected-bucket-owner", bucket.owner.clone()));
        }
        if !self.body.is_empty() {
            let sum = BASE64_STANDARD.encode(Sha256::digest(&self.body));
            self.headers.push(("x-amz-checksum-sha256", sum));
        }
        let url = self.s3.url(&bucket.name, &self.key);
        let url = match self.query {
            "" => url,
            query => format!("{url}?{query}"),
        };
        let Inner {
            credentials,
            clock,
            tries,
            ..
        } = &*self.s3.0;
        let mut tried = 1;
        loop {
            match self.once(&url).await {
                Err(Error::Expired { .. }) if tried == 1 => credentials.refuse(),
                Err(error) if tried < *tries && passes(&error) => clock.sleep(PAUSE * 2_u32.pow(tried - 1)).await,
                ended => return ended,
            }
            tried += 1;
        }
    }

    async fn once(&self, url: &str) -> Result<String> {
        let Inner {
            credentials,
            region,
            clock,
            ..
        } = &*self.s3.0;
        let found = credentials.provide_credentials().await;
        let identity = found.map_err(|error| identity::refused(&error))?.into();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(anyhow::Error::from)?
            .into();
        let headers = self.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let body = SignableBody::Bytes(self.body.as_bytes());
        let signable = SignableRequest::new(self.method.as_str(), url, headers.clone(), body);
        let signed = sign(signable.map_err(anyhow::Error::from)?, &parameters).map_err(anyhow::Error::from)?;
        let (instructions, _) = signed.into_parts();

        let unreachable = |reason: String| Error::unreached(self.operation(), &reason);
        let client = http::client(url, clock.stretched(LIMIT), &Way::default()).map_err(unreachable)?;
        let mut request = client.request(self.method.clone(), url).body(self.body.clone());
        for (name, value) in headers.chain(instructions.headers()) {
            request = request.header(name, value);
        }
        let answer = request.send().await.map_err(|error| unreachable(http::root(&error)))?;
        let status = answer.status();
        let kind = answer.headers().get(reqwest::header::CONTENT_TYPE).cloned();
        let text = answer.text().await.map_err(|error| unreachable(http::root(&error)))?;
        if status.is_success() {
            return Ok(text);
        }
        if let Some(code) = elements(&text, "Code").next() {
            let message = elements(&text, "Message").next().unwrap_or_else(|| code.clone());
            return Err(Error::refused(self.operation(), status.as_u16(), &code, message));
        }
        let kind = kind.as_ref().and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        Err(Error::no_answer(self.operation(), status.as_u16(), kind, &text))
    }

    fn operation(&self) -> String {
        format!("s3 {}", self.operation)
    }
}

/// Whether the same request may well succeed a moment later. A bucket that was deleted a moment ago is in the way of a new one.
fn passes(error: &Error) -> bool {
    error.passes() || error.code() == "OperationAborted"
}

/// The texts of all elements of a name, in their order.
pub fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = String> + 'a {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (text, after) = after.split_once(&close)?;
        rest = after;
        let plain = [
            ("&lt;", "<"),
            ("&gt;", ">"),
            ("&quot;", "\""),
            ("&apos;", "'"),
            ("&amp;", "&"),
        ];
        Some(
            plain
                .iter()
                .fold(text.to_owned(), |text, (from, to)| text.replace(from, to)),
        )
    })
}

/// What the hosts of a region's services end in (AWS General Reference: "AWS service endpoints", by partition).
fn domain(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "amazonaws.com.cn",
        Some("eusc") => "amazonaws.eu",
        _ if region.starts_with("us-iso-") => "c2s.ic.gov",
        _ if region.starts_with("us-isob-") => "sc2s.sgov.gov",
        _ => "amazonaws.com",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_with_their_entities() {
        let keys: Vec<String> = elements("<A><Key>a &amp;lt; b</Key></A><Key></Key><Key>open", "Key").collect();
        assert_eq!(keys, ["a &lt; b", ""]);
    }

    #[test]
    fn a_bucket_has_a_host_on_aws_and_is_in_the_path_elsewhere() {
        let at = |endpoint: Option<&str>, region: &str| {
            let source = Arc::new(|| -> futures::future::BoxFuture<'static, _> { panic!("nothing is signed") });
            let credentials = Renewing::new(source, Clock::default());
            S3::new(
                endpoint.map(str::to_owned),
                region.to_owned(),
                credentials,
                Clock::default(),
            )
        };
        let aws = at(None, "eu-central-1");
        assert_eq!(
            aws.url("shelf", "a/b.json"),
            "https://shelf.s3.eu-central-1.amazonaws.com/a/b.json"
        );
        assert_eq!(aws.url("shelf", ""), "https://shelf.s3.eu-central-1.amazonaws.com/");
        let local = at(Some("http://127.0.0.1:4566"), "us-east-1");
        assert_eq!(local.url("shelf", "a/b.json"), "http://127.0.0.1:4566/shelf/a/b.json");
        assert_eq!(local.url("shelf", ""), "http://127.0.0.1:4566/shelf");
        assert!(local.create_bucket().body.is_empty(), "us-east-1 is no place to name");
        assert!(aws.create_bucket().body.contains("<LocationConstraint>eu-central-1<"));
    }

    #[test]
    fn each_partition_has_a_domain_of_its_own() {
        assert_eq!(domain("us-gov-west-1"), "amazonaws.com");
        assert_eq!(domain("cn-north-1"), "amazonaws.com.cn");
        assert_eq!(domain("eusc-de-east-1"), "amazonaws.eu");
    }
}
