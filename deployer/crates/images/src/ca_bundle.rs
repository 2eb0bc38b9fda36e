//! CA bundles of an image: the machine's, and that of Amazon RDS.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

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

/// AWS's bundle for the regions that it names; scripts/rds-authorities renews it.
const RDS: &str = include_str!("rds-global-bundle.pem");

/// Returns the path of this machine's public CA bundle.
pub fn certificates() -> Result<PathBuf, ImageError> {
    let found = CERTIFICATE_FILES.iter().map(PathBuf::from).find(|path| path.is_file());
    found.ok_or(ImageError::NoCertificates)
}

/// Returns the database authorities of an image: those of `file`, or AWS's.
///
/// # Errors
/// The file cannot be read, or has no certificate.
pub fn database_authorities(file: Option<&Path>) -> Result<String, ImageError> {
    let Some(path) = file else {
        return Ok(RDS.to_owned());
    };
    let text = fs::read_to_string(path).map_err(ImageError::read(path))?;
    if certificates_of(&text).next().is_none() {
        return Err(ImageError::NoCertificate { path: path.to_owned() });
    }
    Ok(text)
}

/// Returns the regions whose databases the bundle in every image verifies.
///
/// RDS signs a server's certificate with the authority of its region, `Amazon RDS REGION Root CA KEY G1` (Amazon RDS User Guide:
/// "Using SSL/TLS to encrypt a connection to a DB instance or cluster").
pub fn database_regions() -> BTreeSet<String> {
    let name = |certificate: Vec<u8>| {
        let text = String::from_utf8_lossy(&certificate).into_owned();
        let (_, rest) = text.split_once("Amazon RDS ")?;
        let (region, _) = rest.split_once(" Root CA ")?;
        // `Beta us-east-1` and `Preview us-east-2` sign no database of a region.
        (!region.contains(' ')).then(|| region.to_owned())
    };
    certificates_of(RDS).filter_map(name).collect()
}

/// Returns the certificates of a PEM file in DER (RFC 7468).
fn certificates_of(pem: &str) -> impl Iterator<Item = Vec<u8>> {
    pem.split("-----BEGIN CERTIFICATE-----").skip(1).filter_map(|part| {
        let (body, _) = part.split_once("-----END CERTIFICATE-----")?;
        let body: String = body.split_whitespace().collect();
        STANDARD.decode(body).ok()
    })
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    use super::*;

    #[test]
    fn the_bundle_has_valid_roots_of_every_key_type_for_each_region_that_it_names() {
        let mut store = RootCertStore::empty();
        let mut names = String::new();
        for root in CertificateDer::pem_slice_iter(RDS.as_bytes()) {
            let root = root.unwrap();
            names += &String::from_utf8_lossy(&root);
            store.add(root).unwrap();
        }
        for region in database_regions() {
            for key in ["RSA2048", "RSA4096", "ECC384"] {
                let name = format!("Amazon RDS {region} Root CA {key} G1");
                assert!(names.contains(&name), "{name} is missing");
            }
        }
    }

    #[test]
    fn the_regions_of_the_bundle() {
        let regions: Vec<String> = database_regions().into_iter().collect();
        insta::assert_snapshot!(regions.join(" "), @"af-south-1 ap-east-1 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ca-central-1 ca-west-1 eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 me-south-1 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2");
    }

    #[test]
    fn a_file_of_ones_own_replaces_the_bundle_and_must_have_a_certificate() {
        let folder = tempfile::tempdir().expect("a directory");
        let own = folder.path().join("own.pem");
        let one = RDS
            .split_inclusive("-----END CERTIFICATE-----")
            .next()
            .expect("a certificate");
        fs::write(&own, one).expect("a written file");
        assert_eq!(database_authorities(Some(&own)).expect("the file's text"), one);
        fs::write(&own, "-----BEGIN CERTIFICATE-----\n").expect("a written file");
        assert!(matches!(
            database_authorities(Some(&own)),
            Err(ImageError::NoCertificate { path }) if path == own
        ));
    }
}
