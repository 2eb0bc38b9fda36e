//! Extractor of the client's address, as the gateway forwards it.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::request::Parts;

/// The client's address, used to slow down guessing; never for authorization.
///
/// The gateway replaces the header that a client sent with the one address that it received the request from, and only
/// the gateway can reach this service; so the last entry is the gateway's. An IPv6 address stands for its /64, which one
/// customer owns.
pub struct ClientAddress(Option<String>);

impl ClientAddress {
    /// Returns the address; callers without an address share one name.
    pub fn as_str(&self) -> &str {
        self.known().unwrap_or("direct")
    }

    /// Returns the address, if known.
    pub fn known(&self) -> Option<&str> {
        self.0.as_deref()
    }

    fn parse(text: &str) -> Self {
        let text = text.trim();
        let network = match text.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(IpAddr::V6(v6)) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()).to_string(),
            Ok(v4) => v4.to_string(),
            Err(_) => text.to_owned(),
        };
        Self(Some(network).filter(|text| !text.is_empty()))
    }
}

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let last = parts.headers.get_all("x-forwarded-for").iter().next_back();
        let address = last
            .and_then(|value| value.to_str().ok())
            .and_then(|list| list.rsplit(',').next());
        Ok(Self::parse(address.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::ClientAddress;

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_client() {
        let parsed = |text: &str| ClientAddress::parse(text).as_str().to_owned();
        assert_eq!(parsed("2001:db8::1"), parsed(" 2001:db8::ffff:2"));
        assert_ne!(parsed("2001:db8::1"), parsed("2001:db8:0:1::1"));
        assert_eq!(parsed("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(parsed(""), "direct");
    }
}
