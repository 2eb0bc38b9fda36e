//! A session: the clients of one endpoint, with one configuration, one identity and one retry policy.

use std::sync::Arc;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_cloudformation::config::IdentityCache;
use aws_sdk_cloudformation::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_sdk_cloudformation::config::retry::{RetryPartition, TokenBucket};
use platform::manifest::{Partition, is_region};
use platform::suggest;

use crate::connectivity::{self, ConnectError, RESPONSE_TIMEOUT};
use crate::credentials::{self, CredentialsSource, RefreshingCredentials};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::retry::{OutageReport, RetryPolicy};
use crate::s3::S3;
use crate::signed_request::SignedClient;
use crate::{Clock, Wait, http, profile, region};

/// Region of a local endpoint, unless another one is configured.
const LOCAL_REGION: &str = "us-east-1";

/// Options of a session.
#[derive(Clone, Default)]
pub struct SessionOptions {
    /// True for a local endpoint: fixed credentials, short timeouts, no connection test.
    pub local: bool,
    /// The URL of the endpoint; `None` is the region's own.
    pub endpoint_url: Option<String>,
    /// The region; `None` takes it from the environment or the profile.
    pub region: Option<String>,
    /// The profile; `None` takes it from the environment.
    pub profile: Option<String>,
    /// The product that answers there, if it has been probed; AWS otherwise.
    pub endpoint: Option<Endpoint>,
    /// The clock, which tests replace.
    pub clock: Clock,
    /// Replaces the default credentials; the connection is not tested then.
    pub credentials: Option<CredentialsSource>,
}

/// A session that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Neither an option, the environment nor the profile names a region.
    #[error("no AWS region is configured: neither --region nor AWS_REGION nor the profile names one")]
    NoRegion,
    /// The name is not that of a region.
    #[error("{region} is not an AWS region, such as eu-central-1")]
    InvalidRegion {
        /// The name as configured.
        region: String,
    },
    /// The region is of a partition for which the templates are not built.
    #[error(
        "{region} is in {}, where endpoints, services and certificates differ; the templates are not built for it. Use a commercial \
         region",
        partition.name()
    )]
    UnsupportedPartition {
        /// The name of the region.
        region: String,
        /// Its partition.
        partition: Partition,
    },
    /// The region has no CloudFormation.
    #[error("region {region} has no CloudFormation endpoint: {reason}")]
    NoEndpointInRegion {
        /// The name of the region.
        region: String,
        /// The SDK's reason.
        reason: String,
    },
    /// No configuration file has the profile.
    #[error("profile '{name}' does not exist in the files of the AWS CLI{}", suggestion.as_ref().map(|name| format!("; did you mean '{name}'?")).unwrap_or_default())]
    UnknownProfile {
        /// The name as configured.
        name: String,
        /// A similar name that exists.
        suggestion: Option<String>,
    },
    /// Nothing answers at the endpoint.
    #[error("{url} is unreachable: {source}")]
    Unreachable {
        /// Its URL.
        url: String,
        /// The cause.
        source: ConnectError,
    },
    /// The endpoint does not speak HTTP.
    #[error("{url} does not answer over HTTP: {source}")]
    NotHttp {
        /// Its URL.
        url: String,
        /// The cause.
        source: http::HttpError,
    },
    /// The configured URL of the endpoint is not valid.
    #[error(transparent)]
    InvalidUrl(ConnectError),
    /// A request failed while the session was opened.
    #[error(transparent)]
    Request(#[from] Error),
}

/// The clients, with one configuration.
#[derive(Clone)]
pub struct Session {
    pub(crate) cloudformation: aws_sdk_cloudformation::Client,
    pub(crate) ecr: aws_sdk_ecr::Client,
    pub(crate) ecs: aws_sdk_ecs::Client,
    pub(crate) elb: aws_sdk_elasticloadbalancingv2::Client,
    pub(crate) kafka: aws_sdk_kafka::Client,
    pub(crate) logs: aws_sdk_cloudwatchlogs::Client,
    /// The Price List API, which few regions have: in the nearest.
    pub(crate) pricing: aws_sdk_pricing::Client,
    pub(crate) ssm: aws_sdk_ssm::Client,
    pub(crate) sts: aws_sdk_sts::Client,
    /// Services whose SDK is not linked.
    pub signed: SignedClient,
    pub(crate) s3: S3,
    identity: Identity,
    retry: RetryPolicy,
}

