//! The services behind the gateway, and their addresses.

use anyhow::{Context, ensure};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Uri, uri};

/// A service that receives requests from the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Users and sessions.
    Auth,
    /// Patients and families.
    Patient,
    /// Billing accounts.
    Billing,
    /// Statistics.
    Analytics,
    /// Notifications of patients.
    Notification,
    /// The audit trail.
    Audit,
}

impl Backend {
    /// All backends, in the order in which [`Backends::new`] takes their URLs.
    pub const ALL: [Self; 6] = [
        Self::Auth,
        Self::Patient,
        Self::Billing,
        Self::Analytics,
        Self::Notification,
        Self::Audit,
    ];

    /// Returns the service's name, for logs, metrics and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth-service",
            Self::Patient => "patient-service",
            Self::Billing => "billing-service",
            Self::Analytics => "analytics-service",
            Self::Notification => "notification-service",
            Self::Audit => "audit-service",
        }
    }
}

/// The addresses of all backends.
#[derive(Debug, Clone)]
pub struct Backends([Authority; Backend::ALL.len()]);

impl Backends {
    /// Takes the name of the setting and the base URL of each backend, in the order of [`Backend::ALL`].
    ///
    /// # Errors
    /// Fails if a URL is not `http://host:port`; the message names the setting.
    pub fn new(urls: [(&str, &str); Backend::ALL.len()]) -> anyhow::Result<Self> {
        let parsed: Vec<Authority> = urls
            .into_iter()
            .map(|(setting, url)| authority(setting, url))
            .collect::<anyhow::Result<_>>()?;
        let parsed = parsed
            .try_into()
            .map_err(|_| anyhow::anyhow!("each service needs one URL"))?;
        Ok(Self(parsed))
    }

    /// Returns the URI of a path at a backend.
    ///
    /// # Errors
    /// Fails if the parts do not form a URI.
    pub fn uri(&self, backend: Backend, path: PathAndQuery) -> Result<Uri, http::Error> {
        let authority = self.0[backend as usize].clone();
        uri::Builder::new()
            .scheme(Scheme::HTTP)
            .authority(authority)
            .path_and_query(path)
            .build()
    }
}

fn authority(setting: &str, url: &str) -> anyhow::Result<Authority> {
    let uri: Uri = url.parse().with_context(|| format!("{setting} `{url}` is not a URL"))?;
    let is_origin =
        uri.scheme() == Some(&Scheme::HTTP) && uri.path().trim_end_matches('/').is_empty() && uri.query().is_none();
    ensure!(is_origin, "{setting} `{url}` must be http://host:port");
    uri.authority()
        .cloned()
        .with_context(|| format!("{setting} `{url}` has no host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_is_not_an_http_origin_is_rejected_with_the_name_of_its_setting() {
        for url in [
            "https://patient:4000",
            "patient:4000",
            "http://patient:4000/api",
            "http://",
        ] {
            let mut all = [("OTHER_URL", "http://127.0.0.1:1"); Backend::ALL.len()];
            all[1] = ("PATIENT_SERVICE_URL", url);
            let error = format!("{:#}", Backends::new(all).unwrap_err());
            assert!(error.starts_with("PATIENT_SERVICE_URL"), "{url}: {error}");
        }
    }
}
