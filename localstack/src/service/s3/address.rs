//! The bucket and the key in a request or a URL.

use std::net::Ipv4Addr;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::AwsError;

/// A bucket and the key of an object in it; empty where not given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    pub bucket: String,
    pub key: String,
}

/// The domains of hosts that name buckets: of AWS, of LocalStack and of this machine.
const DOMAINS: [&str; 4] = [
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".localhost.localstack.cloud",
    ".localhost",
];

impl Address {
    /// Parses a request's host (without port) and its percent-encoded path, in both styles of S3:
    /// `BUCKET.s3.localhost.localstack.cloud/KEY` (virtual-hosted) and `127.0.0.1/BUCKET/KEY` (path).
    ///
    /// # Errors
    /// Returns `InvalidURI` if the decoded path is not UTF-8.
    pub fn of(host: &str, path: &str) -> Result<Self, AwsError> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let decoded = percent_decode_str(path).decode_utf8();
        let path = decoded.map_err(|_| AwsError::new("InvalidURI", "Couldn't parse the specified URI."))?;
        Ok(if let Some(bucket) = bucket_of(host).flatten() {
            Self {
                bucket,
                key: path.into_owned(),
            }
        } else {
            let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
            Self {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
            }
        })
    }

    /// Parses the URL of an object on AWS or on this endpoint; returns `None` for any other URL.
    pub fn of_url(url: &str) -> Option<Self> {
        let url = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let host = url.host_str()?;
        bucket_of(host)?;
        let address = Self::of(host, url.path()).ok()?;
        (!address.bucket.is_empty() && !address.key.is_empty()).then_some(address)
    }
}

/// Returns the bucket in the name of an S3 host, `Some(None)` if the path names the bucket, and `None` for any other
/// host.
#[expect(
    clippy::option_option,
    reason = "another host, an S3 host without a bucket and one with a bucket are three cases"
)]
fn bucket_of(host: &str) -> Option<Option<String>> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let is_loopback = host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()) || host == "[::1]";
    if is_loopback || host == "localhost" || host == "localhost.localstack.cloud" {
        return Some(None);
    }
    let (domain, rest) = DOMAINS
        .iter()
        .find_map(|domain| Some((*domain, host.strip_suffix(domain)?)))?;
    let labels: Vec<&str> = rest.split('.').collect();
    let of_aws = domain.starts_with(".amazonaws");
    // `s3-eu-west-1` is the former notation of `s3.eu-west-1`.
    let service = |label: &&str| *label == "s3" || of_aws && label.starts_with("s3-");
    match labels.iter().rposition(service) {
        Some(0) => Some(None),
        Some(at) => Some(Some(labels[..at].join("."))),
        None if domain == ".localhost" => Some(Some(rest.to_owned())),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(url: &str) -> Option<String> {
        Address::of_url(url).map(|found| format!("{} {}", found.bucket, found.key))
    }

    #[test]
    fn every_notation_of_an_objects_url_is_understood() {
        for url in [
            "https://my.bucket.s3.eu-west-1.amazonaws.com/a/b%20c.json",
            "https://my.bucket.s3.amazonaws.com/a/b%20c.json?X-Amz-Expires=1",
            "https://s3.eu-west-1.amazonaws.com/my.bucket/a/b%20c.json",
            "https://s3-eu-west-1.amazonaws.com/my.bucket/a/b%20c.json",
            "https://s3.cn-north-1.amazonaws.com.cn/my.bucket/a/b%20c.json",
            "http://127.0.0.1:4566/my.bucket/a/b%20c.json",
            "http://[::1]:4566/my.bucket/a/b%20c.json",
            "http://my.bucket.s3.localhost.localstack.cloud:4566/a/b%20c.json",
            "http://my.bucket.localhost:4566/a/b%20c.json",
        ] {
            assert_eq!(named(url).as_deref(), Some("my.bucket a/b c.json"), "{url}");
        }
    }

    #[test]
    fn the_url_of_another_service_is_not_an_object() {
        for url in [
            "https://example.com/bucket/key",
            "https://ec2.us-east-1.amazonaws.com/bucket/key",
            "https://bucket.s3.amazonaws.com.example.com/key",
            "https://bucket.s3.amazonaws.com/",
            "file:///etc/passwd",
            "s3://bucket/key",
            "bucket/key",
        ] {
            assert_eq!(named(url), None, "{url}");
        }
    }
}
