//! The address of a client, as the gateway tells it.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::request::Parts;

/// The client's address, for slowing down those who guess; never for trust.
///
/// The gateway replaces whatever a client sent by the one address that it has seen, and nobody else can reach this
/// service; so the last entry is the gateway's. An IPv6 address stands for its /64, which is what one customer has.
pub struct ClientAddress(Option<String>);

impl ClientAddress {
    /// The address; callers without one share a name.
    pub fn as_str(&self) -> &str {
        self.known().unwrap_or("direct")
    }

    /// The address where it is known.
    pub fn known(&self) -> Option<&str> {
        self.0.as_deref()
    }

    fn parse(text: &str) -> ClientAddress {
        let text = text.trim();
        let network = match text.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(IpAddr::V6(v6)) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()).to_string(),
            Ok(v4) => v4.to_string(),
            Err(_) => text.to_owned(),
        };
        ClientAddress(Some(network).filter(|text| !text.is_empty()))
    }
}

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let last = parts.headers.get_all("x-forwarded-for").iter().next_back();
        let address = last
            .and_then(|value| value.to_str().ok())
            .and_then(|list| list.rsplit(',').next());
        Ok(ClientAddress::parse(address.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::ClientAddress;

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_client() {
        let seen = |text: &str| ClientAddress::parse(text).as_str().to_owned();
        assert_eq!(seen("2001:db8::1"), seen(" 2001:db8::ffff:2"));
        assert_ne!(seen("2001:db8::1"), seen("2001:db8:0:1::1"));
        assert_eq!(seen("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(seen(""), "direct");
    }
}
