//! Problems of the hosted zone of `ingress.zone`.

/// A hosted zone in which the certificate of `ingress.host` cannot be validated, so that its creation would wait until it times out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostedZoneProblem {
    #[error("ingress.zone is {zone}, and the account has no such hosted zone")]
    Missing { zone: String },
    #[error(
        "the hosted zone {zone} ({name}) is private: the certificate authority cannot read the record that validates the certificate"
    )]
    Private { zone: String, name: String },
    #[error("ingress.host is {host}, which is not in the hosted zone {zone} ({name})")]
    OtherDomain { host: String, zone: String, name: String },
}

impl HostedZoneProblem {
    /// Returns how to solve it.
    pub fn hint(&self) -> String {
        match self {
            Self::Missing { .. } => {
                "`aws route53 list-hosted-zones` lists them; a zone in another account needs ingress.certificate in place of it".into()
            }
            Self::Private { .. } => "set ingress.zone to the public zone of the same name".into(),
            Self::OtherDomain { host, .. } => {
                format!("`aws route53 list-hosted-zones` lists them; set ingress.zone to the zone of {host}, or correct ingress.host")
            }
        }
    }
}
