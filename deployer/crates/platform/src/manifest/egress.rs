//! Destinations outside the platform that a service may connect to.

use ipnet::Ipv4Net;

use super::file;
use super::problem::{DESCRIPTION_CHARACTERS, Problem};

/// TCP to one port of one IPv4 network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Egress {
    /// Such as `203.0.113.0/24`.
    pub network: Ipv4Net,
    /// The destination's port.
    pub port: u16,
    /// The description of the security group rule.
    pub reason: String,
}

impl Egress {
    /// Validates what is written; `platform` is the platform's own network, if it is known.
    ///
    /// # Errors
    /// The destination is not a network outside the platform, or the port or reason is not valid.
    pub fn parse(written: &file::Egress, platform: Option<Ipv4Net>) -> Result<Self, Problem> {
        let network = network(&written.cidr)?;
        if written.port == 0 {
            return Err(Problem::EgressPortZero(network));
        }
        if let Some(platform) = platform.filter(|platform| platform.contains(&network)) {
            return Err(Problem::EgressInside { network, platform });
        }
        let (reason, accepted) = (&written.reason, |c: char| {
            c.is_ascii_alphanumeric() || DESCRIPTION_CHARACTERS.contains(c)
        });
        if reason.is_empty() || reason.len() > 255 || !reason.chars().all(accepted) {
            return Err(Problem::EgressReason(network));
        }
        Ok(Self {
            network,
            port: written.port,
            reason: reason.clone(),
        })
    }
}

/// Reads an IPv4 network as EC2 accepts it: the bits after the prefix are zero.
///
/// # Errors
/// The text is not an IPv4 network, or has bits after its prefix.
pub fn network(text: &str) -> Result<Ipv4Net, Problem> {
    let given: Ipv4Net = text.parse().map_err(|_| Problem::Network(text.to_owned()))?;
    if given.trunc() == given {
        Ok(given)
    } else {
        let (given, network) = (text.to_owned(), given.trunc());
        Err(Problem::HostBits { given, network })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(cidr: &str, port: u16, reason: &str) -> Result<Egress, Problem> {
        let platform = Some("10.20.0.0/16".parse().expect("a network"));
        let (cidr, reason) = (cidr.to_owned(), reason.to_owned());
        Egress::parse(&file::Egress { cidr, port, reason }, platform)
    }

    #[test]
    fn a_network_outside_is_accepted() {
        for cidr in [
            "203.0.113.7/32",
            "198.51.100.0/24",
            "10.21.0.0/16",
            "0.0.0.0/0",
            "10.0.0.0/8",
        ] {
            assert_eq!(parsed(cidr, 587, "mail").expect(cidr).network.to_string(), cidr);
        }
    }

    #[test]
    fn what_is_not_a_network_or_inside_the_platform_is_rejected() {
        let rejected = |cidr, port, reason| parsed(cidr, port, reason).expect_err(cidr);
        assert!(matches!(rejected("mail.example", 587, "mail"), Problem::Network(_)));
        assert!(matches!(rejected("203.0.113.0/33", 587, "mail"), Problem::Network(_)));
        let Problem::HostBits { network, .. } = rejected("203.0.113.7/24", 587, "mail") else {
            panic!("not rejected for its bits");
        };
        assert_eq!(network.to_string(), "203.0.113.0/24");
        assert!(matches!(
            rejected("10.20.3.0/24", 5432, "x"),
            Problem::EgressInside { .. }
        ));
        assert!(matches!(
            rejected("203.0.113.0/24", 0, "mail"),
            Problem::EgressPortZero(_)
        ));
        for reason in ["", "häuslich", &"x".repeat(256)] {
            assert!(matches!(
                rejected("203.0.113.0/24", 587, reason),
                Problem::EgressReason(_)
            ));
        }
    }
}
