//! Who asks on AWS: region and credentials, found or missed while a person waits.

use std::time::Duration;

use aws_config::Region;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::imds::{self, region::ImdsRegionProvider};
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_credential_types::provider::error::CredentialsError;

use crate::error::{Error, Result};

/// The region of `--region`, the environment, the profile, or the EC2 instance.
pub async fn region(given: Option<&str>, profile: Option<&str>) -> Result<Region> {
    if let Some(given) = given {
        return match is_region(given) {
            true => Ok(Region::new(given.to_owned())),
            false => Err(Error::Usage(format!(
                "--region {given} is no region of AWS, such as eu-central-1 or us-gov-west-1"
            ))),
        };
    }
    let mut profiles = ProfileFileRegionProvider::builder();
    if let Some(profile) = profile {
        profiles = profiles.profile_name(profile);
    }
    let chain = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(profiles.build())
        .or_else(ImdsRegionProvider::builder().imds_client(instance()).build());
    chain.region().await.ok_or(Error::NoRegion)
}

/// Whether a text has the shape of a region's name: a partition or continent, where, and a number.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let word = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase());
    match parts.as_slice() {
        [words @ .., number] => {
            (2..=3).contains(&words.len()) && words.iter().all(word) && number.parse::<u32>().is_ok()
        }
        [] => false,
    }
}

/// The SDK's own chain: environment, profile, SSO, web identity, container, EC2 instance.
pub async fn chain(region: &Region, profile: Option<&str>) -> DefaultCredentialsChain {
    let mut chain = DefaultCredentialsChain::builder()
        .region(region.clone())
        .imds_client(instance());
    if let Some(profile) = profile {
        chain = chain.profile_name(profile);
    }
    chain.build().await
}

/// The instance's metadata service answers within milliseconds where there is one; elsewhere nobody waits for it.
fn instance() -> imds::Client {
    imds::Client::builder()
        .max_attempts(1)
        .connect_timeout(Duration::from_millis(400))
        .read_timeout(Duration::from_millis(600))
        .build()
}

/// What a person is told who has no credentials.
pub fn refused(error: &CredentialsError) -> Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let message = match error {
        CredentialsError::CredentialsNotLoaded(_) => {
            "no usable credentials were found in the environment, the profile, or this machine's role".to_owned()
        }
        _ => format!("no usable credentials were found: {cause}"),
    };
    Error::Denied {
        operation: "signing in to AWS".into(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::is_region;

    #[test]
    fn a_region_has_a_regions_shape() {
        for right in [
            "eu-central-1",
            "us-gov-west-1",
            "ap-southeast-5",
            "us-iso-east-1",
            "eusc-de-east-1",
        ] {
            assert!(is_region(right), "{right}");
        }
        for wrong in [
            "",
            "nonsense",
            "Frankfurt",
            "eu-central",
            "eu-central-1a",
            "eu_central_1",
            "1-2-3",
        ] {
            assert!(!is_region(wrong), "{wrong}");
        }
    }
}
