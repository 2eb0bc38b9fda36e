//! Whom an image trusts: the machine's certificate authorities, and those of Amazon RDS.

use std::path::PathBuf;

use anyhow::Context;

/// Where programs look for the public authorities.
pub const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Path of the CA bundle of Amazon RDS in every image; no system trusts these CAs by default.
pub const DATABASE_AUTHORITIES: &str = "/etc/ssl/certs/rds-global-bundle.pem";

const CERTIFICATE_FILES: &[&str] = &[
    CERTIFICATES,
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// AWS's bundle for all regions; scripts/rds-authorities renews it.
pub const RDS: &str = include_str!("rds-global-bundle.pem");

/// The public authorities of this machine.
pub fn certificates() -> anyhow::Result<PathBuf> {
    let found = CERTIFICATE_FILES.iter().map(PathBuf::from).find(|path| path.is_file());
    found.context(
        "this machine has no CA certificates to put into the image\n\
         hint: `apt-get install ca-certificates` (they are expected at /etc/ssl/certs/ca-certificates.crt)",
    )
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    use super::*;

    #[test]
    fn the_bundle_has_a_root_of_every_kind_for_the_regions_and_every_one_can_be_used() {
        let mut store = RootCertStore::empty();
        let mut names = String::new();
        for root in CertificateDer::pem_slice_iter(RDS.as_bytes()) {
            let root = root.unwrap();
            names += &String::from_utf8_lossy(&root);
            store.add(root).unwrap();
        }
        for region in [
            "us-east-1",
            "us-east-2",
            "us-west-2",
            "ca-central-1",
            "sa-east-1",
            "eu-central-1",
            "eu-central-2",
            "eu-west-1",
            "eu-west-2",
            "eu-north-1",
            "eu-south-1",
            "ap-south-1",
            "ap-southeast-1",
            "ap-southeast-2",
            "ap-northeast-1",
            "me-central-1",
            "af-south-1",
        ] {
            for kind in ["RSA2048", "RSA4096", "ECC384"] {
                let name = format!("Amazon RDS {region} Root CA {kind} G1");
                assert!(names.contains(&name), "{name} is missing");
            }
        }
    }
}
