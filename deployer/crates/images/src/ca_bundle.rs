//! CA bundles of an image: the machine's, and that of Amazon RDS.

use std::path::PathBuf;

use crate::error::ImageError;

/// Path of the public CA bundle.
pub const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Path of the CA bundle of Amazon RDS in every image; no system trusts these CAs by default.
pub const DATABASE_CA_BUNDLE: &str = "/etc/ssl/certs/rds-global-bundle.pem";

/// Paths of the public CA bundle on Debian, Fedora and SUSE.
const CERTIFICATE_FILES: &[&str] = &[
    CERTIFICATES,
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// AWS's bundle for all regions; scripts/rds-authorities renews it.
pub const RDS: &str = include_str!("rds-global-bundle.pem");

/// Returns the path of this machine's public CA bundle.
pub fn certificates() -> Result<PathBuf, ImageError> {
    let found = CERTIFICATE_FILES.iter().map(PathBuf::from).find(|path| path.is_file());
    found.ok_or(ImageError::NoCertificates)
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    use super::*;

    #[test]
    fn the_bundle_has_a_valid_root_of_every_key_type_for_each_region() {
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
            for key in ["RSA2048", "RSA4096", "ECC384"] {
                let name = format!("Amazon RDS {region} Root CA {key} G1");
                assert!(names.contains(&name), "{name} is missing");
            }
        }
    }
}
