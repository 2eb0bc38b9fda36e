//! To a registry, what it does not have.

use std::fs;

use anyhow::{Context, bail};
use futures::StreamExt;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use tokio_util::io::ReaderStream;

use super::build::Built;
use super::layout::{Descriptor, MANIFEST};

/// What ECR's GetAuthorizationToken gives, decoded.
#[derive(Clone)]
pub struct Credentials {
    pub username: String,
    pub password: String,
}

/// Uploads an image to `REPOSITORY_URI`, and gives its digest. Nothing is sent when the manifest is there; otherwise
/// `on_upload` is called before the first byte.
pub async fn push(
    built: &Built,
    repository_uri: &str,
    credentials: &Credentials,
    on_upload: impl FnOnce(),
) -> anyhow::Result<String> {
    // A tag of the image's own: some registries drop what has none, and it never moves.
    let tag = &built.digest.trim_start_matches("sha256:")[..16];
    let image: Reference = format!("{repository_uri}:{tag}")
        .parse()
        .with_context(|| format!("{repository_uri} is not the address of a repository"))?;
    let registry = image.resolve_registry().to_owned();
    let protocol = if is_loopback(&registry) {
        ClientProtocol::Http
    } else {
        ClientProtocol::Https
    };
    let client = Client::new(ClientConfig {
        protocol,
        use_monolithic_push: true,
        ..ClientConfig::default()
    });
    let auth = RegistryAuth::Basic(credentials.username.clone(), credentials.password.clone());
    client.store_auth_if_needed(&registry, &auth).await;

    let there = client.fetch_manifest_digest(&image, &auth).await;
    if there.is_ok_and(|digest| digest == built.digest) {
        return Ok(built.digest.clone());
    }
    on_upload();
    for blob in [&built.layer, &built.config] {
        upload(&client, &image, built, blob)
            .await
            .with_context(|| format!("cannot push {} of {} to {repository_uri}", blob.digest, built.service))?;
    }
    let manifest =
        fs::read(built.layout().blob(&built.manifest.digest)).context("the image is gone from target/oci")?;
    let pushed = client.push_manifest_raw(&image, manifest, MANIFEST.parse()?).await;
    pushed
        .map_err(said)
        .with_context(|| format!("cannot push the manifest of {} to {repository_uri}", built.service))?;
    let digest = client.fetch_manifest_digest(&image, &auth).await.map_err(said)?;
    if digest != built.digest {
        bail!(
            "{repository_uri} keeps {} as {digest}, not as {}",
            built.service,
            built.digest
        );
    }
    Ok(digest)
}

async fn upload(client: &Client, image: &Reference, built: &Built, blob: &Descriptor) -> anyhow::Result<()> {
    if client.blob_exists(image, &blob.digest).await.map_err(said)? {
        return Ok(());
    }
    let path = built.layout().blob(&blob.digest);
    let file = tokio::fs::File::open(&path)
        .await
        .context("the image is gone from target/oci")?;
    let chunks = ReaderStream::with_capacity(file, 256 << 10).map(|c| c.map_err(OciDistributionError::IoError));
    client
        .push_blob_stream(image, chunks, &blob.digest, Some(blob.size))
        .await
        .map_err(said)?;
    Ok(())
}

/// A full disk on the other side is worth its own words.
fn said(error: OciDistributionError) -> anyhow::Error {
    let words = error.to_string();
    if words.contains("507") || words.contains("no space left") {
        return anyhow::anyhow!("the registry has no space left on its disk: free some and run the command again");
    }
    anyhow::Error::new(error)
}

fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.") || host == "[::1]"
}
