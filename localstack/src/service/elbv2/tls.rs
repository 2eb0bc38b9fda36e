//! What a listener's Protocol, Certificates and SslPolicy come to.

use serde_json::Value;

use super::{refused, text};
use crate::AwsError;
use crate::records::Record;
use crate::runtime::load_balancer::{Tls, Versions};

/// What the API and CloudFormation take where no policy is named (AWS::ElasticLoadBalancingV2::Listener, `SslPolicy`).
const USUAL_POLICY: &str = "ELBSecurityPolicy-2016-08";

/// How a listener speaks TLS; none for HTTP.
///
/// # Errors
/// Another protocol than HTTP and HTTPS, HTTPS without a certificate, a policy that there is not, client certificates.
pub fn of(record: &Record, http2: bool) -> Result<Option<Tls>, AwsError> {
    let certificates = certificates(record);
    match protocol(record).as_str() {
        "HTTP" if certificates.is_empty() => Ok(None),
        "HTTP" => Err(refused("A certificate cannot be specified for HTTP listeners")),
        "HTTPS" => {
            certified(&certificates)?;
            let mode = record
                .properties
                .get("MutualAuthentication")
                .and_then(|m| text(m, "Mode"));
            if let Some(mode) = mode.filter(|mode| mode != "off") {
                return Err(refused(format!(
                    "The embedded endpoint asks clients for no certificates: MutualAuthentication must be off, not {mode}."
                )));
            }
            let versions = versions(&policy(record))?;
            Ok(Some(Tls { versions, http2 }))
        }
        other => Err(AwsError::new(
            "UnsupportedProtocol",
            format!("The embedded endpoint's load balancers speak HTTP and HTTPS, not {other}."),
        )),
    }
}

pub fn protocol(record: &Record) -> String {
    record.text("Protocol").unwrap_or_else(|| "HTTP".into())
}

pub fn policy(record: &Record) -> String {
    record.text("SslPolicy").unwrap_or_else(|| USUAL_POLICY.into())
}

pub fn certificates(record: &Record) -> Vec<String> {
    let list = record.properties.get("Certificates").and_then(Value::as_array);
    let listed = list.into_iter().flatten();
    listed.filter_map(|one| text(one, "CertificateArn")).collect()
}

/// Which certificate it names is not looked at: the names of this machine have one of the endpoint's own authority.
fn certified(arns: &[String]) -> Result<(), AwsError> {
    let [arn] = arns else {
        return Err(refused(
            "A certificate must be specified for HTTPS listeners: exactly one, by its CertificateArn",
        ));
    };
    let is_one = arn.starts_with("arn:")
        && (arn.contains(":acm:") && arn.contains(":certificate/")
            || arn.contains(":iam:") && arn.contains(":server-certificate/"));
    match is_one {
        true => Ok(()),
        false => Err(AwsError::new(
            "CertificateNotFound",
            format!("Certificate ARN '{arn}' is not valid: it is neither of ACM nor of IAM"),
        )),
    }
}

/// By the families of names in "Security policies for your Application Load Balancer".
fn versions(policy: &str) -> Result<Versions, AwsError> {
    let family = policy.strip_prefix("ELBSecurityPolicy-").unwrap_or_default();
    let begins = |any: &[&str]| any.iter().any(|one| family.starts_with(one));
    if begins(&["TLS13-1-3-"]) {
        Ok(Versions::Only13)
    } else if begins(&["TLS13-1-2-", "TLS13-1-1-", "TLS13-1-0-"]) {
        Ok(Versions::From12)
    } else if begins(&["TLS-1-", "FS-", "2016-08", "2015-05"]) {
        Ok(Versions::Only12)
    } else {
        Err(AwsError::new(
            "SSLPolicyNotFound",
            format!("SSL policy '{policy}' not found"),
        ))
    }
}
