//! The context of a command: output, common options, manifest, and the connection to its target.

use std::path::{Path, PathBuf};

use aws::connectivity::ConnectError;
use aws::endpoint::{Probe, probe};
use aws::location::{LocationError, require_location};
use aws::{Endpoint, SessionError, SessionOptions};
use platform::manifest::{Account, Manifest, ManifestError};
use platform::stacks::{self, Plan};
use serde_json::Value;
use ui::Ui;

use crate::cli::{Common, TargetName};
use crate::embedded::{self, Behavior, EmbeddedOptions};

/// The context of every command.
#[derive(Clone)]
pub struct Session {
    pub ui: Ui,
    pub common: Common,
    /// Path of the manifest; it need not exist for commands that do not read it.
    pub manifest: PathBuf,
}

/// A target that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Location(#[from] LocationError),
    #[error(transparent)]
    Embedded(#[from] embedded::Error),
    #[error("no AWS endpoint is reachable at {url}: {source}")]
    NoEndpoint { url: String, source: ConnectError },
    #[error("{url} is unreachable: {source}")]
    Unreachable { url: String, source: ConnectError },
    #[error("port {port} is in use by something other than an AWS endpoint: {found}")]
    PortInUse { port: u16, found: String },
}

impl Session {
    pub fn new(common: Common, ui: Ui) -> Self {
        let manifest = find(&common.manifest);
        Self { ui, common, manifest }
    }

    pub fn is_local(&self) -> bool {
        self.common.target == TargetName::Localstack
    }

    /// Reads the manifest.
    ///
    /// # Errors
    /// It does not exist, or is not valid.
    pub fn load(&self) -> Result<Manifest, ManifestError> {
        Manifest::load(&self.manifest, &self.common.environment)
    }

    /// Returns the plan of the manifest.
    ///
    /// # Errors
    /// The manifest does not exist, or is not valid.
    pub fn plan(&self) -> Result<Plan, ManifestError> {
        Ok(stacks::plan(&self.load()?))
    }

    /// Returns the state directory of the embedded endpoint, as an absolute path.
    pub fn state_dir(&self) -> PathBuf {
        let path = self.common.state_dir.clone().unwrap_or_else(|| {
            self.manifest
                .parent()
                .map_or_else(|| PathBuf::from(".localstack"), |dir| dir.join(".localstack"))
        });
        std::path::absolute(&path).unwrap_or(path)
    }

    /// Returns the options of the embedded endpoint.
    pub fn embedded_options(&self) -> EmbeddedOptions {
        EmbeddedOptions {
            port: self.common.port,
            state_dir: self.state_dir(),
            loopback_octet: self.common.loopback_octet(),
            region: self.common.region.clone(),
            broker: self.common.broker.clone(),
            // The process reads the variables itself.
            behavior: Behavior::default(),
        }
    }

    /// Returns the endpoint's URL; `None` is AWS itself.
    pub fn endpoint_url(&self) -> Option<String> {
        let local = || format!("http://127.0.0.1:{}", self.common.port);
        self.common
            .endpoint_url
            .clone()
            .map(|url| url.trim_end_matches('/').to_owned())
            .or_else(|| self.is_local().then(local))
    }

    /// Returns the name of the target in stored data and plans: the endpoint's URL, or `aws` with the region.
    pub fn endpoint_name(&self) -> String {
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

    /// Probes the local endpoint.
    ///
    /// # Errors
    /// Its URL is not valid.
    pub async fn probe(&self) -> Result<Probe, Error> {
        let url = self.endpoint_url().unwrap_or_default();
        Ok(probe(&url).await.map_err(SessionError::InvalidUrl)?)
    }

    /// Opens a session once something answers. Never starts the embedded endpoint.
    ///
    /// # Errors
    /// Nothing answers, something else than an AWS endpoint does, or a session cannot be opened.
    pub async fn connect(&self) -> Result<aws::Session, Error> {
        if self.is_local() {
            self.connect_to(self.probe().await?).await
        } else {
            self.open(None).await
        }
    }

    /// Opens a session with a local endpoint that has been probed already.
    ///
    /// # Errors
    /// See [`connect`](Self::connect).
    pub async fn connect_to(&self, probe: Probe) -> Result<aws::Session, Error> {
        let health = self.require_endpoint(probe)?;
        self.open(Some(self.endpoint(&health))).await
    }

    /// Opens a session; if nothing listens on the port, the embedded endpoint is started first.
    ///
    /// # Errors
    /// The embedded endpoint does not start; see also [`connect`](Self::connect).
    pub async fn connect_or_start(&self) -> Result<aws::Session, Error> {
        if !self.is_local() {
            return self.open(None).await;
        }
        match self.probe().await? {
            Probe::Nothing(_) if self.common.endpoint_url.is_none() => {
                self.start_embedded().await?;
                self.connect().await
            }
            probe => self.connect_to(probe).await,
        }
    }

    /// Starts the embedded endpoint and waits until it answers.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_embedded(&self) -> Result<(), embedded::Error> {
        self.start_embedded_with(Behavior::default()).await
    }

