//! Validation of the entry from outside.

use super::super::file::{self, Settings};
use super::super::problem::Problem;
use super::super::{Certificate, Ingress, Service};
use super::{ErrorContext, Validated};

/// Returns the load balancer and the service behind it.
pub fn ingress(context: &ErrorContext, settings: &Settings, services: &[Service]) -> Validated<Ingress> {
    let written = &settings.ingress;
    let Some(name) = written.service.clone() else {
        return context.reject(&["ingress"], Problem::NoIngressService);
    };
    let Some(service) = services.iter().find(|service| service.name == name) else {
        let problem = Problem::Unknown {
            kind: "service",
            name,
            known: settings.services.keys().cloned().collect(),
        };
        return context.reject(&["ingress", "service"], problem);
    };
    if service.http_port().is_none() {
        return context.reject(&["ingress", "service"], Problem::NoHttpPort(name));
    }
    if service.count == 0 && service.scaling.is_none() {
        return context.reject(&["services", &name, "count"], Problem::NoIngressTask);
    }
    let certificate = certificate(context, written)?;
    let default_port = if certificate.is_some() { 443 } else { 80 };
    let port = written.port.unwrap_or(default_port);
    if port == 0 {
        return context.reject(&["ingress", "port"], Problem::PortZero);
    }
    let readiness_path = written
        .readiness_path
        .clone()
        .unwrap_or_else(|| match service.health_port {
            None => service.health_path.clone(),
            // the load balancer does not forward requests to that port
            Some(_) => "/".to_owned(),
        });
    context.path(&["ingress", "readiness_path"], &readiness_path)?;
    if let Some(host) = written.host.as_ref().filter(|host| !is_host(host)) {
        return context.reject(&["ingress", "host"], Problem::HostName(host.clone()));
    }
    if let Some(reason) = &written.plaintext {
        if reason.trim().is_empty() {
            return context.reject(&["ingress", "plaintext"], Problem::NoReason);
        }
        if certificate.is_some() {
            return context.reject(&["ingress", "plaintext"], Problem::PlaintextWithCertificate);
        }
    }
    if let Some(arn) = written.web_acl.as_ref().filter(|arn| !is_web_acl(arn)) {
        return context.reject(&["ingress", "web_acl"], Problem::WebAclArn(arn.clone()));
    }
    let curl = written
        .curl
        .clone()
        .unwrap_or_else(|| vec![format!("curl -i {{url}}{readiness_path}")]);
    Ok(Ingress {
        service: name,
        port,
        access_logs: written.access_logs.unwrap_or(settings.protected),
        certificate,
        host: written.host.clone(),
        plaintext: written.plaintext.clone(),
        web_acl: written.web_acl.clone(),
        readiness_path,
        curl,
    })
}

/// Returns the certificate of the listener, if it accepts HTTPS.
fn certificate(context: &ErrorContext, written: &file::Ingress) -> Validated<Option<Certificate>> {
    let Some(zone) = &written.zone else {
        return Ok(written.certificate.clone().map(Certificate::Existing));
    };
    let problem = if !is_zone(zone) {
        Problem::ZoneId(zone.clone())
    } else if written.certificate.is_some() {
        Problem::ZoneWithCertificate
    } else if written.host.is_none() {
        Problem::ZoneWithoutHost
    } else {
        return Ok(Some(Certificate::InZone(zone.clone())));
    };
    context.reject(&["ingress", "zone"], problem)
}

/// Returns true for the ID of a hosted zone (Route 53 API Reference: `HostedZone`, at most 32 characters).
fn is_zone(text: &str) -> bool {
    text.len() <= 32 && text.starts_with('Z') && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

/// Returns true for `arn:PARTITION:wafv2:REGION:ACCOUNT:regional/webacl/NAME/ID` (Service Authorization Reference: AWS WAF V2).
fn is_web_acl(arn: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", _, "wafv2", region, account, resource] = parts[..] else {
        return false;
    };
    let path: Vec<&str> = resource.split('/').collect();
    let is_regional = matches!(path[..], ["regional", "webacl", name, id] if !name.is_empty() && !id.is_empty());
    is_regional && super::super::region::is_region(region) && account.len() == 12
}

/// Returns true for at least two labels of letters, digits and hyphens (RFC 1123, section 2.1).
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
    fn a_host_is_a_name_without_scheme_port_and_path() {
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
