//! The services behind the gateway.

use anyhow::{Context, ensure};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Uri, uri};

/// A service that requests are sent on to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Auth,
    Patient,
    Billing,
    Analytics,
    Notification,
}

impl Peer {
    /// Every peer, in the order in which [`Peers::new`] takes the addresses.
    pub const ALL: [Peer; 5] = [
        Peer::Auth,
        Peer::Patient,
        Peer::Billing,
        Peer::Analytics,
        Peer::Notification,
    ];

    /// The service's name, for logs and messages.
    pub fn name(self) -> &'static str {
        match self {
            Peer::Auth => "auth-service",
            Peer::Patient => "patient-service",
            Peer::Billing => "billing-service",
            Peer::Analytics => "analytics-service",
            Peer::Notification => "notification-service",
        }
    }
}

/// Where each peer is.
#[derive(Debug, Clone)]
pub struct Peers([Authority; 5]);

impl Peers {
    /// Takes the name of the setting and the base URL of each peer, in the order of [`Peer::ALL`].
    ///
    /// # Errors
    /// When an address is not `http://host:port`.
    pub fn new(addresses: [(&str, &str); 5]) -> anyhow::Result<Peers> {
        let parsed: Vec<Authority> = addresses
            .into_iter()
            .map(|(name, url)| authority(name, url))
            .collect::<anyhow::Result<_>>()?;
        let parsed: [Authority; 5] = parsed
            .try_into()
            .map_err(|_| anyhow::anyhow!("five addresses are needed"))?;
        Ok(Peers(parsed))
    }

    /// The address of a path at a peer.
    pub fn uri(&self, peer: Peer, path: PathAndQuery) -> Result<Uri, http::Error> {
        let authority = self.0[peer as usize].clone();
        uri::Builder::new()
            .scheme(Scheme::HTTP)
            .authority(authority)
            .path_and_query(path)
            .build()
    }
}

fn authority(name: &str, url: &str) -> anyhow::Result<Authority> {
    let uri: Uri = url.parse().with_context(|| format!("{name} `{url}` is not a URL"))?;
    let plain =
        uri.scheme() == Some(&Scheme::HTTP) && uri.path().trim_end_matches('/').is_empty() && uri.query().is_none();
    ensure!(plain, "{name} `{url}` must be http://host:port");
    uri.authority()
        .cloned()
        .with_context(|| format!("{name} `{url}` has no host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_no_plain_http_address_is_refused_by_the_name_of_its_setting() {
        for url in [
            "https://patient:4000",
            "patient:4000",
            "http://patient:4000/api",
            "http://",
        ] {
            let mut all = [("OTHER_URL", "http://127.0.0.1:1"); 5];
            all[1] = ("PATIENT_SERVICE_URL", url);
            let error = format!("{:#}", Peers::new(all).unwrap_err());
            assert!(error.contains("PATIENT_SERVICE_URL"), "{url}: {error}");
        }
    }
}
