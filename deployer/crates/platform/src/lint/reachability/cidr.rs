//! IPv4 and IPv6 networks, compared.

use std::net::IpAddr;

/// A network as a rule or subnet names it; IPv4 networks are kept among IPv6's mapped ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: u128,
    bits: u32,
}

impl Network {
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let bits: u32 = bits.parse().ok()?;
        let (first, bits) = match address.parse().ok()? {
            IpAddr::V4(address) if bits <= 32 => (address.to_ipv6_mapped().to_bits(), bits + 96),
            IpAddr::V6(address) if bits <= 128 => (address.to_bits(), bits),
            _ => return None,
        };
        let network = Self { first, bits };
        Some(Self {
            first: first & network.mask(),
            bits,
        })
    }

    fn mask(self) -> u128 {
        u128::MAX.checked_shl(128 - self.bits).unwrap_or(0)
    }

    pub fn contains(&self, other: &Self) -> bool {
        other.bits >= self.bits && other.first & self.mask() == self.first
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// The broadcast address, which nobody has: the idiom of a rule that opens nothing.
    pub fn is_nobody(&self) -> bool {
        Self::parse("255.255.255.255/32").as_ref() == Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_each_other() {
        let of = |text: &str| Network::parse(text).unwrap();
        assert!(of("0.0.0.0/0").contains(&of("10.20.3.0/24")) && of("10.20.3.7/24").overlaps(&of("10.20.0.0/16")));
        assert!(!of("10.20.0.0/16").contains(&of("0.0.0.0/0")) && !of("10.20.3.0/24").overlaps(&of("10.20.4.0/24")));
        assert!(of("::/0").contains(&of("2001:db8::/32")) && !of("10.0.0.0/8").overlaps(&of("2001:db8::/32")));
        assert_eq!(
            (Network::parse("10.0.0.0"), Network::parse("10.0.0.0/33")),
            (None, None)
        );
    }
}
