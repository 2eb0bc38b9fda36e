//! Where a command works: AWS, LocalStack or the embedded endpoint. They differ in URL and credentials only.

pub mod capabilities;
mod clients;
mod clock;
pub mod credentials;
pub mod embedded;
pub mod http;
pub mod identity;
pub mod plain;
pub mod port;
mod profile;
pub mod reach;
pub mod registry;
pub mod s3;
#[cfg(test)]
pub mod scripted;

use std::path::{Path, PathBuf};

pub use clients::Aws;
pub use clock::{Clock, Wait};

use crate::cli::{Common, TargetName};
use crate::error::Result;
use crate::manifest::Manifest;
use crate::stacks::{self, Plan};
use capabilities::Identity;
use ui::Ui;

/// What every command works with.
#[derive(Clone)]
pub struct Session {
    pub ui: Ui,
    pub common: Common,
    /// The manifest as found; it need not exist for commands that do not read it.
    pub manifest: PathBuf,
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
        match self.is_local() {
            true => self.connect_to(embedded::probe(self).await?).await,
            false => self.clients(Identity::aws()).await,
        }
    }

    /// The clients of a local endpoint that has been asked already: nobody waits twice for one that keeps silent.
    pub async fn connect_to(&self, answer: embedded::Answer) -> Result<Aws> {
        self.clients(self.identity(&answer.require(self)?)).await
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
        clients::connect(self, endpoint, Clock::default(), None).await
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