    /// Starts the embedded endpoint with delays and limits that it imitates.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn start_embedded_with(&self, behavior: Behavior) -> Result<(), embedded::Error> {
        let mut options = self.embedded_options();
        options.behavior = behavior;
        let starting = embedded::start(&options)?;
        self.ui.info(format!(
            "nothing listens on port {}: started the embedded endpoint (pid {}, state in {})",
            options.port,
            starting.pid(),
            options.state_dir.display()
        ));
        starting.wait().await
    }

    /// Returns the health document of a probe.
    ///
    /// # Errors
    /// Nothing answers, or something else than an AWS endpoint does.
    pub fn require_endpoint(&self, probe: Probe) -> Result<Value, Error> {
        let url = self.endpoint_url().unwrap_or_default();
        match probe {
            Probe::Endpoint(health) => Ok(health),
            Probe::Nothing(source) if self.common.endpoint_url.is_some() => Err(Error::Unreachable { url, source }),
            Probe::Nothing(source) => Err(Error::NoEndpoint { url, source }),
            Probe::Other(found) => Err(Error::PortInUse {
                port: port(&url),
                found,
            }),
        }
    }

    /// Returns the product with this health document.
    pub fn endpoint(&self, health: &Value) -> Endpoint {
        Endpoint::from_health(health, &self.endpoint_url().unwrap_or_default())
    }

    /// Returns the account of the environment. It does not apply to a local endpoint, nor to a command without a manifest.
    fn account(&self) -> Account {
        if self.is_local() {
            return Account::default();
        }
        self.load().map(|manifest| manifest.account).unwrap_or_default()
    }

    /// Opens a session in the account and region of the environment, with its role for CloudFormation.
    async fn open(&self, endpoint: Option<Endpoint>) -> Result<aws::Session, Error> {
        let account = self.account();
        let options = SessionOptions {
            local: self.is_local(),
            endpoint_url: self.endpoint_url(),
            region: self.common.region.clone().or_else(|| account.region.clone()),
            profile: self.common.profile.clone(),
            endpoint,
            ..SessionOptions::default()
        };
        let aws = aws::Session::open(options).await?;
        require_location(&aws, account.id.as_deref(), account.region.as_deref()).await?;
        Ok(aws.with_cloudformation_role(account.cloudformation_role))
    }
}

impl Error {
    /// Returns what to do next, if there is something.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Manifest(error) => return error.hint(),
            Self::Embedded(error) => return error.hint(),
            Self::NoEndpoint { .. } => {
                "start it with `deployer endpoint start`, or deploy with `deployer up`, which starts it; --endpoint-url or --port select another one"
            }
            Self::Unreachable { .. }
            | Self::Session(SessionError::Unreachable { .. } | SessionError::NotHttp { .. }) => {
                "check the URL or region, the network and the proxy (HTTPS_PROXY); without --endpoint-url the target's own endpoint is used"
            }
            Self::Session(SessionError::NoRegion) => {
                "set it with --region, AWS_REGION, or `aws configure set region` in the profile"
            }
            Self::Session(SessionError::UnknownProfile { .. }) => {
                "check --profile, AWS_PROFILE and the permissions of the identity (`aws sts get-caller-identity`)"
            }
            Self::Location(LocationError::Account { .. }) => {
                "use the credentials of that account (--profile, AWS_PROFILE), or select another environment with --env"
            }
            Self::Location(LocationError::Region { .. }) => {
                "leave --region out, or select another environment with --env"
            }
            Self::PortInUse { .. } => "stop what listens there, or choose another port with --port",
            Self::Session(_) | Self::Location(LocationError::Request(_)) => return None,
        };
        Some(hint.to_owned())
    }
}

/// Returns the manifest as given, or that of the nearest parent directory with a manifest of this name.
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

fn port(url: &str) -> u16 {
    url::Url::parse(url)
        .ok()
        .and_then(|url| url.port_or_known_default())
        .unwrap_or_default()
}
