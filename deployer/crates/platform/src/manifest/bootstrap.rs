//! Brokers that somebody else runs: where they are, and which addresses the services may reach them at.

use std::fmt;
use std::net::Ipv4Addr;

use super::egress::{Egress, network};

/// `kafka.bootstrap`: no cluster is made, and the topics are their operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    brokers: Vec<Broker>,
    /// `kafka.bootstrap_cidr`: the network that holds the brokers.
    cidr: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Broker {
    host: String,
    port: u16,
}

impl Bootstrap {
    /// Reads `host:port,…`. The error is for the person who wrote it.
    pub fn parse(text: &str, cidr: Option<&str>) -> Result<Self, String> {
        let brokers = text
            .split(',')
            .map(|one| broker(one.trim()))
            .collect::<Result<_, _>>()?;
        cidr.map(network).transpose()?;
        let cidr = cidr.map(str::to_owned);
        Ok(Self { brokers, cidr })
    }

    /// The ways to the brokers, each once: where the manifest names no network, a broker given by its address
    /// is that address, and one given by its name may be anywhere.
    pub fn destinations(&self) -> Vec<Egress> {
        let mut found = Vec::new();
        for broker in &self.brokers {
            let alone = || match broker.host.parse::<Ipv4Addr>() {
                Ok(address) => format!("{address}/32"),
                Err(_) => "0.0.0.0/0".to_owned(),
            };
            let destination = Egress {
                cidr: self.cidr.clone().unwrap_or_else(alone),
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

/// As clients take it: `host:port,host:port`.
impl fmt::Display for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Broker { host, port }) in self.brokers.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{host}:{port}")?;
        }
        Ok(())
    }
}

fn broker(text: &str) -> Result<Broker, String> {
    let shape = || format!("'{text}' is not host:port; several are joined by commas");
    let (host, port) = text.rsplit_once(':').ok_or_else(shape)?;
    let named = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
    let port = port.parse().ok().filter(|port| *port > 0);
    match port {
        Some(port) if named => Ok(Broker {
            host: host.to_owned(),
            port,
        }),
        _ => Err(shape()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_reached_at_their_address_their_network_or_anywhere() {
        let named = Bootstrap::parse("a.example:9092, 10.1.2.3:9093,a.example:9092", None).expect("brokers");
        assert_eq!(named.to_string(), "a.example:9092,10.1.2.3:9093,a.example:9092");
        let ways = |bootstrap: &Bootstrap| -> Vec<(String, u16)> {
            let ways = bootstrap.destinations().into_iter();
            ways.map(|way| (way.cidr, way.port)).collect()
        };
        let anywhere = ("0.0.0.0/0".to_owned(), 9092);
        assert_eq!(ways(&named), [anywhere, ("10.1.2.3/32".to_owned(), 9093)]);
        let within = Bootstrap::parse("a.example:9092", Some("10.30.0.0/16")).expect("brokers");
        assert_eq!(ways(&within), [("10.30.0.0/16".to_owned(), 9092)]);
    }

    #[test]
    fn what_is_no_broker_is_refused() {
        for wrong in ["", "host", "host:0", "host:kafka", ":9092", "a:1,,b:2", "http://a:1"] {
            assert!(Bootstrap::parse(wrong, None).is_err(), "{wrong}");
        }
        assert!(Bootstrap::parse("a:1", Some("10.0.0.0/33")).is_err());
    }
}
