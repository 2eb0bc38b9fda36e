//! The public door: which service is behind it, and where it is.

use super::{Checked, Place, instead};
use crate::manifest::file::Settings;
use crate::manifest::{Ingress, Service};

pub fn ingress(place: &Place, given: &Settings, services: &[Service]) -> Checked<Ingress> {
    let own = &given.ingress;
    let Some(name) = own.service.clone() else {
        return place.invalid(
            &["ingress"],
            "names no service; say which one is reached from outside: `service = \"…\"`, one with a port named http",
        );
    };
    let Some(service) = services.iter().find(|service| service.name == name) else {
        return place.invalid(
            &["ingress", "service"],
            format!(
                "there is no service '{name}'; {}",
                instead("services", &name, given.services.keys())
            ),
        );
    };
    if service.http_port().is_none() {
        return place.invalid(&["ingress", "service"], format!("'{name}' has no port named http"));
    }
    if service.count == 0 && service.scaling.is_none() {
        return place.invalid(
            &["services", &name, "count"],
            "is 0, and this service answers what comes from outside; 1 at least",
        );
    }
    let port = own.port.unwrap_or(if own.certificate.is_some() { 443 } else { 80 });
    if port == 0 {
        return place.invalid(&["ingress", "port"], "0 is not a port to listen on");
    }
    let probe = own.probe.clone().unwrap_or_else(|| service.health_path.clone());
    if !probe.starts_with('/') {
        return place.invalid(
            &["ingress", "probe"],
            format!("'{probe}' is not a path: it begins with '/'"),
        );
    }
    if let Some(host) = own.host.as_ref().filter(|host| !is_host(host)) {
        return place.invalid(
            &["ingress", "host"],
            format!("'{host}' is not a host name, such as patients.example.org: no scheme, port or path"),
        );
    }
    let curl = own
        .curl
        .clone()
        .unwrap_or_else(|| vec![format!("curl -i {{url}}{probe}")]);
    Ok(Ingress {
        service: name,
        port,
        access_logs: own.access_logs.unwrap_or(given.protected),
        certificate: own.certificate.clone(),
        host: own.host.clone(),
        probe,
        curl,
    })
}

/// Labels of letters, digits and hyphens, two at least (RFC 1123, section 2.1).
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::is_host;

    #[test]
    fn a_host_is_a_name_and_nothing_else() {
        assert!(is_host("patients.example.org") && is_host("a-1.example"));
        for other in [
            "https://a.example",
            "a.example:443",
            "a.example/x",
            "localhost",
            ".example",
            "a..example",
            "-a.example",
        ] {
            assert!(!is_host(other), "{other}");
        }
    }
}
