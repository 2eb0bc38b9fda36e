//! To a registry, what it does not have.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use futures::StreamExt;
use futures::future::try_join_all;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use tokio_util::io::ReaderStream;

use crate::build::Built;
use crate::layout::{Descriptor, MANIFEST};
use crate::registry_credentials::Credentials;
use crate::registry_error::{PushError, fault, is_passing};

/// How often a blob is sent before its upload has failed.
const ATTEMPTS: u32 = 4;
/// Doubled after each attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// No byte for so long is a connection that broke without a word.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Is told the bytes sent until now, and all that have to be.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// Uploads an image to `REPOSITORY_URI`, and gives its digest. Nothing is sent when the manifest is there; otherwise
/// `progress` is told before the first byte. `tag` is one more name for the image beside the one that every image gets.
pub async fn push(
    built: &Built,
    repository_uri: &str,
    tag: Option<&str>,
    credentials: Option<&Credentials>,
    progress: Progress,
) -> Result<String, PushError> {
    let to = Destination::new(repository_uri, credentials).await?;
    // A tag of the image's own: some registries drop what has none, and it never moves.
    let own = &built.digest.trim_start_matches("sha256:")[..16];
    if to.digest_of(own).await?.as_deref() != Some(&built.digest) {
        to.send_blobs(built, progress).await?;
        to.name(built, own).await?;
    }
    if let Some(tag) = tag
        && to.digest_of(tag).await?.as_deref() != Some(&built.digest)
    {
        to.name(built, tag).await?;
    }
    Ok(built.digest.clone())
}

/// A repository of a registry, and the right to write there.
struct Destination {
    client: Client,
    image: Reference,
    auth: RegistryAuth,
}

impl Destination {
    async fn new(repository_uri: &str, credentials: Option<&Credentials>) -> Result<Self, PushError> {
        let image: Reference = repository_uri.parse().map_err(|error| {
            PushError::Other(anyhow::anyhow!(
                "{repository_uri} is not the address of a repository: {error}"
            ))
        })?;
        let protocol = if is_loopback(image.resolve_registry()) {
            ClientProtocol::Http
        } else {
            ClientProtocol::Https
        };
        let client = Client::new(ClientConfig {
            protocol,
            use_monolithic_push: true,
            connect_timeout: Some(CONNECT_TIMEOUT),
            read_timeout: Some(READ_TIMEOUT),
            ..ClientConfig::default()
        });
        let auth = credentials.map_or(RegistryAuth::Anonymous, |known| {
            RegistryAuth::Basic(known.username.clone(), known.password.clone())
        });
        client.store_auth_if_needed(image.resolve_registry(), &auth).await;
        Ok(Self { client, image, auth })
    }

    fn tagged(&self, tag: &str) -> Reference {
        let image = &self.image;
        Reference::with_tag(image.registry().into(), image.repository().into(), tag.into())
    }

    /// The image that has this tag now.
    async fn digest_of(&self, tag: &str) -> Result<Option<String>, PushError> {
        match self.client.fetch_manifest_digest(&self.tagged(tag), &self.auth).await {
            Ok(digest) => Ok(Some(digest)),
            Err(error) => match fault(&self.image, error) {
                denied @ PushError::Denied { .. } => Err(denied),
                // It is not there, or the registry says so in words of its own: the push tells.
                PushError::Other(_) => Ok(None),
            },
        }
    }

    /// Sends the blobs that are not there, side by side.
    async fn send_blobs(&self, built: &Built, progress: Progress) -> Result<(), PushError> {
        let blobs = [&built.layer, &built.config];
        let missing = blobs.map(|blob| async move {
            let there = self.again_and_again(|| self.client.blob_exists(&self.image, &blob.digest));
            let there = there.await?;
            Ok::<_, PushError>((!there).then_some(blob))
        });
        let missing: Vec<&Descriptor> = try_join_all(missing).await?.into_iter().flatten().collect();
        let sent = Arc::new(Sent {
            bytes: AtomicU64::new(0),
            total: missing.iter().map(|blob| blob.size).sum(),
            progress,
        });
        sent.add(0);
        try_join_all(missing.iter().map(|blob| self.send(built, blob, &sent))).await?;
        Ok(())
    }

