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

/// Returns the host of IAM, and the region with which its requests are signed ("AWS Identity and Access Management endpoints and
/// quotas").
pub fn iam(region: &str) -> (&'static str, &'static str) {
    match region.split_once('-') {
        Some(("us", rest)) if rest.starts_with("gov-") => ("iam.us-gov.amazonaws.com", "us-gov-west-1"),
        Some(("cn", _)) => ("iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        Some(("eusc", _)) => ("iam.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
        _ => ("iam.amazonaws.com", "us-east-1"),
    }
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
