//! Images that others have built: are they there, and do they run on what the tasks run on?

use std::time::Duration;

use futures::future::join_all;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
    OciDescriptor,
};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use serde_json::Value;

use super::{Finding, fatal, warning};
use crate::image;
use crate::manifest::Manifest;
use crate::target::capabilities::Kind;
use crate::target::{Aws, registry};

/// The platform of every task definition's `RuntimePlatform`.
const PLATFORM: &str = "linux/amd64";
/// How long a registry may take.
const PATIENCE: Duration = Duration::from_secs(10);
const MANIFESTS: [&str; 4] = [
    OCI_IMAGE_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
];

/// Looks at every image that the manifest names.
pub async fn look(aws: &Aws, manifest: &Manifest) -> Vec<Finding> {
    let named = manifest
        .services
        .iter()
        .filter_map(|service| Some((service.name.as_str(), service.image.as_deref()?)));
    join_all(named.map(|(service, image)| one(aws, service, image)))
        .await
        .concat()
}

async fn one(aws: &Aws, service: &str, image: &str) -> Vec<Finding> {
    let Ok(reference) = image.parse::<Reference>() else {
        return Vec::new();
    };
    if let Some(elsewhere) = not_pulled(aws, service, image, &reference) {
        return vec![elsewhere];
    }
    let mut findings = Vec::new();
    if reference.digest().is_none() {
        findings.push(warning(
            format!("{service} runs {image}: a tag may come to mean another image, and a task started later runs that"),
            "name it with its digest, `…@sha256:…`",
        ));
    }
    let looked = tokio::time::timeout(PATIENCE, platforms(aws, &reference)).await;
    match looked {
        Ok(Ok(found)) if found.is_empty() || found.iter().any(|platform| platform == PLATFORM) => {}
        Ok(Ok(found)) => findings.push(fatal(
            format!(
                "{image} of {service} is built for {}, and its tasks run on {PLATFORM}",
                found.join(", ")
            ),
            format!("build it for {PLATFORM} (`docker buildx build --platform {PLATFORM}`) and push it"),
        )),
        Ok(Err(error)) if is_missing(&error) => findings.push(fatal(
            format!("{image}, which {service} runs, is not in its registry"),
            "push it, or correct services.….image",
        )),
        Ok(Err(error)) => findings.push(unseen(service, image, &error.to_string())),
        Err(_) => findings.push(unseen(service, image, "no answer")),
    }
    findings
}

/// The embedded endpoint is its own registry, and pulls from no other.
fn not_pulled(aws: &Aws, service: &str, image: &str, reference: &Reference) -> Option<Finding> {
    let port = aws.endpoint.url.rsplit(':').next().unwrap_or_default();
    let host = reference.resolve_registry();
    let own = host.contains(".dkr.ecr.") || (image::is_loopback(host) && host.rsplit(':').next() == Some(port));
    (aws.endpoint.kind == Kind::Embedded && !own).then(|| {
        let name = reference.repository();
        fatal(
            format!("{service} runs {image}, and the embedded endpoint pulls from no registry but its own"),
            format!(
                "`deployer endpoint start`, `aws --endpoint-url {} ecr create-repository --repository-name {name}`, push the \
                 image to localhost:{port}/{name}, and name that in [environments.NAME.services.{service}]",
                aws.endpoint.url
            ),
        )
    })
}

fn unseen(service: &str, image: &str, why: &str) -> Finding {
    warning(
        format!("{image}, which {service} runs, could not be looked at: {why}"),
        "the tasks may still be able to pull it",
    )
}

/// The platforms of an image; none when it does not say.
async fn platforms(aws: &Aws, reference: &Reference) -> Result<Vec<String>, OciDistributionError> {
    let host = reference.resolve_registry();
    // As whoever has logged in there; without that, as anybody.
    let known = match host.contains(".dkr.ecr.") {
        true => registry::login(aws).await.ok(),
        false => image::credentials(host).await.ok().flatten(),
    };
    let auth = known.map_or(RegistryAuth::Anonymous, |found| {
        RegistryAuth::Basic(found.username, found.password)
    });
    let protocol = match image::is_loopback(host) {
        true => ClientProtocol::Http,
        false => ClientProtocol::Https,
    };
    let client = Client::new(ClientConfig {
        protocol,
        ..ClientConfig::default()
    });
    let (text, _) = client.pull_manifest_raw(reference, &auth, &MANIFESTS).await?;
    let manifest: Value = serde_json::from_slice(&text)?;
    if let Some(several) = manifest["manifests"].as_array() {
        // Attestations lie beside the images, for no platform.
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
    use crate::target::scripted::Scripted;
    use ui::Ui;

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
    async fn an_image_that_is_not_there_or_for_another_platform_ends_the_command_before_it_begins() {
        let endpoint = Scripted::hear(|call| Some(registry(&call.path))).await;
        let (ui, _) = Ui::recording();
        let aws = endpoint.aws(&ui).await;
        let address = endpoint.address().to_owned();
        let told = async |name: &str| {
            let findings = one(&aws, "orders", &format!("{address}/shop/{name}:1")).await;
            let words = findings
                .into_iter()
                .map(|found| (found.fatal, found.what.replace(&address, "HOST")));
            words.collect::<Vec<_>>()
        };
        let tag = (
            false,
            "orders runs HOST/shop/both:1: a tag may come to mean another image, and a task started later runs that"
                .into(),
        );
        assert_eq!(told("both").await, [tag]);
        let arm = told("arm").await;
        assert_eq!(
            arm[1],
            (
                true,
                "HOST/shop/arm:1 of orders is built for linux/arm64, and its tasks run on linux/amd64".into()
            )
        );
        let missing = told("gone").await;
        assert_eq!(
            missing[1],
            (
                true,
                "HOST/shop/gone:1, which orders runs, is not in its registry".into()
            )
        );
        let broken = told("broken").await;
        assert!(
            !broken[1].0,
            "a registry that is ill is no reason to give up: {broken:?}"
        );
    }

    #[tokio::test]
    async fn the_embedded_endpoint_pulls_from_its_own_registry_alone() {
        let endpoint = Scripted::hear(|call| Some(registry(&call.path))).await;
        let (ui, _) = Ui::recording();
        let mut aws = endpoint.aws(&ui).await;
        let mut identity = (*aws.endpoint).clone();
        identity.kind = Kind::Embedded;
        aws.endpoint = std::sync::Arc::new(identity);
        let elsewhere = one(&aws, "orders", "ghcr.io/shop/orders:1").await;
        assert!(elsewhere.len() == 1 && elsewhere[0].fatal, "{elsewhere:?}");
        assert!(
            elsewhere[0].hint.contains("--repository-name shop/orders"),
            "{elsewhere:?}"
        );
        let own = one(&aws, "orders", &format!("{}/shop/both:1", endpoint.address())).await;
        assert!(own.iter().all(|found| !found.fatal), "{own:?}");
    }
}
