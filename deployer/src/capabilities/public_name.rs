//! The way in from the internet on the embedded endpoint, which has no Route 53, no ACM and no WAF: its load balancer presents a
//! certificate of the endpoint's own authority for any ARN, and only this machine reaches it.

use platform::stacks::Plan;
use serde_json::{Value, json};

const CERTIFICATE: &str = "AWS::CertificateManager::Certificate";
const PUBLIC: [(&str, &str); 3] = [
    (CERTIFICATE, "the certificate is of the endpoint's own authority"),
    ("AWS::Route53::RecordSet", "there is no DNS record"),
    ("AWS::WAFv2::WebACLAssociation", "no web ACL filters requests"),
];

/// Removes what only the internet needs; returns a warning if there was anything.
pub fn serve_here(plan: &mut Plan) -> Option<String> {
    let mut differences = Vec::new();
    for stack in &mut plan.stacks {
        let resources = stack.template.get_mut("Resources").and_then(Value::as_object_mut);
        let Some(resources) = resources else { continue };
        for (resource_type, difference) in PUBLIC {
            let id = resources.iter().find(|(_, resource)| resource["Type"] == resource_type);
            let Some(id) = id.map(|(id, _)| id.clone()) else {
                continue;
            };
            resources.remove(&id);
            differences.push(difference);
            if resource_type == CERTIFICATE {
                present_own_certificate(resources.values_mut(), &id);
            }
        }
    }
    (!differences.is_empty()).then(|| format!("on this machine {}", differences.join(", ")))
}

/// Replaces references of listeners to a removed certificate.
fn present_own_certificate<'a>(resources: impl Iterator<Item = &'a mut Value>, id: &str) {
    const OWN: &str = "arn:aws:acm:us-east-1:000000000000:certificate/00000000-0000-0000-0000-000000000000";
    for resource in resources {
        if let Some(arn) = resource.pointer_mut("/Properties/Certificates/0/CertificateArn")
            && *arn == json!({ "Ref": id })
        {
            *arn = json!(OWN);
        }
    }
}

#[cfg(test)]
mod tests {
    use platform::manifest::Certificate;
    use platform::stacks;

    use super::*;
    use crate::command::testing;

    #[test]
    fn https_works_without_a_public_name_and_the_difference_is_reported() {
        let mut manifest = testing::manifest("prod");
        assert_eq!(serve_here(&mut stacks::plan(&manifest)), None);
        manifest.ingress.certificate = Some(Certificate::InZone("Z0123456789ABCDEFGHIJ".to_owned()));
        manifest.ingress.host = Some("shop.example.org".to_owned());
        manifest.ingress.web_acl = Some(
            "arn:aws:wafv2:eu-central-1:111122223333:regional/webacl/shop/00000000-0000-0000-0000-000000000000"
                .to_owned(),
        );
        let mut plan = stacks::plan(&manifest);
        insta::assert_snapshot!(serve_here(&mut plan).expect("a warning"), @"on this machine the certificate is of the endpoint's own authority, there is no DNS record, no web ACL filters requests");
        let templates: String = plan.stacks.iter().map(|stack| stack.template.to_string()).collect();
        assert!(templates.contains("\"HTTPS\"") && templates.contains("certificate/0"));
        for removed in ["\"Certificate\"", "PublicRecord", "WebAclAssociation"] {
            assert!(!templates.contains(removed), "{removed}");
        }
    }
}
