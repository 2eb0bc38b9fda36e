//! The load balancer's listeners.

use serde_json::{Value, json};

use super::public_name;
use crate::manifest::{Certificate, Manifest};
use crate::stacks::links;
use cfn::template::{Handle, Resource, Template};

/// TLS 1.3 and 1.2 with forward secrecy, and post-quantum key exchange if the client supports it
/// (Application Load Balancer: security policies; the one that AWS recommends).
const TLS: &str = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09";
/// Browsers use HTTPS alone for a year after a response.
const STRICT_TRANSPORT: &str = "max-age=31536000";

/// Adds the public listener, and with HTTPS another that redirects to it. Returns the public one.
pub fn add(template: &mut Template, manifest: &Manifest, balancer: &Handle) -> Handle {
    for port in links::public_ports(manifest) {
        if port != manifest.ingress.port {
            template.add("RedirectListener", redirect(balancer, port));
        }
    }
    let certificate = manifest.ingress.certificate.as_ref();
    let certificate = certificate.map(|certificate| match certificate {
        Certificate::Existing(arn) => json!(arn),
        Certificate::InZone(zone) => public_name::add(template, manifest, zone, balancer),
    });
    template.add("Listener", public(manifest, balancer, certificate))
}

/// Answers 404 if no rule matches: a 503 would report a service that does not exist yet as broken.
fn public(manifest: &Manifest, balancer: &Handle, certificate: Option<Value>) -> Resource {
    let listener = on(balancer, manifest.ingress.port).with(
        "DefaultActions",
        json!([{ "Type": "fixed-response", "FixedResponseConfig": {
            "StatusCode": "404", "ContentType": "text/plain", "MessageBody": "no rule matches this request" } }]),
    );
    if let Some(arn) = certificate {
        listener
            .with("Protocol", "HTTPS")
            .with("SslPolicy", TLS)
            .with("Certificates", json!([{ "CertificateArn": arn }]))
            .with(
                "ListenerAttributes",
                json!([{ "Key": "routing.http.response.strict_transport_security.header_value",
                 "Value": STRICT_TRANSPORT }]),
            )
    } else {
        const NONE: &str = "without ingress.certificate and ingress.zone the listener accepts plain HTTP";
        listener
            .with("Protocol", "HTTP")
            .skip_check("CKV_AWS_2", NONE)
            .skip_check("CKV_AWS_103", NONE)
    }
}

fn redirect(balancer: &Handle, port: u16) -> Resource {
    on(balancer, port).with("Protocol", "HTTP").with(
        "DefaultActions",
        json!([{ "Type": "redirect", "RedirectConfig": {
            "Protocol": "HTTPS", "Port": links::HTTPS.to_string(), "StatusCode": "HTTP_301" } }]),
    )
}

fn on(balancer: &Handle, port: u16) -> Resource {
    Resource::new("AWS::ElasticLoadBalancingV2::Listener")
        .with("LoadBalancerArn", balancer.reference())
        .with("Port", port)
}