/// Everything of a session but its clients and their retry policy.
#[derive(Clone)]
struct Identity {
    endpoint: Arc<Endpoint>,
    region: String,
    expiry: Option<i64>,
    poll_interval: Duration,
    clock: Clock,
    config: SdkConfig,
    credentials: RefreshingCredentials,
    endpoint_url: Option<String>,
    /// URL of CloudFormation's endpoint.
    base: String,
    /// ARN of the role with which CloudFormation works.
    cloudformation_role: Option<String>,
}

impl Session {
    /// Opens a session. On AWS the endpoint must take a connection, and the credentials must be usable.
    ///
    /// # Errors
    /// The region, the profile or the endpoint is missing or wrong, or there are no credentials.
    pub async fn open(options: SessionOptions) -> Result<Self, SessionError> {
        let SessionOptions {
            local,
            endpoint_url,
            clock,
            credentials: source,
            ..
        } = options;
        let test_connection = source.is_none() && !local;
        if let Some(name) = options.profile.as_deref().filter(|_| test_connection) {
            require_profile(name)?;
        }
        let region = match (options.region, local) {
            (Some(region), true) => Region::new(region),
            (None, true) => Region::new(LOCAL_REGION),
            (Some(region), false) if is_region(&region) => Region::new(region),
            (Some(region), false) => return Err(SessionError::InvalidRegion { region }),
            (None, false) => region::find(options.profile.as_deref())
                .await
                .ok_or(SessionError::NoRegion)?,
        };
        if let Some(partition) = Partition::unsupported(region.as_ref()).filter(|_| !local) {
            let region = region.to_string();
            return Err(SessionError::UnsupportedPartition { region, partition });
        }
        let source = source.unwrap_or_else(|| {
            if local {
                credentials::fixed("test", "test")
            } else {
                credentials::chain(region.clone(), options.profile.clone())
            }
        });
        let credentials = RefreshingCredentials::new(source, clock);
        let expiry = credentials.load().await?;
        let retry = RetryPolicy::new(clock, local);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(clock.stretched(Duration::from_secs(if local { 1 } else { 5 })))
            .read_timeout(clock.stretched(Duration::from_mins(1)))
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(region.clone())
            .timeout_config(timeouts)
            .retry_config(retry.sdk_config())
            .sleep_impl(clock)
            // They are cached in `RefreshingCredentials`, until AWS rejects them.
            .identity_cache(IdentityCache::no_cache())
            .credentials_provider(credentials.clone());
        if let Some(url) = &endpoint_url {
            loader = loader.endpoint_url(url);
        }
        if let Some(profile) = options.profile {
            loader = loader.profile_name(profile);
        }
        let config = loader.load().await;
        if test_connection {
            require_connection(&config).await?;
        }
        let base = match &endpoint_url {
            Some(url) => url.clone(),
            None => cloudformation_url(&config).await?,
        };
        let identity = Identity {
            endpoint: Arc::new(options.endpoint.unwrap_or_else(Endpoint::aws)),
            region: region.as_ref().to_owned(),
            expiry,
            poll_interval: if local {
                Duration::from_millis(250)
            } else {
                Duration::from_secs(3)
            },
            clock,
            config,
            credentials,
            endpoint_url,
            base,
            cloudformation_role: None,
        };
        Ok(identity.session(retry))
    }

    /// Returns the same session with clients that retry for up to `limit` while nothing answers or the services are overloaded.
    #[must_use]
    pub fn tolerating_outages(&self, limit: Duration, report: OutageReport) -> Self {
        self.identity
            .clone()
            .session(self.retry.tolerating_outages(limit, report))
    }

    /// Replaces the product that answers, for tests of other endpoints' behaviour.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: Endpoint) -> Self {
        self.identity.endpoint = Arc::new(endpoint);
        self
    }

    /// Returns the same session with a role, by ARN, with which CloudFormation works in place of the caller's session.
    ///
    /// CloudFormation keeps the role for later operations on the stack (AWS CloudFormation User Guide: CloudFormation service role).
    /// It does not expire with the caller's session.
    #[must_use]
    pub fn with_cloudformation_role(mut self, role: Option<String>) -> Self {
        self.identity.cloudformation_role = role;
        self
    }

    /// Returns the ARN of the role with which CloudFormation works; `None` if it works with the caller's session.
    pub fn cloudformation_role(&self) -> Option<String> {
        self.identity.cloudformation_role.clone()
    }

    /// Starts to wait for something that may take as long as `timeout`.
    pub fn wait(&self, timeout: Duration) -> Wait {
        Wait::start(self.clock(), self.poll_interval(), timeout)
    }

    /// Returns the product that answers.
    pub fn endpoint(&self) -> &Endpoint {
        &self.identity.endpoint
    }

    /// Returns the region of the session.
    pub fn region(&self) -> &str {
        &self.identity.region
    }

    /// Returns the clock of the session.
    pub fn clock(&self) -> Clock {
        self.identity.clock
    }

    /// Returns the first interval between two polls of something that changes.
    pub fn poll_interval(&self) -> Duration {
        self.identity.poll_interval
    }

    /// Returns the expiry of the credentials in seconds since 1970; `None` if they do not expire.
    pub fn credentials_expiry(&self) -> Option<i64> {
        self.identity.expiry
    }
}

