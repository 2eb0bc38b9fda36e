//! The check of images that are not built here: whether they exist, and for which platform they are built.

use std::time::Duration;

use aws::{EndpointKind, Session};
use futures::future::join_all;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
    OciDescriptor,
};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use platform::manifest::{Manifest, Service};
use serde_json::Value;

use super::{PreflightFinding, Problem, fatal, warning};
use crate::image::{self, Architecture};

/// The time limit of a registry.
const TIMEOUT: Duration = Duration::from_secs(10);
const MANIFESTS: [&str; 4] = [
    OCI_IMAGE_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
];

/// Checks every image that the manifest names.
pub async fn check(aws: &Session, manifest: &Manifest) -> Vec<PreflightFinding> {
    let named = manifest
        .services
        .iter()
        .filter_map(|service| Some((service, service.image.as_deref()?)));
    join_all(named.map(|(service, image)| check_image(aws, &service.name, image, architecture(aws, service))))
        .await
        .concat()
}

/// Returns the architecture of a service's tasks; on the embedded endpoint, this machine's.
fn architecture(aws: &Session, service: &Service) -> Architecture {
    let here = Architecture::of_this_machine().filter(|_| aws.endpoint().kind == EndpointKind::Embedded);
    here.unwrap_or_else(|| image::architecture(service.architecture))
}

async fn check_image(aws: &Session, service: &str, image: &str, architecture: Architecture) -> Vec<PreflightFinding> {
    let expected = format!("linux/{architecture}");
    let Ok(reference) = image.parse::<Reference>() else {
        return Vec::new();
    };
    if let Some(finding) = elsewhere(aws, service, image, &reference) {
        return vec![finding];
    }
    let mut findings = Vec::new();
    let names = || (service.to_owned(), image.to_owned());
    if reference.digest().is_none() {
        let (service, image) = names();
        findings.push(warning(Problem::ImageByTag { service, image }));
    }
    let (service, image) = names();
    match tokio::time::timeout(TIMEOUT, platforms(aws, &reference)).await {
        Ok(Ok(found)) if found.is_empty() || found.contains(&expected) => {}
        Ok(Ok(found)) => findings.push(fatal(Problem::ImagePlatform {
            service,
            image,
            expected,
            found,
        })),
        Ok(Err(error)) if is_missing(&error) => findings.push(fatal(Problem::ImageMissing { service, image })),
        Ok(Err(error)) => {
            let reason = error.to_string();
            findings.push(warning(Problem::ImageUnchecked { service, image, reason }));
        }
        Err(_) => {
            let reason = "timeout".to_owned();
            findings.push(warning(Problem::ImageUnchecked { service, image, reason }));
        }
    }
    findings
}

/// Reports an image of another registry on the embedded endpoint, which pulls only from its own.
fn elsewhere(aws: &Session, service: &str, image: &str, reference: &Reference) -> Option<PreflightFinding> {
    let port = aws.endpoint().url.rsplit(':').next().unwrap_or_default();
    let host = reference.resolve_registry();
    let own = host.contains(".dkr.ecr.") || (image::is_loopback(host) && host.rsplit(':').next() == Some(port));
    (aws.endpoint().kind == EndpointKind::Embedded && !own).then(|| {
        fatal(Problem::ImageElsewhere {
            service: service.to_owned(),
            image: image.to_owned(),
            repository: reference.repository().to_owned(),
            url: aws.endpoint().url.clone(),
        })
    })
}

/// Returns the platforms of an image, none if it does not name them.
async fn platforms(aws: &Session, reference: &Reference) -> Result<Vec<String>, OciDistributionError> {
    let host = reference.resolve_registry();
    // With the credentials of `docker login`, otherwise anonymously.
    let known = if host.contains(".dkr.ecr.") {
        image::registry_credentials(aws).await.ok()
    } else {
        image::credentials(host).await.ok().flatten()
    };
    let auth = known.map_or(RegistryAuth::Anonymous, |found| {
        RegistryAuth::Basic(found.username, found.password)
    });
    let protocol = if image::is_loopback(host) {
        ClientProtocol::Http
    } else {
        ClientProtocol::Https
    };
    let client = Client::new(ClientConfig {
        protocol,
        ..ClientConfig::default()
    });
    let (text, _) = client.pull_manifest_raw(reference, &auth, &MANIFESTS).await?;
    let manifest: Value = serde_json::from_slice(&text)?;
    if let Some(several) = manifest["manifests"].as_array() {
        // Attestations are listed beside the images, without a platform.
        let all = several.iter().filter_map(|one| platform(&one["platform"]));
        return Ok(all.filter(|platform| platform != "unknown/unknown").collect());
    }
    let Some(digest) = manifest["config"]["digest"].as_str() else {
        return Ok(Vec::new());
    };
    let descriptor = OciDescriptor {
        digest: digest.to_owned(),
        size: manifest["config"]["size"].as_i64().unwrap_or_default(),
        ..Default::default()
    };
    let mut config = Vec::new();
    client.pull_blob(reference, &descriptor, &mut config).await?;
    let config: Value = serde_json::from_slice(&config)?;
    Ok(platform(&config).into_iter().collect())
}

