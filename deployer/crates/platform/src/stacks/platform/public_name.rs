//! The public host name: its certificate and its DNS record, in a hosted zone of Route 53.

use serde_json::{Value, json};

use crate::manifest::Manifest;
use cfn::template::{Handle, Resource, Template};

/// Adds both; returns the certificate's ARN.
///
/// CloudFormation validates the domain itself if the zone is in the same account, and waits until the certificate is issued; the
/// CNAME record of the validation stays in the zone (CloudFormation User Guide: `AWS::CertificateManager::Certificate`).
pub fn add(template: &mut Template, manifest: &Manifest, zone: &str, balancer: &Handle) -> Value {
    let host = manifest.ingress.host.as_deref().unwrap_or_default();
    let certificate = template.add(
        "Certificate",
        Resource::new("AWS::CertificateManager::Certificate")
            .with("DomainName", host)
            .with("ValidationMethod", "DNS")
            .with(
                "DomainValidationOptions",
                json!([{ "DomainName": host, "HostedZoneId": zone }]),
            ),
    );
    template.add(
        "PublicRecord",
        Resource::new("AWS::Route53::RecordSet")
            .with("HostedZoneId", zone)
            .with("Name", host)
            .with("Type", "A")
            .with(
                "AliasTarget",
                json!({ "DNSName": balancer.attribute("DNSName"), "HostedZoneId": balancer.attribute("CanonicalHostedZoneID") }),
            ),
    );
    certificate.reference()
}
