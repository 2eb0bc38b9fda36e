//! IPv4 CIDR blocks as EC2 reads them.

use ipnet::Ipv4Net;

/// The addresses of each subnet that AWS reserves ("Subnet CIDR blocks").
const RESERVED_ADDRESSES: u64 = 5;

/// A text that is not a CIDR block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Value ({0}) for parameter cidrBlock is invalid. This is not a valid CIDR block.")]
pub struct InvalidCidr(pub String);

/// Parses a block such as `10.0.0.0/16` and clears its host bits.
///
/// # Errors
/// [`InvalidCidr`] when the text has no prefix length, or an address or a prefix length that IPv4 does not have.
pub fn parse(text: &str) -> Result<Ipv4Net, InvalidCidr> {
    let invalid = || InvalidCidr(text.to_owned());
    // The address is read by the standard library: ipnet accepts leading zeros.
    let (address, prefix) = text.split_once('/').ok_or_else(invalid)?;
    let (address, prefix) = (address.parse().ok(), prefix.parse().ok());
    let block = Ipv4Net::new(address.ok_or_else(invalid)?, prefix.ok_or_else(invalid)?);
    Ok(block.map_err(|_| invalid())?.trunc())
}

pub fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

/// Returns the number of addresses that a subnet of this block offers.
pub fn usable_addresses(block: Ipv4Net) -> u64 {
    (1u64 << (32 - block.prefix_len())).saturating_sub(RESERVED_ADDRESSES)
}

/// Returns the address at an offset from the start of the block.
pub fn address_at(block: Ipv4Net, offset: u32) -> String {
    let first = u32::from(block.network());
    std::net::Ipv4Addr::from(first.saturating_add(offset)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_contain_and_overlap() {
        let block = |text: &str| parse(text).unwrap();
        assert!(block("0.0.0.0/0").contains(&block("10.1.0.0/16")));
        assert!(block("10.0.0.0/16").contains(&block("10.0.3.0/24")));
        assert!(!block("10.0.0.0/16").contains(&block("10.1.0.0/24")));
        assert!(overlap(block("10.0.3.0/24"), block("10.0.0.0/16")));
        assert!(!overlap(block("10.0.3.0/24"), block("10.0.4.0/24")));
        assert_eq!(
            (
                block("10.0.0.7/24").to_string(),
                usable_addresses(block("10.0.0.0/24")),
                address_at(block("10.0.0.7/24"), 4)
            ),
            ("10.0.0.0/24".into(), 251, "10.0.0.4".into())
        );
        for text in ["10.0.0.0/33", "10.0.0/8", "10.0.0.0", "010.0.0.0/8"] {
            assert_eq!(parse(text), Err(InvalidCidr(text.into())));
        }
    }
}
