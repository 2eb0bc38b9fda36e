//! S3, as far as uploading a template needs it. The methods are named after the IAM permission that each needs.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::Method;
use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::signed_request::{SignedClient, SignedRequest};
use crate::xml;

const NAMESPACE: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

/// A bucket, and the number of the account that must own it: S3 rejects every request if another account does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// The name, unique among all accounts of a partition.
    pub name: String,
    /// The account that made it.
    pub owner: String,
}

/// The client.
#[derive(Clone)]
pub struct S3 {
    /// Without a slash at its end; `None` for AWS, where each bucket has a host name.
    endpoint: Option<String>,
    client: SignedClient,
}

impl S3 {
    pub(crate) fn new(endpoint: Option<String>, client: SignedClient) -> Self {
        Self { endpoint, client }
    }

    /// Returns the URL of an object, as CloudFormation takes it as `TemplateURL`.
    pub fn url(&self, bucket: &str, key: &str) -> String {
        let region = self.client.region();
        match &self.endpoint {
            Some(endpoint) => format!("{endpoint}/{bucket}/{key}").trim_end_matches('/').to_owned(),
            None => format!("https://{bucket}.s3.{region}.{}/{key}", dns_suffix(region)),
        }
    }

    /// Creates a bucket in the region of the client. In us-east-1 an existing one is not an error.
    pub(crate) fn create_bucket(&self) -> Request<'_> {
        let region = self.client.region();
        // us-east-1 is the default and must not be named.
        let body = if region == "us-east-1" {
            String::new()
        } else {
            format!(
                "<CreateBucketConfiguration {NAMESPACE}><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
            )
        };
        Request {
            check_owner: false,
            ..self.request("CreateBucket", Method::PUT)
        }
        .body(body)
    }

    pub(crate) fn delete_bucket(&self) -> Request<'_> {
        self.request("DeleteBucket", Method::DELETE)
    }

    pub(crate) fn put_bucket_public_access_block(&self) -> Request<'_> {
        let body = format!(
            "<PublicAccessBlockConfiguration {NAMESPACE}>\
             <BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>\
             <BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets>\
             </PublicAccessBlockConfiguration>"
        );
        self.request("PutPublicAccessBlock", Method::PUT)
            .query("publicAccessBlock")
            .body(body)
    }

    /// Sets the lifecycle rule of the bucket; see [`Request::expiration_days`].
    pub(crate) fn put_lifecycle_configuration(&self) -> Request<'_> {
        self.request("PutBucketLifecycleConfiguration", Method::PUT)
            .query("lifecycle")
    }

    /// Lists up to a thousand keys (`ListObjectsV2`).
    pub(crate) fn list_bucket(&self) -> Request<'_> {
        self.request("ListObjectsV2", Method::GET).query("list-type=2")
    }

    /// Stores an object, encrypted by S3 with its own key.
    pub(crate) fn put_object(&self) -> Request<'_> {
        self.request("PutObject", Method::PUT)
            .header("content-type", "application/json")
            .header("x-amz-server-side-encryption", "AES256")
    }

    pub(crate) fn delete_object(&self) -> Request<'_> {
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
            check_owner: true,
        }
    }
}

/// A request that is not sent yet.
pub(crate) struct Request<'a> {
    s3: &'a S3,
    operation: &'static str,
    method: Method,
    query: &'static str,
    key: String,
    headers: Vec<(&'static str, String)>,
    body: String,
    /// True if S3 checks the owner of the bucket.
    check_owner: bool,
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

    /// Sets the key of the object: characters that need no encoding in a URL.
    pub fn key(mut self, key: &str) -> Self {
        key.clone_into(&mut self.key);
        self
    }

    /// Sets a lifecycle rule that deletes every object after this many days.
    pub fn expiration_days(self, days: u32) -> Self {
        self.body(format!(
            "<LifecycleConfiguration {NAMESPACE}><Rule><Expiration><Days>{days}</Days></Expiration>\
             <ID>used-templates</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status></Rule>\
             </LifecycleConfiguration>"
        ))
    }

    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the request and returns the body of the response.
    pub async fn send(mut self, bucket: &Bucket) -> Result<String> {
        if self.check_owner {
            self.headers.push(("x-amz-expected-bucket-owner", bucket.owner.clone()));
        }
        if !self.body.is_empty() {
            let sum = BASE64_STANDARD.encode(Sha256::digest(&self.body));
            self.headers.push(("x-amz-checksum-sha256", sum));
        }
        let url = self.s3.url(&bucket.name, &self.key);
        let request = SignedRequest {
            service: "s3",
            operation: self.operation,
            method: self.method,
            url: match self.query {
                "" => url,
                query => format!("{url}?{query}"),
            },
            headers: self.headers,
            body: self.body,
        };
        self.s3.client.send(&request).await
    }
}

/// Returns the keys of a response to `ListObjectsV2`.
pub(crate) fn keys(response: &str) -> Vec<String> {
    let list = xml::parse(response);
    let objects = xml::items(&list, "Contents").into_iter();
    let keys = objects.filter_map(|object| object["Key"].as_str());
    keys.map(str::to_owned).collect()
}

/// Returns the suffix of the host names of a region's services (AWS General Reference: "AWS service endpoints", by partition).
fn dns_suffix(region: &str) -> &'static str {
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
    use crate::Clock;
    use crate::credentials::{self, RefreshingCredentials};
    use crate::retry::RetryPolicy;

    fn s3(endpoint: Option<&str>, region: &str) -> S3 {
        let clock = Clock::default();
        let credentials = RefreshingCredentials::new(credentials::fixed("key", "secret"), clock);
        let retry = RetryPolicy::new(clock, true);
        let client = SignedClient::new(credentials, region.to_owned(), clock, retry, String::new());
        S3::new(endpoint.map(str::to_owned), client)
    }

    #[test]
    fn keys_are_read_with_their_entities() {
        let object = |key: &str| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>");
        let list = |objects: &str| format!("<ListBucketResult><KeyCount>2</KeyCount>{objects}</ListBucketResult>");
        assert_eq!(keys(&list(&(object("a &amp; b") + &object("c")))), ["a & b", "c"]);
        assert_eq!(keys(&list(&object("one"))), ["one"]);
        assert!(keys(&list("")).is_empty());
    }

    #[test]
    fn a_bucket_has_a_host_name_on_aws_and_a_path_elsewhere() {
        let aws = s3(None, "eu-central-1");
        assert_eq!(
            aws.url("shelf", "a/b.json"),
            "https://shelf.s3.eu-central-1.amazonaws.com/a/b.json"
        );
        assert_eq!(aws.url("shelf", ""), "https://shelf.s3.eu-central-1.amazonaws.com/");
        let local = s3(Some("http://127.0.0.1:4566"), "us-east-1");
        assert_eq!(local.url("shelf", "a/b.json"), "http://127.0.0.1:4566/shelf/a/b.json");
        assert_eq!(local.url("shelf", ""), "http://127.0.0.1:4566/shelf");
        assert!(local.create_bucket().body.is_empty(), "us-east-1 is not named");
        assert!(aws.create_bucket().body.contains("<LocationConstraint>eu-central-1<"));
    }

    #[test]
    fn each_partition_has_its_dns_suffix() {
        assert_eq!(dns_suffix("us-gov-west-1"), "amazonaws.com");
        assert_eq!(dns_suffix("cn-north-1"), "amazonaws.com.cn");
        assert_eq!(dns_suffix("eusc-de-east-1"), "amazonaws.eu");
    }
}
