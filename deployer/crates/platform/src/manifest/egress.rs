//! Ways out of the platform: where a service may go that is no link of this manifest.

use std::net::Ipv4Addr;

use super::{Cidr, file};

/// What EC2 takes in the description of a security group's rule, besides letters and digits.
const DESCRIBED: &str = " ._-:/()#,@[]+=&;{}!$*";

/// TCP to one port of one IPv4 network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Egress {
    /// As in `203.0.113.0/24`.
    pub cidr: String,
    pub port: u16,
    /// What it is for; becomes the rule's description.
    pub reason: String,
}

impl Egress {
    /// Checks what is written. The error is for the person who wrote it.
    pub fn parse(own: &file::Egress, platform: Cidr) -> Result<Self, String> {
        let (address, bits) = network(&own.cidr)?;
        if own.port == 0 {
            return Err(format!("{}: 0 is not a port", own.cidr));
        }
        if bits >= platform.bits && masked(address, platform.bits) == platform.address {
            return Err(format!(
                "{} is inside this platform ({platform}), whose paths follow from `calls`, `database` and topics",
                own.cidr
            ));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || DESCRIBED.contains(c);
        if own.reason.is_empty() || own.reason.len() > 255 || !own.reason.chars().all(allowed) {
            return Err(format!(
                "{}: the reason has 1 to 255 letters, digits, spaces or {}",
                own.cidr,
                DESCRIBED.trim_start()
            ));
        }
        Ok(Self {
            cidr: own.cidr.clone(),
            port: own.port,
            reason: own.reason.clone(),
        })
    }
}

/// Reads an IPv4 network as EC2 takes it: the bits behind the prefix are zero.
pub fn network(text: &str) -> Result<(Ipv4Addr, u8), String> {
    let parts = text.split_once('/').and_then(|(address, bits)| {
        let bits = bits.parse().ok().filter(|bits| *bits <= 32)?;
        Some((address.parse::<Ipv4Addr>().ok()?, bits))
    });
    match parts {
        None => Err(format!("'{text}' is not an IPv4 network as in 10.30.0.0/16")),
        Some((address, bits)) if masked(address, bits) != address => Err(format!(
            "'{text}' has bits behind its prefix; {}/{bits} is the network",
            masked(address, bits)
        )),
        Some(parts) => Ok(parts),
    }
}

/// The network of an address.
fn masked(address: Ipv4Addr, bits: u8) -> Ipv4Addr {
    let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
    Ipv4Addr::from(u32::from(address) & mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(cidr: &str, port: u16, reason: &str) -> Result<Egress, String> {
        let platform = Cidr {
            address: Ipv4Addr::new(10, 20, 0, 0),
            bits: 16,
        };
        let (cidr, reason) = (cidr.to_owned(), reason.to_owned());
        Egress::parse(&file::Egress { cidr, port, reason }, platform)
    }

    #[test]
    fn a_way_out_leads_to_a_network_outside() {
        for cidr in [
            "203.0.113.7/32",
            "198.51.100.0/24",
            "10.21.0.0/16",
            "0.0.0.0/0",
            "10.0.0.0/8",
        ] {
            assert_eq!(parsed(cidr, 587, "mail").expect(cidr).cidr, cidr);
        }
    }

    #[test]
    fn what_is_no_network_or_inside_is_refused_and_says_why() {
        for (cidr, port, reason, said) in [
            ("mail.example", 587, "mail", "not an IPv4 network"),
            ("203.0.113.0/33", 587, "mail", "not an IPv4 network"),
            ("203.0.113.7/24", 587, "mail", "203.0.113.0/24 is the network"),
            ("10.20.3.0/24", 5432, "x", "inside this platform"),
            ("203.0.113.0/24", 0, "mail", "0 is not a port"),
            ("203.0.113.0/24", 587, "", "1 to 255"),
            ("203.0.113.0/24", 587, "häuslich", "1 to 255"),
        ] {
            let error = parsed(cidr, port, reason).expect_err(cidr);
            assert!(error.contains(said), "{error}");
        }
    }
}