impl Identity {
    fn session(self, retry: RetryPolicy) -> Session {
        macro_rules! config {
            ($sdk:ident) => {{
                let config = $sdk::config::Builder::from(&self.config).retry_classifier(self.credentials.clone());
                match retry.tolerates_outages() {
                    false => config,
                    true => {
                        // The ordinary quota of retries is too small for a long outage.
                        let partition = RetryPartition::custom(stringify!($sdk)).token_bucket(TokenBucket::unlimited());
                        config
                            .interceptor(retry.clone())
                            .retry_partition(partition.build())
                    }
                }
            }};
        }
        macro_rules! client {
            ($sdk:ident) => {
                $sdk::Client::from_conf(config!($sdk).build())
            };
        }
        let signed = SignedClient::new(
            self.credentials.clone(),
            self.region.clone(),
            self.clock,
            retry.clone(),
            self.base.clone(),
        );
        let pricing = config!(aws_sdk_pricing).region(Region::new(region::pricing_region(&self.region)));
        Session {
            cloudformation: client!(aws_sdk_cloudformation),
            ecr: client!(aws_sdk_ecr),
            ecs: client!(aws_sdk_ecs),
            elb: client!(aws_sdk_elasticloadbalancingv2),
            kafka: client!(aws_sdk_kafka),
            logs: client!(aws_sdk_cloudwatchlogs),
            pricing: aws_sdk_pricing::Client::from_conf(pricing.build()),
            ssm: client!(aws_sdk_ssm),
            sts: client!(aws_sdk_sts),
            s3: S3::new(self.endpoint_url.clone(), signed.clone()),
            signed,
            identity: self,
            retry,
        }
    }
}

fn require_profile(name: &str) -> Result<(), SessionError> {
    let known = profile::names();
    if known.iter().any(|known| known == name) {
        return Ok(());
    }
    let suggestion = suggest::closest_match(name, known.iter().map(String::as_str));
    Err(SessionError::UnknownProfile {
        name: name.to_owned(),
        suggestion: suggestion.map(str::to_owned),
    })
}

/// Requires that CloudFormation's endpoint takes a connection and, if its URL is configured, answers over HTTP.
///
/// With a proxy for HTTPS there is no test: names may not resolve on this machine, only on the proxy.
async fn require_connection(config: &SdkConfig) -> Result<(), SessionError> {
    let configured = config.endpoint_url().map(str::to_owned);
    let proxied = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let url = match &configured {
        Some(url) => url.clone(),
        None if proxied => return Ok(()),
        None => cloudformation_url(config).await?,
    };
    match connectivity::connect(&url).await {
        Ok(()) => {}
        Err(error @ ConnectError::InvalidUrl { .. }) => return Err(SessionError::InvalidUrl(error)),
        Err(source) => return Err(SessionError::Unreachable { url, source }),
    }
    if configured.is_some()
        && let Err(source) = http::get(&url, RESPONSE_TIMEOUT).await
    {
        return Err(SessionError::NotHttp { url, source });
    }
    Ok(())
}

/// Returns the URL of CloudFormation in the configured region.
async fn cloudformation_url(config: &SdkConfig) -> Result<String, SessionError> {
    let region = config.region().map(|region| region.as_ref().to_owned());
    let unknown = |reason: String| SessionError::NoEndpointInRegion {
        region: region.clone().unwrap_or_default(),
        reason,
    };
    let params = Params::builder().set_region(region.clone()).build();
    let params = params.map_err(|error| unknown(error.to_string()))?;
    let found = DefaultResolver::new().resolve_endpoint(&params).await;
    let found = found.map_err(|error| unknown(error.to_string()))?;
    Ok(found.url().to_owned())
}
