//! `Fn::Cidr`.

use ipnet::Ipv4Net;

/// An `Fn::Cidr` that has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    #[error("Template error: Fn::Cidr cannot parse the block {0}")]
    Block(String),
    #[error("Template error: Fn::Cidr cannot return {count} blocks of {host_bits} host bits in {block}")]
    Size { block: String, count: u32, host_bits: u32 },
}

/// Returns `count` consecutive blocks with `host_bits` host bits from an IPv4 block.
///
/// # Errors
/// When the block is not a CIDR block, or too small.
pub fn blocks(block: &str, count: u32, host_bits: u32) -> Result<Vec<String>, CidrError> {
    let network = parse(block).ok_or_else(|| CidrError::Block(block.to_owned()))?;
    let too_small = || CidrError::Size {
        block: block.to_owned(),
        count,
        host_bits,
    };
    if !(1..=256).contains(&count) || host_bits == 0 {
        return Err(too_small());
    }
    let prefix = 32u32
        .checked_sub(host_bits)
        .and_then(|prefix| u8::try_from(prefix).ok());
    let subnets = prefix
        .and_then(|prefix| network.subnets(prefix).ok())
        .ok_or_else(too_small)?;
    let blocks: Vec<String> = subnets.take(count as usize).map(|subnet| subnet.to_string()).collect();
    if blocks.len() < count as usize {
        return Err(too_small());
    }
    Ok(blocks)
}

/// Parses a CIDR block. The standard library parses the address, because ipnet accepts leading zeros.
fn parse(block: &str) -> Option<Ipv4Net> {
    let (address, prefix) = block.split_once('/')?;
    Ipv4Net::new(address.parse().ok()?, prefix.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_divided_into_equal_parts() {
        assert_eq!(blocks("10.0.0.0/16", 2, 8).unwrap(), ["10.0.0.0/24", "10.0.1.0/24"]);
        assert_eq!(blocks("10.0.1.7/24", 1, 8).unwrap(), ["10.0.1.0/24"]);
    }

    #[test]
    fn blocks_that_do_not_fit_are_errors() {
        for (count, host_bits) in [(3, 7), (1, 9), (1, 0), (0, 4), (257, 1), (1, 33)] {
            assert!(matches!(
                blocks("10.0.0.0/24", count, host_bits),
                Err(CidrError::Size { .. })
            ));
        }
        for block in ["nonsense", "10.0.0.0", "10.0.0.0/33", "010.0.0.0/16"] {
            assert_eq!(blocks(block, 1, 8), Err(CidrError::Block(block.to_owned())));
        }
    }
}
