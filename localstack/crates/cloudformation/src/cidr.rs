//! `Fn::Cidr`.

use std::net::Ipv4Addr;

/// `count` blocks of `bits` host bits out of an IPv4 block.
///
/// # Errors
/// Words that say what does not fit.
pub fn blocks(block: &str, count: u32, bits: u32) -> Result<Vec<String>, String> {
    let fault = || format!("Template error: Fn::Cidr cannot read the block {block}");
    let (address, prefix) = block.split_once('/').ok_or_else(fault)?;
    let address: Ipv4Addr = address.parse().map_err(|_| fault())?;
    let prefix: u32 = prefix.parse().ok().filter(|p| *p <= 32).ok_or_else(fault)?;
    if !(1..=256).contains(&count) || bits == 0 || bits > 32 - prefix {
        return Err(format!(
            "Template error: Fn::Cidr cannot give {count} blocks of {bits} host bits out of {block}"
        ));
    }
    let size = 1u64 << bits;
    if size * u64::from(count) > 1u64 << (32 - prefix) {
        return Err(format!(
            "Template error: Fn::Cidr cannot give {count} blocks of {bits} host bits out of {block}"
        ));
    }
    let first = u64::from(u32::from(address)) & !((1u64 << (32 - prefix)) - 1);
    Ok((0..u64::from(count))
        .map(|i| format!("{}/{}", Ipv4Addr::from((first + i * size) as u32), 32 - bits))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_cut_into_equal_parts() {
        assert_eq!(blocks("10.0.0.0/16", 2, 8).unwrap(), ["10.0.0.0/24", "10.0.1.0/24"]);
        assert!(blocks("10.0.0.0/24", 3, 7).is_err());
        assert!(blocks("nonsense", 1, 8).is_err());
    }
}