fn platform(value: &Value) -> Option<String> {
    Some(format!("{}/{}", value["os"].as_str()?, value["architecture"].as_str()?))
}

fn is_missing(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::ImageManifestNotFoundError(_) => true,
        OciDistributionError::ServerError { code, .. } => *code == 404,
        OciDistributionError::RegistryError { envelope, .. } => envelope.errors.iter().any(|error| {
            use OciErrorCode::{ManifestUnknown, NameUnknown, NotFound};
            matches!(error.code, ManifestUnknown | NameUnknown | NotFound)
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use aws::testing::FakeAws;

    /// A registry with an image for arm64, one for both, and nothing else.
    fn registry(path: &str) -> (u16, String) {
        let of = |architecture: &str| json!({ "platform": { "os": "linux", "architecture": architecture } });
        let arm = json!({ "os": "linux", "architecture": "arm64" }).to_string();
        let digest = format!("sha256:{}", hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&arm)));
        match path {
            "/v2/" => (200, String::new()),
            "/v2/shop/both/manifests/1" => (200, json!({ "manifests": [of("arm64"), of("amd64")] }).to_string()),
            "/v2/shop/arm/manifests/1" => {
                let config = json!({ "digest": digest, "size": arm.len() });
                (200, json!({ "schemaVersion": 2, "config": config }).to_string())
            }
            path if path == format!("/v2/shop/arm/blobs/{digest}") => (200, arm),
            "/v2/shop/broken/manifests/1" => (500, "{}".into()),
            _ => (
                404,
                json!({ "errors": [{ "code": "MANIFEST_UNKNOWN", "message": "" }] }).to_string(),
            ),
        }
    }

    #[tokio::test]
    async fn a_missing_image_and_one_for_another_platform_are_fatal() {
        let endpoint = FakeAws::start(|call| Some(registry(&call.path))).await;
        let aws = endpoint.session().await;
        let address = endpoint.address().to_owned();
        let image = |name: &str| format!("{address}/shop/{name}:1");
        let by_tag = |name: &str| {
            let (service, image) = ("orders".to_owned(), image(name));
            warning(Problem::ImageByTag { service, image })
        };
        let service = || "orders".to_owned();
        let check = async |name: &str| check_image(&aws, "orders", &image(name), Architecture::Amd64).await;
        assert_eq!(check("both").await, [by_tag("both")]);
        let platform = Problem::ImagePlatform {
            service: service(),
            image: image("arm"),
            expected: "linux/amd64".into(),
            found: vec!["linux/arm64".into()],
        };
        assert_eq!(check("arm").await, [by_tag("arm"), fatal(platform)]);
        let missing = Problem::ImageMissing {
            service: service(),
            image: image("unknown"),
        };
        assert_eq!(check("unknown").await, [by_tag("unknown"), fatal(missing)]);
        // a registry that fails is only a warning
        let broken = check("broken").await;
        assert!(
            matches!(
                broken.as_slice(),
                [
                    _,
                    PreflightFinding {
                        problem: Problem::ImageUnchecked { .. },
                        fatal: false
                    }
                ]
            ),
            "{broken:?}"
        );
    }

    #[tokio::test]
    async fn the_embedded_endpoint_pulls_from_its_own_registry_only() {
        let endpoint = FakeAws::start(|call| Some(registry(&call.path))).await;
        let aws = endpoint.session().await;
        let other = check_image(&aws, "orders", "ghcr.io/shop/orders:1", Architecture::Amd64).await;
        assert!(
            matches!(
                other.as_slice(),
                [PreflightFinding { problem: Problem::ImageElsewhere { repository, .. }, fatal: true }]
                    if repository == "shop/orders"
            ),
            "{other:?}"
        );
        let own = check_image(
            &aws,
            "orders",
            &format!("{}/shop/both:1", endpoint.address()),
            Architecture::Amd64,
        )
        .await;
        assert!(own.iter().all(|found| !found.fatal), "{own:?}");
    }
}
