//! Which bucket and which object a request or a URL means.

use std::net::Ipv4Addr;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::AwsError;

/// A bucket, and an object in it; what is not named is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    pub bucket: String,
    pub key: String,
}

/// Whose hosts name buckets: AWS's, LocalStack's, and those of this machine.
const DOMAINS: [&str; 4] = [
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".localhost.localstack.cloud",
    ".localhost",
];

impl Address {
    /// From a request's host (without port) and its path, percent-encoded as it came. Both ways of S3 are known:
    /// `BUCKET.s3.localhost.localstack.cloud/KEY` and `127.0.0.1/BUCKET/KEY`.
    pub fn of(host: &str, path: &str) -> Result<Self, AwsError> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let decoded = percent_decode_str(path).decode_utf8();
        let path = decoded.map_err(|_| AwsError::new("InvalidURI", "Couldn't parse the specified URI."))?;
        Ok(match bucket_of(host).flatten() {
            Some(bucket) => Self {
                bucket,
                key: path.into_owned(),
            },
            None => {
                let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
                Self {
                    bucket: bucket.to_owned(),
                    key: key.to_owned(),
                }
            }
        })
    }

    /// The object that a URL names, AWS's own or this endpoint's; none for a URL that is not S3's.
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

/// The bucket in a host's name, where it is one of S3's; `Some(None)` when the path names the bucket.
#[expect(
    clippy::option_option,
    reason = "no host of S3, one without a bucket, and one with it are three answers"
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
    // `s3-eu-west-1` is how AWS once wrote `s3.eu-west-1`
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
    fn every_way_to_write_an_objects_url_means_the_same() {
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
    fn what_is_not_s3s_is_no_object() {
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
