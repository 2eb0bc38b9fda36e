//! Push of an image to a registry, without the blobs that it has already.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::future::try_join_all;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use tokio_util::io::ReaderStream;

use crate::build::BuiltImage;
use crate::error::ImageError;
use crate::layout::{Descriptor, MANIFEST};
use crate::registry_credentials::Credentials;
use crate::registry_error::{PushError, is_transient};

/// Maximum attempts of one request.
const MAX_ATTEMPTS: u32 = 4;
/// Backoff before the second attempt; it doubles after each attempt.
const INITIAL_BACKOFF: Duration = Duration::from_millis(250);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection without a byte for this long has failed.
const READ_TIMEOUT: Duration = Duration::from_mins(1);

/// Receives the number of bytes that were sent, and the number of all bytes to send.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// Pushes an image to `REPOSITORY_URI` and returns its digest.
///
/// Nothing is sent if the registry has the manifest; otherwise `progress` is called before the first byte. `tag` is a second
/// tag beside the one that every image has.
///
/// # Errors
/// The repository is not valid, the registry does not allow the push or reports an error, or a blob does not exist any more.
pub async fn push(
    built: &BuiltImage,
    repository_uri: &str,
    tag: Option<&str>,
    credentials: Option<&Credentials>,
    progress: Progress,
) -> Result<String, PushError> {
    let destination = Destination::new(repository_uri, credentials).await?;
    let digest_tag = built.digest_tag();
    if destination.digest_of(digest_tag).await?.as_deref() != Some(&built.digest) {
        destination.send_blobs(built, progress).await?;
        destination.tag(built, digest_tag).await?;
    }
    if let Some(tag) = tag
        && destination.digest_of(tag).await?.as_deref() != Some(&built.digest)
    {
        destination.tag(built, tag).await?;
    }
    Ok(built.digest.clone())
}

/// A repository of a registry, with the credentials to push.
struct Destination {
    client: Client,
    image: Reference,
    auth: RegistryAuth,
}

impl Destination {
    async fn new(repository_uri: &str, credentials: Option<&Credentials>) -> Result<Self, PushError> {
        let image: Reference = repository_uri.parse().map_err(|source| PushError::Repository {
            uri: repository_uri.to_owned(),
            source,
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

    /// Returns the digest of the image with this tag.
    async fn digest_of(&self, tag: &str) -> Result<Option<String>, PushError> {
        match self.client.fetch_manifest_digest(&self.tagged(tag), &self.auth).await {
            Ok(digest) => Ok(Some(digest)),
            Err(error) => match PushError::of(&self.image, "the request", error) {
                denied @ PushError::Denied { .. } => Err(denied),
                // Registries report a missing tag in different ways; after another error the push fails.
                _ => Ok(None),
            },
        }
    }

    /// Sends the blobs that the registry does not have, concurrently.
    async fn send_blobs(&self, built: &BuiltImage, progress: Progress) -> Result<(), PushError> {
        let blobs = [&built.layer, &built.config];
        let missing = blobs.map(|blob| async move {
            let exists = self.retry("the request", || self.client.blob_exists(&self.image, &blob.digest));
            let exists = exists.await?;
            Ok::<_, PushError>((!exists).then_some(blob))
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

    async fn send(&self, built: &BuiltImage, blob: &Descriptor, sent: &Arc<Sent>) -> Result<(), PushError> {
        let path = built.layout().blob(&blob.digest);
        let attempt = || async {
            let file = tokio::fs::File::open(&path).await?;
            let attempt = Arc::new(Attempt::new(sent.clone()));
            let counted = attempt.clone();
            let chunks = ReaderStream::with_capacity(file, 256 << 10).map(move |chunk| {
                let chunk = chunk.map_err(OciDistributionError::IoError)?;
                counted.add(chunk.len() as u64);
                Ok(chunk)
            });
            let pushed = self
                .client
                .push_blob_stream(&self.image, chunks, &blob.digest, Some(blob.size));
            pushed.await.inspect_err(|_| attempt.undo())
        };
        let item = format!("the blob {} of {}", blob.digest, built.service);
        self.retry(&item, attempt).await?;
        Ok(())
    }

    /// Adds a tag to an image whose blobs the registry has, and verifies the digest in the registry.
    async fn tag(&self, built: &BuiltImage, tag: &str) -> Result<(), PushError> {
        let image = self.tagged(tag);
        let manifest = fs::read(built.layout().blob(&built.manifest.digest)).map_err(|_| ImageError::Incomplete {
            service: built.service.clone(),
        })?;
        let media_type = reqwest::header::HeaderValue::from_static(MANIFEST);
        let item = format!("the manifest of {}", built.service);
        self.retry(&item, || {
            self.client
                .push_manifest_raw(&image, manifest.clone(), media_type.clone())
        })
        .await?;
        let digest = self
            .retry("the request", || self.client.fetch_manifest_digest(&image, &self.auth))
            .await?;
        if digest == built.digest {
            return Ok(());
        }
        Err(PushError::Changed {
            image: image.to_string(),
            digest,
            expected: built.digest.clone(),
        })
    }

    /// Repeats a request that sends `item` until it succeeds or fails permanently.
    async fn retry<T, F>(&self, item: &str, mut request: impl FnMut() -> F) -> Result<T, PushError>
    where
        F: Future<Output = Result<T, OciDistributionError>>,
    {
        let mut backoff = INITIAL_BACKOFF;
        for _ in 1..MAX_ATTEMPTS {
            match request().await {
                Err(error) if is_transient(&error) => tokio::time::sleep(backoff).await,
                result => return result.map_err(|error| PushError::of(&self.image, item, error)),
            }
            backoff *= 2;
        }
        request().await.map_err(|error| PushError::of(&self.image, item, error))
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

/// The bytes of one attempt, which do not count if it fails.
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

    fn undo(&self) {
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        self.all.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Returns true for a registry on this machine, which needs no TLS and has no certificate.
pub fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let local = [".localhost", ".localhost.localstack.cloud"];
    host == "localhost" || local.iter().any(|end| host.ends_with(end)) || host.starts_with("127.") || host == "[::1]"
}
