//! The key by which a caller is counted.

use std::net::IpAddr;

use uuid::Uuid;

/// Identifies a caller for the rate limit and the concurrency limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallerKey {
    /// The user of a valid token.
    User(Uuid),
    /// The client's address, if known; an IPv6 address stands for its /64, which one customer owns.
    Address(Option<IpAddr>),
}

impl CallerKey {
    /// Returns the key of an address.
    pub fn address(address: Option<IpAddr>) -> Self {
        Self::Address(address.map(|address| match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
            v4 @ IpAddr::V4(_) => v4,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_caller() {
        let key = |text: &str| CallerKey::address(text.parse().ok());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }
}
