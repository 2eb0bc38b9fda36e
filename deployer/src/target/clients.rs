//! Clients of the AWS services that deployer calls, and how patient they are.

use std::sync::Arc;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_cloudformation::config::retry::RetryConfig;
use aws_sdk_cloudformation::config::{Credentials, IdentityCache};

use super::capabilities::Identity;
use super::credentials::{self, Renewing, Source};
use super::plain::Plain;
use super::s3::S3;
use super::{Clock, Session, Wait, identity, profile, reach};
use crate::error::Result;
use crate::estimate::price;

/// Every client, with one configuration.
#[derive(Clone)]
pub struct Aws {
    pub cloudformation: aws_sdk_cloudformation::Client,
    pub ec2: aws_sdk_ec2::Client,
    pub ecr: aws_sdk_ecr::Client,
    pub ecs: aws_sdk_ecs::Client,
    pub elb: aws_sdk_elasticloadbalancingv2::Client,
    pub kafka: aws_sdk_kafka::Client,
    pub logs: aws_sdk_cloudwatchlogs::Client,
    /// Services of which one operation is asked.
    pub plain: Plain,
    /// The Price List API, which few regions have: in the nearest.
    pub pricing: aws_sdk_pricing::Client,
    pub s3: S3,
    pub ssm: aws_sdk_ssm::Client,
    pub sts: aws_sdk_sts::Client,
    /// Who answers.
    pub endpoint: Arc<Identity>,
    /// The region that is worked in.
    pub region: String,
    /// When the credentials end, in seconds since 1970; none where they do not.
    pub expiry: Option<i64>,
    /// How long to wait at first between two looks at something that changes.
    pub pace: Duration,
    pub clock: Clock,
}

impl Aws {
    /// Begins to wait for something that may take as long as `limit`.
    pub fn wait(&self, limit: Duration) -> Wait {
        Wait::begin(self.clock, self.pace, limit)
    }
}

/// Clients of a session; on AWS only where something answers, and somebody is known to it. They are adaptive there: once
/// throttled, all of them together send no faster than AWS takes it. A `source` stands in for what would be found.
pub(super) async fn connect(
    session: &Session,
    endpoint: Identity,
    clock: Clock,
    source: Option<Source>,
) -> Result<Aws> {
    let local = session.is_local();
    let (given, profile) = (session.common.region.clone(), session.common.profile.clone());
    if let Some(name) = profile.as_deref().filter(|_| !local && source.is_none()) {
        profile::require(name)?;
    }
    let region = match local {
        true => Region::new(given.unwrap_or_else(|| "us-east-1".to_owned())),
        false => identity::region(given.as_deref(), profile.as_deref()).await?,
    };
    let found = source.is_none() && !local;
    let source = source.unwrap_or_else(|| match local {
        true => Arc::new(|| Box::pin(async { Ok(Credentials::new("test", "test", None, None, "localstack")) })),
        false => credentials::chain(region.clone(), profile.clone()),
    });
    let renewing = Renewing::new(source, clock);
    let expiry = renewing.first().await?;
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(clock.stretched(Duration::from_secs(if local { 1 } else { 5 })))
        .read_timeout(clock.stretched(Duration::from_secs(60)))
        .build();
    let tries = match local {
        true => RetryConfig::standard()
            .with_max_attempts(2)
            .with_initial_backoff(Duration::from_millis(200)),
        false => RetryConfig::adaptive().with_max_attempts(8),
    };
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(region)
        .timeout_config(timeouts)
        .retry_config(tries)
        .sleep_impl(clock)
        // It keeps them itself, and forgets them when they are refused.
        .identity_cache(IdentityCache::no_cache())
        .credentials_provider(renewing.clone());
    if let Some(url) = session.endpoint_url() {
        loader = loader.endpoint_url(url);
    }
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    let config = loader.load().await;
    if found {
        reach::require(&config).await?;
    }
    macro_rules! client {
        ($sdk:ident) => {{
            let own = $sdk::config::Builder::from(&config).retry_classifier(renewing.clone());
            $sdk::Client::from_conf(own.build())
        }};
    }
    let region = config.region().map(|region| region.as_ref().to_owned());
    let region = region.unwrap_or_default();
    let base = match session.endpoint_url() {
        Some(url) => url,
        None => reach::regional(&config).await?,
    };
    let plain = Plain {
        credentials: renewing.clone(),
        region: region.clone(),
        clock,
        base,
    };
    let pricing = aws_sdk_pricing::config::Builder::from(&config)
        .region(Region::new(price::endpoint_region(&region)))
        .retry_classifier(renewing.clone());
    Ok(Aws {
        cloudformation: client!(aws_sdk_cloudformation),
        ec2: client!(aws_sdk_ec2),
        ecr: client!(aws_sdk_ecr),
        ecs: client!(aws_sdk_ecs),
        elb: client!(aws_sdk_elasticloadbalancingv2),
        kafka: client!(aws_sdk_kafka),
        logs: client!(aws_sdk_cloudwatchlogs),
        plain,
        pricing: aws_sdk_pricing::Client::from_conf(pricing.build()),
        s3: S3::new(session.endpoint_url(), region.clone(), renewing.clone(), clock),
        ssm: client!(aws_sdk_ssm),
        sts: client!(aws_sdk_sts),
        endpoint: Arc::new(endpoint),
        region,
        expiry,
        pace: if local {
            Duration::from_millis(250)
        } else {
            Duration::from_secs(3)
        },
        clock,
    })
}
