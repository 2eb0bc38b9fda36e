//! Problems of the load balancer's certificate.

use time::Date;

/// A certificate that a listener does not accept, or not for long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    #[error("ingress.certificate is in {region}, and a load balancer in {needed} needs a certificate in its region")]
    Region { region: String, needed: String },
    #[error("ingress.certificate is {arn}, which does not exist")]
    Missing { arn: String, region: String },
    #[error("the certificate of the ingress is {status}, not ISSUED")]
    Status { status: String },
    #[error("the certificate of the ingress expired on {date}")]
    Expired { date: Date },
    #[error("the certificate of the ingress expires on {date}, and ACM does not renew it")]
    ExpiresSoon { date: Date },
}

impl CertificateProblem {
    /// Returns how to solve it.
    pub fn hint(&self) -> String {
        match self {
            Self::Region { needed, .. } => {
                format!("request one there with `aws acm request-certificate --region {needed}`, and use its ARN")
            }
            Self::Missing { region, .. } => {
                format!("`aws acm list-certificates --region {region}` lists the certificates")
            }
            Self::Status { status } if status == "PENDING_VALIDATION" => {
                "create the DNS record that `aws acm describe-certificate` shows, and wait until the certificate is ISSUED"
                    .into()
            }
            Self::Status { status } if status != "EXPIRED" => "request another certificate, and use its ARN".into(),
            Self::Status { .. } | Self::Expired { .. } => "renew or import the certificate, or use another one".into(),
            Self::ExpiresSoon { .. } => {
                "import its successor under the same ARN with `aws acm import-certificate --certificate-arn`".into()
            }
        }
    }
}
