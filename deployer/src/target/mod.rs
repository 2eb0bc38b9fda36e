//! Where a command works: AWS, LocalStack or the embedded endpoint. They differ in URL and credentials only.

pub mod capabilities;
pub mod embedded;
pub mod http;
pub mod identity;
pub mod reach;
#[cfg(test)]
pub mod scripted;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_cloudformation::config::Credentials;
use aws_sdk_cloudformation::config::retry::RetryConfig;

use crate::cli::{Common, TargetName};
use crate::error::Result;
use crate::estimate::price;
use crate::manifest::Manifest;
use crate::stacks::{self, Plan};
use crate::ui::Ui;
use capabilities::Identity;

/// What every command works with.
#[derive(Clone)]
pub struct Session {
    pub ui: Ui,
    pub common: Common,
    /// The manifest as found; it need not exist for commands that do not read it.
    pub manifest: PathBuf,
}

/// Clients of the AWS services that deployer calls.
#[derive(Clone)]
pub struct Aws {
    pub cloudformation: aws_sdk_cloudformation::Client,
    pub ec2: aws_sdk_ec2::Client,
    pub ecr: aws_sdk_ecr::Client,
    pub ecs: aws_sdk_ecs::Client,
    pub elb: aws_sdk_elasticloadbalancingv2::Client,
    pub kafka: aws_sdk_kafka::Client,
    pub logs: aws_sdk_cloudwatchlogs::Client,
    pub ssm: aws_sdk_ssm::Client,
    pub sts: aws_sdk_sts::Client,
    /// Who answers.
    pub endpoint: Arc<Identity>,
    /// What the clients are made of, for those that one command alone needs.
    config: Arc<SdkConfig>,
    /// When the credentials end, in seconds since 1970; none where they do not.
    pub expiry: Option<i64>,
    /// How long to wait between two looks at something that changes.
    pub pace: Duration,
}

impl Session {
    pub fn new(common: Common, ui: Ui) -> Self {
        let manifest = find(&common.manifest);
        Self { ui, common, manifest }
    }

    pub fn is_local(&self) -> bool {
        self.common.target == TargetName::Localstack
    }

    pub fn load(&self) -> Result<Manifest> {
        Ok(Manifest::load(&self.manifest, &self.common.environment)?)
    }

    pub fn plan(&self) -> Result<Plan> {
        Ok(stacks::plan(&self.load()?))
    }

    /// Where the embedded endpoint keeps its state, as an absolute path.
    pub fn state_dir(&self) -> PathBuf {
        let path = self.common.state_dir.clone().unwrap_or_else(|| {
            self.manifest
                .parent()
                .map_or_else(|| PathBuf::from(".localstack"), |dir| dir.join(".localstack"))
        });
        std::path::absolute(&path).unwrap_or(path)
    }

    /// The endpoint's URL; `None` is AWS itself.
    pub fn endpoint_url(&self) -> Option<String> {
        let local = || format!("http://127.0.0.1:{}", self.common.port);
        self.common
            .endpoint_url
            .clone()
            .map(|url| url.trim_end_matches('/').to_owned())
            .or_else(|| self.is_local().then(local))
    }

    /// What this target is called where something is remembered of it: the endpoint's URL, or `aws` with the region.
    pub fn place(&self) -> String {
        self.endpoint_url().unwrap_or_else(|| {
            let variables = ["AWS_REGION", "AWS_DEFAULT_REGION"];
            let region = self
                .common
                .region
                .clone()
                .or_else(|| variables.iter().find_map(|name| std::env::var(name).ok()));
            format!("aws {}", region.unwrap_or_else(|| "of the profile".to_owned()))
        })
    }

    /// The clients, once it is known that something answers. Never starts anything.
    pub async fn connect(&self) -> Result<Aws> {
        let endpoint = match self.is_local() {
            true => self.identity(&embedded::probe(self).await?.require(self)?),
            false => Identity::aws(),
        };
        self.clients(endpoint).await
    }

    /// The clients; on a machine where nothing listens, the embedded endpoint is started first.
    pub async fn connect_or_start(&self) -> Result<Aws> {
        let endpoint = match self.is_local() {
            true => self.identity(&embedded::start_unless_answering(self).await?),
            false => Identity::aws(),
        };
        self.clients(endpoint).await
    }

    /// Who answered with this health document.
    pub fn identity(&self, health: &serde_json::Value) -> Identity {
        Identity::of(health, &self.endpoint_url().unwrap_or_default())
    }

    async fn clients(&self, endpoint: Identity) -> Result<Aws> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(if self.is_local() { 1 } else { 5 }))
            .read_timeout(Duration::from_secs(60))
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts);
        if let Some(url) = self.endpoint_url() {
            loader = loader.endpoint_url(url);
        }
        if let Some(profile) = &self.common.profile {
            loader = loader.profile_name(profile);
        }
        let mut expiry = None;
        if self.is_local() {
            let region = self.common.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
            loader = loader
                .region(Region::new(region))
                .credentials_provider(Credentials::new("test", "test", None, None, "localstack"))
                .retry_config(
                    RetryConfig::standard()
                        .with_max_attempts(2)
                        .with_initial_backoff(Duration::from_millis(200)),
                );
        } else {
            loader = loader.retry_config(RetryConfig::standard().with_max_attempts(6));
            let profile = self.common.profile.as_deref();
            let region = identity::region(self.common.region.as_deref(), profile).await?;
            let (credentials, end) = identity::credentials(&region, profile).await?;
            expiry = end;
            loader = loader.region(region).credentials_provider(credentials);
        }
        let config = loader.load().await;
        if !self.is_local() {
            reach::require(&config).await?;
        }
        Ok(Aws {
            cloudformation: aws_sdk_cloudformation::Client::new(&config),
            ec2: aws_sdk_ec2::Client::new(&config),
            ecr: aws_sdk_ecr::Client::new(&config),
            ecs: aws_sdk_ecs::Client::new(&config),
            elb: aws_sdk_elasticloadbalancingv2::Client::new(&config),
            kafka: aws_sdk_kafka::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            ssm: aws_sdk_ssm::Client::new(&config),
            sts: aws_sdk_sts::Client::new(&config),
            endpoint: Arc::new(endpoint),
            config: Arc::new(config),
            expiry,
            pace: if self.is_local() {
                Duration::from_millis(250)
            } else {
                Duration::from_secs(3)
            },
        })
    }
}

impl Aws {
    /// The region that is worked in.
    pub fn region(&self) -> Option<String> {
        self.config.region().map(|region| region.as_ref().to_owned())
    }

    /// A client of the Price List API, which few regions have.
    pub fn pricing(&self) -> aws_sdk_pricing::Client {
        let region = price::endpoint_region(&self.region().unwrap_or_default());
        let config = aws_sdk_pricing::config::Builder::from(&*self.config).region(Region::new(region));
        aws_sdk_pricing::Client::from_conf(config.build())
    }
}

/// The manifest as given, or of the nearest directory above that has one of this name.
fn find(given: &Path) -> PathBuf {
    if given.components().count() > 1 || given.exists() {
        return std::path::absolute(given).unwrap_or_else(|_| given.to_owned());
    }
    let here = std::env::current_dir().unwrap_or_default();
    here.ancestors()
        .map(|dir| dir.join(given))
        .find(|path| path.is_file())
        .unwrap_or_else(|| here.join(given))
}
