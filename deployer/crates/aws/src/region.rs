//! The region to work in.

use std::time::Duration;

use aws_config::Region;
use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::imds::{self, region::ImdsRegionProvider};
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;

/// Returns the region of the environment, the profile, or the EC2 instance.
pub async fn find(profile: Option<&str>) -> Option<Region> {
    let mut profiles = ProfileFileRegionProvider::builder();
    if let Some(profile) = profile {
        profiles = profiles.profile_name(profile);
    }
    let chain = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(profiles.build())
        .or_else(ImdsRegionProvider::builder().imds_client(instance_metadata()).build());
    chain.region().await
}

/// Returns the host of a service whose endpoint is the same in all regions of a partition, and the region with which its requests are
/// signed ("AWS Identity and Access Management endpoints and quotas", "Amazon Route 53 endpoints and quotas"). `None` for a regional
/// service.
pub fn global(service: &str, region: &str) -> Option<(&'static str, &'static str)> {
    let partition = match region.split_once('-') {
        Some(("us", rest)) if rest.starts_with("gov-") => "us-gov",
        Some((partition @ ("cn" | "eusc"), _)) => partition,
        _ => "",
    };
    Some(match (service, partition) {
        ("iam", "us-gov") => ("iam.us-gov.amazonaws.com", "us-gov-west-1"),
        ("iam", "cn") => ("iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("iam", "eusc") => ("iam.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
        ("iam", _) => ("iam.amazonaws.com", "us-east-1"),
        ("route53", "us-gov") => ("route53.us-gov.amazonaws.com", "us-gov-west-1"),
        ("route53", "cn") => ("route53.amazonaws.com.cn", "cn-northwest-1"),
        ("route53", "eusc") => ("route53.amazonaws.eu", "eusc-de-east-1"),
        ("route53", _) => ("route53.amazonaws.com", "us-east-1"),
        _ => return None,
    })
}

/// Returns the region of the nearest Price List endpoint ("Price List Service API endpoints").
pub fn pricing_region(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("eu" | "il" | "me" | "af") => "eu-central-1",
        Some("ap") => "ap-south-1",
        Some("cn") => "cn-northwest-1",
        _ => "us-east-1",
    }
}

/// Returns a client of the instance metadata service. On an EC2 instance it answers within milliseconds; elsewhere the timeouts are
/// short.
pub fn instance_metadata() -> imds::Client {
    imds::Client::builder()
        .max_attempts(1)
        .connect_timeout(Duration::from_millis(400))
        .read_timeout(Duration::from_millis(600))
        .build()
}
