//! Brokers of another operator: their addresses, and the networks in which services may connect to them.

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::egress::{Egress, network};
use super::problem::Problem;

/// `kafka.bootstrap`: the platform creates no cluster, and the operator of the brokers creates the topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    brokers: Vec<Broker>,
    /// `kafka.bootstrap_cidr`: the network of the brokers.
    network: Option<Ipv4Net>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Broker {
    host: String,
    port: u16,
}

impl Bootstrap {
    /// Reads `host:port,…`.
    ///
    /// # Errors
    /// A broker is not `host:port`, or `cidr` is not an IPv4 network.
    pub fn parse(text: &str, cidr: Option<&str>) -> Result<Self, Problem> {
        let brokers = text
            .split(',')
            .map(|one| broker(one.trim()))
            .collect::<Result<_, _>>()?;
        let network = cidr.map(network).transpose()?;
        Ok(Self { brokers, network })
    }

    /// Returns the destinations of the brokers without duplicates. Without `kafka.bootstrap_cidr`, the destination of a broker
    /// is its IP address, or any address if only its name is known.
    pub fn destinations(&self) -> Vec<Egress> {
        let mut found = Vec::new();
        for broker in &self.brokers {
            let own = || {
                let address = broker.host.parse::<Ipv4Addr>();
                address.map_or_else(|_| Ipv4Net::default(), Ipv4Net::from)
            };
            let destination = Egress {
                network: self.network.unwrap_or_else(own),
                port: broker.port,
                reason: "brokers outside this platform".to_owned(),
            };
            if !found.contains(&destination) {
                found.push(destination);
            }
        }
        found
    }
}

/// As Kafka clients take it: `host:port,host:port`.
impl fmt::Display for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Broker { host, port }) in self.brokers.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{host}:{port}")?;
        }
        Ok(())
    }
}

fn broker(text: &str) -> Result<Broker, Problem> {
    let rejected = || Problem::Broker(text.to_owned());
    let (host, port) = text.rsplit_once(':').ok_or_else(rejected)?;
    let is_host = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
    let port = port.parse().ok().filter(|port| *port > 0);
    match port {
        Some(port) if is_host => Ok(Broker {
            host: host.to_owned(),
            port,
        }),
        _ => Err(rejected()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_reached_at_their_address_in_their_network_or_anywhere() {
        let named = Bootstrap::parse("a.example:9092, 10.1.2.3:9093,a.example:9092", None).expect("brokers");
        assert_eq!(named.to_string(), "a.example:9092,10.1.2.3:9093,a.example:9092");
        let destinations = |bootstrap: &Bootstrap| -> Vec<(String, u16)> {
            let all = bootstrap.destinations().into_iter();
            all.map(|egress| (egress.network.to_string(), egress.port)).collect()
        };
        let anywhere = ("0.0.0.0/0".to_owned(), 9092);
        assert_eq!(destinations(&named), [anywhere, ("10.1.2.3/32".to_owned(), 9093)]);
        let within = Bootstrap::parse("a.example:9092", Some("10.30.0.0/16")).expect("brokers");
        assert_eq!(destinations(&within), [("10.30.0.0/16".to_owned(), 9092)]);
    }

    #[test]
    fn what_is_not_a_broker_is_rejected() {
        for wrong in ["", "host", "host:0", "host:kafka", ":9092", "a:1,,b:2", "http://a:1"] {
            assert!(
                matches!(Bootstrap::parse(wrong, None), Err(Problem::Broker(_))),
                "{wrong}"
            );
        }
        assert!(matches!(
            Bootstrap::parse("a:1", Some("10.0.0.0/33")),
            Err(Problem::Network(_))
        ));
    }
}
