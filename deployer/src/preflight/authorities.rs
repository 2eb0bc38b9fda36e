//! Authorities of the databases: RDS signs the certificate of a server with the authority of its region.

use std::path::PathBuf;

use platform::manifest::Manifest;

use crate::image::{database_authorities, database_regions};

/// A database that no service would trust.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityProblem {
    #[error("images have no certificate authority of Amazon RDS in {region}: services would reject their databases")]
    NoRoot { region: String },
    #[error("database_defaults.ca_bundle is {}, which cannot be used: {reason}", path.display())]
    Unusable { path: PathBuf, reason: String },
}

impl AuthorityProblem {
    /// Returns how to solve it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoRoot { region } => format!(
                "download https://truststore.pki.rds.amazonaws.com/{region}/{region}-bundle.pem, and set ca_bundle = \
                 \"{region}-bundle.pem\" under database_defaults"
            ),
            Self::Unusable { .. } => "name a PEM file with certificates, relative to the manifest".into(),
        }
    }
}

/// Checks that images carry an authority of the databases in a region; without a region, only the file of the manifest.
///
/// # Errors
/// The databases whose certificates no service would trust.
pub fn check(manifest: &Manifest, region: Option<&str>) -> Result<(), AuthorityProblem> {
    if manifest.databases.is_empty() {
        return Ok(());
    }
    match (&manifest.ca_bundle, region) {
        (Some(path), _) => database_authorities(Some(path))
            .map(drop)
            .map_err(|error| AuthorityProblem::Unusable {
                path: path.clone(),
                reason: error.to_string(),
            }),
        (None, Some(region)) if !database_regions().contains(region) => Err(AuthorityProblem::NoRoot {
            region: region.to_owned(),
        }),
        (None, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_region_without_an_authority_is_rejected_unless_the_manifest_names_a_file() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/shop/deployer.toml");
        let mut manifest = Manifest::load(&path, "dev").expect("the fixture manifest");
        assert_eq!(check(&manifest, Some("eu-central-1")), Ok(()));
        assert_eq!(check(&manifest, Some("il-central-1")), Ok(()));
        let region = "mx-central-1".to_owned();
        assert_eq!(
            check(&manifest, Some(&region)),
            Err(AuthorityProblem::NoRoot { region })
        );
        assert_eq!(check(&manifest, None), Ok(()));
        manifest.ca_bundle = Some(path);
        assert!(matches!(
            check(&manifest, Some("mx-central-1")),
            Err(AuthorityProblem::Unusable { .. })
        ));
    }
}
