//! Who answers at an endpoint's URL.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

/// Programs that speak the AWS API, as far as their differences are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Aws,
    Embedded,
    LocalStack,
    Ministack,
    Moto,
    /// It answers as LocalStack does and is none of the above.
    Other,
}

/// An endpoint as it introduces itself in its health document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub kind: Kind,
    /// Its name, where it says one.
    product: Option<String>,
    /// `community`, `pro`, `light`, …: each product's own word.
    pub edition: Option<String>,
    pub version: Option<String>,
    /// Where it listens, without a slash at the end; empty for AWS.
    pub url: String,
    /// The file (PEM) of the authority that vouches for its load balancers; none where the machine's own authorities do.
    pub vouching: Option<PathBuf>,
    /// The services that it lists, with their states.
    services: BTreeMap<String, String>,
}

impl Identity {
    /// AWS itself, which nobody asks who it is.
    pub fn aws() -> Self {
        Self {
            kind: Kind::Aws,
            product: None,
            edition: None,
            version: None,
            url: String::new(),
            vouching: None,
            services: BTreeMap::new(),
        }
    }

    /// From the answer to `GET /_localstack/health`. Some say at a path of their own who they are, and moto has no such
    /// document: whoever asks puts the product's name under `product`.
    pub fn of(health: &Value, url: &str) -> Self {
        let text = |name: &str| health[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let edition = text("edition");
        let kind = match (text("product").as_deref(), edition.as_deref()) {
            (Some("ministack"), _) => Kind::Ministack,
            (Some("moto"), _) => Kind::Moto,
            (_, Some("embedded")) => Kind::Embedded,
            // the names of LocalStack's images and of its unreleased builds
            (_, Some("community" | "pro" | "enterprise" | "unknown")) => Kind::LocalStack,
            _ => Kind::Other,
        };
        let listed = health["services"].as_object();
        let services = listed.into_iter().flatten().map(|(name, state)| {
            let state = state.as_str().unwrap_or_default();
            (name.clone(), state.to_owned())
        });
        Self {
            kind,
            product: text("product"),
            edition,
            version: text("version"),
            url: url.trim_end_matches('/').to_owned(),
            vouching: text("authority").filter(|_| kind == Kind::Embedded).map(PathBuf::from),
            services: services.collect(),
        }
    }

    /// Whether what it does is another one's imitation: neither AWS nor the endpoint that deployer brings.
    pub fn is_foreign(&self) -> bool {
        !matches!(self.kind, Kind::Aws | Kind::Embedded)
    }

    /// Whether it lists this service and can use it; none when it lists nothing.
    pub fn lists(&self, service: &str) -> Option<bool> {
        if self.services.is_empty() {
            return None;
        }
        let state = self.services.get(service);
        Some(state.is_some_and(|state| !matches!(state.as_str(), "disabled" | "error")))
    }

    /// `127.0.0.1:4566`: where it listens, as a host and a port.
    pub fn authority(&self) -> String {
        let url = url::Url::parse(&self.url).ok();
        let parts = url
            .as_ref()
            .and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
        parts.map(|(host, port)| format!("{host}:{port}")).unwrap_or_default()
    }

    fn product(&self) -> &str {
        match self.kind {
            Kind::Aws => "AWS",
            Kind::Embedded => "the embedded endpoint",
            Kind::LocalStack => "LocalStack",
            Kind::Ministack => "ministack",
            Kind::Moto => "moto",
            Kind::Other => self.product.as_deref().unwrap_or("an endpoint that is not known"),
        }
    }
}

/// `LocalStack pro 4.14.0`.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.product())?;
        let edition = self.edition.as_deref().filter(|_| self.is_foreign());
        for word in edition.into_iter().chain(self.version.as_deref()) {
            write!(f, " {word}")?;
        }
        Ok(())
    }
}
