//! The product that answers at an endpoint's URL.

mod addresses;
mod capability;
mod probe;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

pub use capability::{CAPABILITIES, Capability, CapabilityRow, Support};
pub use probe::{Probe, probe};

/// Products that speak the AWS API, as far as their differences are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointKind {
    /// AWS itself.
    Aws,
    /// This project's own endpoint.
    Embedded,
    /// LocalStack, Community or paid.
    LocalStack,
    /// A free imitation of LocalStack.
    Ministack,
    /// Moto's server.
    Moto,
    /// It has LocalStack's health document and is none of the above.
    Other,
}

/// An endpoint as its health document describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The product.
    pub kind: EndpointKind,
    /// The product's name, if it reports one.
    product: Option<String>,
    /// `community`, `pro`, `light` and so on, as each product spells it.
    pub edition: Option<String>,
    /// The version that the product reports.
    pub version: Option<String>,
    /// Its URL without a slash at the end; empty for AWS.
    pub url: String,
    /// The CA (a PEM file) of its load balancers' certificates; `None` if the system's trust store is enough.
    pub ca_file: Option<PathBuf>,
    /// The services that it lists, with their states.
    services: BTreeMap<String, String>,
}

impl Endpoint {
    /// Returns AWS itself, which is not probed.
    pub fn aws() -> Self {
        Self {
            kind: EndpointKind::Aws,
            product: None,
            edition: None,
            version: None,
            url: String::new(),
            ca_file: None,
            services: BTreeMap::new(),
        }
    }

    /// Reads the response to `GET /_localstack/health`. Some products identify themselves at another path, and moto has no such
    /// document: the caller puts the product's name under `product` (see [`probe`]).
    pub fn from_health(health: &Value, url: &str) -> Self {
        let text = |name: &str| health[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let edition = text("edition");
        let kind = match (text("product").as_deref(), edition.as_deref()) {
            (Some("ministack"), _) => EndpointKind::Ministack,
            (Some("moto"), _) => EndpointKind::Moto,
            (_, Some("embedded")) => EndpointKind::Embedded,
            // The names of LocalStack's images and of its unreleased builds.
            (_, Some("community" | "pro" | "enterprise" | "unknown")) => EndpointKind::LocalStack,
            _ => EndpointKind::Other,
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
            ca_file: text("authority")
                .filter(|_| kind == EndpointKind::Embedded)
                .map(PathBuf::from),
            services: services.collect(),
        }
    }

    /// Returns whether it is another product's imitation of AWS: neither AWS nor the embedded endpoint.
    pub fn is_foreign(&self) -> bool {
        !matches!(self.kind, EndpointKind::Aws | EndpointKind::Embedded)
    }

    /// Returns whether it lists a service as usable; `None` if it lists nothing.
    pub fn lists(&self, service: &str) -> Option<bool> {
        if self.services.is_empty() {
            return None;
        }
        let state = self.services.get(service);
        Some(state.is_some_and(|state| !matches!(state.as_str(), "disabled" | "error")))
    }

    /// Returns host and port, such as `127.0.0.1:4566`.
    pub fn authority(&self) -> String {
        let url = url::Url::parse(&self.url).ok();
        let parts = url
            .as_ref()
            .and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
        parts.map(|(host, port)| format!("{host}:{port}")).unwrap_or_default()
    }

    fn product(&self) -> &str {
        match self.kind {
            EndpointKind::Aws => "AWS",
            EndpointKind::Embedded => "the embedded endpoint",
            EndpointKind::LocalStack => "LocalStack",
            EndpointKind::Ministack => "ministack",
            EndpointKind::Moto => "moto",
            EndpointKind::Other => self.product.as_deref().unwrap_or("an unknown endpoint"),
        }
    }
}

/// `LocalStack pro 4.14.0`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.product())?;
        let edition = self.edition.as_deref().filter(|_| self.is_foreign());
        for part in edition.into_iter().chain(self.version.as_deref()) {
            write!(f, " {part}")?;
        }
        Ok(())
    }
}
