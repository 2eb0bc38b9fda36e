//! IPv4 blocks.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// A block such as `10.0.0.0/16`; host bits are cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    network: u32,
    pub prefix: u8,
}

impl Cidr {
    pub fn contains(self, other: Self) -> bool {
        self.prefix <= other.prefix && other.network & mask(self.prefix) == self.network
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// The address at a place in the block.
    pub fn address(self, n: u32) -> String {
        Ipv4Addr::from(self.network.saturating_add(n)).to_string()
    }

    /// How many addresses a subnet of this size leaves: AWS keeps five.
    pub fn usable(self) -> u64 {
        (1u64 << (32 - self.prefix)).saturating_sub(5)
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("Value ({text}) for parameter cidrBlock is invalid. This is not a valid CIDR block.");
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        let prefix: u8 = prefix.parse().ok().filter(|prefix| *prefix <= 32).ok_or_else(wrong)?;
        Ok(Self {
            network: u32::from(address) & mask(prefix),
            prefix,
        })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.network), self.prefix)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_contain_and_overlap() {
        let cidr = |text: &str| text.parse::<Cidr>().unwrap();
        assert!(cidr("0.0.0.0/0").contains(cidr("10.1.0.0/16")));
        assert!(cidr("10.0.0.0/16").contains(cidr("10.0.3.0/24")));
        assert!(!cidr("10.0.0.0/16").contains(cidr("10.1.0.0/24")));
        assert!(cidr("10.0.3.0/24").overlaps(cidr("10.0.0.0/16")));
        assert!(!cidr("10.0.3.0/24").overlaps(cidr("10.0.4.0/24")));
        assert_eq!(
            (cidr("10.0.0.7/24").to_string(), cidr("10.0.0.0/24").usable()),
            ("10.0.0.0/24".into(), 251)
        );
        assert!("10.0.0.0/33".parse::<Cidr>().is_err() && "10.0.0/8".parse::<Cidr>().is_err());
    }
}
