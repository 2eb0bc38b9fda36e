//! The TLS settings of a listener, from its Protocol, Certificates and `SslPolicy`.

use serde_json::Value;

use super::model::text;
use crate::AwsError;
use crate::records::Record;
use crate::runtime::load_balancer::{Tls, Versions};

/// The default of the API and CloudFormation (`AWS::ElasticLoadBalancingV2::Listener`, `SslPolicy`).
const DEFAULT_POLICY: &str = "ELBSecurityPolicy-2016-08";

/// Returns the TLS settings of a listener, or `None` for HTTP.
///
/// # Errors
/// A protocol other than HTTP and HTTPS, HTTPS without a certificate, an unknown policy, client certificates.
pub fn of_listener(record: &Record, http2: bool) -> Result<Option<Tls>, AwsError> {
    let certificates = certificates(record);
    match protocol(record).as_str() {
        "HTTP" if certificates.is_empty() => Ok(None),
        "HTTP" => Err(AwsError::validation(
            "A certificate cannot be specified for HTTP listeners",
        )),
        "HTTPS" => {
            check_certificates(&certificates)?;
            let mode = record
                .properties
                .get("MutualAuthentication")
                .and_then(|m| text(m, "Mode"));
            if let Some(mode) = mode.filter(|mode| mode != "off") {
                return Err(AwsError::validation(format!(
                    "The embedded endpoint does not support client certificates: MutualAuthentication must be off, not {mode}."
                )));
            }
            let versions = versions(&policy(record))?;
            Ok(Some(Tls { versions, http2 }))
        }
        other => Err(AwsError::validation(format!(
            "Listener protocol '{other}' must be one of 'HTTP, HTTPS'"
        ))),
    }
}

pub fn protocol(record: &Record) -> String {
    record.text("Protocol").unwrap_or_else(|| "HTTP".into())
}

pub fn policy(record: &Record) -> String {
    record.text("SslPolicy").unwrap_or_else(|| DEFAULT_POLICY.into())
}

pub fn certificates(record: &Record) -> Vec<String> {
    let list = record.properties.get("Certificates").and_then(Value::as_array);
    let listed = list.into_iter().flatten();
    listed.filter_map(|one| text(one, "CertificateArn")).collect()
}

/// Checks that there is one certificate ARN. The certificate is not looked up: this machine's names have one that the
/// endpoint's own CA signed.
fn check_certificates(arns: &[String]) -> Result<(), AwsError> {
    let [arn] = arns else {
        return Err(AwsError::validation(
            "A certificate must be specified for HTTPS listeners: exactly one, by its CertificateArn",
        ));
    };
    let is_certificate = arn.starts_with("arn:")
        && (arn.contains(":acm:") && arn.contains(":certificate/")
            || arn.contains(":iam:") && arn.contains(":server-certificate/"));
    if is_certificate {
        Ok(())
    } else {
        Err(AwsError::new(
            "CertificateNotFound",
            format!("Certificate ARN '{arn}' is not valid: it names no certificate of ACM or IAM"),
        ))
    }
}

/// Returns the TLS versions of a policy, by the name families in "Security policies for your Application Load Balancer".
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