    async fn send(&self, built: &Built, blob: &Descriptor, sent: &Arc<Sent>) -> Result<(), PushError> {
        let path = built.layout().blob(&blob.digest);
        let attempt = || async {
            let file = tokio::fs::File::open(&path).await?;
            let mine = Arc::new(Attempt::new(sent.clone()));
            let counted = mine.clone();
            let chunks = ReaderStream::with_capacity(file, 256 << 10).map(move |chunk| {
                let chunk = chunk.map_err(OciDistributionError::IoError)?;
                counted.add(chunk.len() as u64);
                Ok(chunk)
            });
            let pushed = self
                .client
                .push_blob_stream(&self.image, chunks, &blob.digest, Some(blob.size));
            pushed.await.inspect_err(|_| mine.take_back())
        };
        self.again_and_again(attempt)
            .await
            .map_err(|error| error.context(format!("cannot push {} of {}", blob.digest, built.service)))?;
        Ok(())
    }

    /// Gives an image whose blobs are there a tag, and looks whether the registry keeps it as it is.
    async fn name(&self, built: &Built, tag: &str) -> Result<(), PushError> {
        let image = self.tagged(tag);
        let gone = "the image is gone from target/oci";
        let manifest = fs::read(built.layout().blob(&built.manifest.digest))
            .context(gone)
            .map_err(PushError::Other)?;
        let kind = reqwest::header::HeaderValue::from_static(MANIFEST);
        self.again_and_again(|| self.client.push_manifest_raw(&image, manifest.clone(), kind.clone()))
            .await
            .map_err(|error| error.context(format!("cannot push the manifest of {}", built.service)))?;
        let digest = self
            .again_and_again(|| self.client.fetch_manifest_digest(&image, &self.auth))
            .await?;
        if digest == built.digest {
            return Ok(());
        }
        Err(PushError::Other(anyhow::anyhow!(
            "{image} keeps {} as {digest}, not as {}",
            built.service,
            built.digest
        )))
    }

    /// Does something until it succeeds, or fails for a reason that stays.
    async fn again_and_again<T, F>(&self, mut act: impl FnMut() -> F) -> Result<T, PushError>
    where
        F: Future<Output = Result<T, OciDistributionError>>,
    {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match act().await {
                Err(error) if is_passing(&error) => tokio::time::sleep(pause).await,
                ended => return ended.map_err(|error| fault(&self.image, error)),
            }
            pause *= 2;
        }
        act().await.map_err(|error| fault(&self.image, error))
    }
}

/// The bytes of all blobs together.
struct Sent {
    bytes: AtomicU64,
    total: u64,
    progress: Progress,
}

impl Sent {
    fn add(&self, bytes: u64) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        (self.progress)(before + bytes, self.total);
    }
}

/// What one attempt has sent: it does not count when the attempt breaks.
struct Attempt {
    bytes: AtomicU64,
    all: Arc<Sent>,
}

impl Attempt {
    fn new(all: Arc<Sent>) -> Self {
        Self {
            bytes: AtomicU64::new(0),
            all,
        }
    }

    fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.all.add(bytes);
    }

    fn take_back(&self) {
        let mine = self.bytes.swap(0, Ordering::Relaxed);
        self.all.bytes.fetch_sub(mine, Ordering::Relaxed);
    }
}

/// Whether a registry is on this machine, where nobody listens in and no certificate is.
pub fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let local = [".localhost", ".localhost.localstack.cloud"];
    host == "localhost" || local.iter().any(|end| host.ends_with(end)) || host.starts_with("127.") || host == "[::1]"
}
