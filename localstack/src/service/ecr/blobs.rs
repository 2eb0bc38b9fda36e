//! The registry's blobs on disk, named by their digest.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use futures::StreamExt;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::{AwsError, Context};

/// `state_dir/registry`: `blobs/HEX` and `uploads/UUID`.
#[derive(Debug, Clone)]
pub struct Blobs(PathBuf);

impl Blobs {
    pub fn of(cx: &Context) -> Self {
        Self(cx.state_dir().join("registry"))
    }

    /// The file of a blob, for `sha256:` digests of the right form only.
    pub fn path(&self, digest: &str) -> Option<PathBuf> {
        hex_of(digest).map(|hex| self.0.join("blobs").join(hex))
    }

    /// The size of a blob that is there.
    pub fn size(&self, digest: &str) -> Option<u64> {
        Some(fs::metadata(self.path(digest)?).ok()?.len())
    }

    pub fn remove(&self, digest: &str) {
        if let Some(path) = self.path(digest) {
            let _ = fs::remove_file(path);
        }
    }

    /// Begins an upload.
    pub fn begin(&self) -> Result<Uuid, AwsError> {
        let id = Uuid::new_v4();
        fs::create_dir_all(self.0.join("uploads")).map_err(unwritten)?;
        fs::File::create(self.upload(id)).map_err(unwritten)?;
        Ok(id)
    }

    /// How much of an upload is there; `None` for an upload that was not begun.
    pub fn received(&self, id: Uuid) -> Option<u64> {
        Some(fs::metadata(self.upload(id)).ok()?.len())
    }

    /// Adds a request's body to an upload. When the disk is full the upload is dropped.
    pub async fn append(&self, id: Uuid, body: axum::body::Body) -> Result<u64, AwsError> {
        let path = self.upload(id);
        let written = async {
            let mut file = tokio::fs::OpenOptions::new().append(true).open(&path).await?;
            let mut chunks = body.into_data_stream();
            while let Some(chunk) = chunks.next().await {
                file.write_all(&chunk.map_err(std::io::Error::other)?).await?;
            }
            file.flush().await?;
            Ok::<_, std::io::Error>(file.metadata().await?.len())
        };
        let written = written.await;
        written.map_err(|error| {
            let _ = fs::remove_file(&path);
            unwritten(error)
        })
    }

    /// Ends an upload: checks the digest and gives the blob its name.
    pub async fn finish(&self, id: Uuid, digest: &str) -> Result<(), AwsError> {
        let Some(target) = self.path(digest) else {
            return Err(invalid_digest(digest));
        };
        let upload = self.upload(id);
        let blobs = self.0.join("blobs");
        let wanted = digest.to_owned();
        let work = tokio::task::spawn_blocking(move || {
            let found = digest_of(&upload).map_err(unwritten)?;
            if found != wanted {
                let _ = fs::remove_file(&upload);
                return Err(invalid_digest(&wanted));
            }
            fs::create_dir_all(&blobs)
                .and_then(|()| fs::File::open(&upload)?.sync_all())
                .and_then(|()| fs::rename(&upload, &target))
                .map_err(unwritten)
        });
        work.await.map_err(|error| AwsError::internal(error.to_string()))?
    }

    /// Keeps bytes that are at hand, such as a manifest.
    pub fn put(&self, bytes: &[u8]) -> Result<String, AwsError> {
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
        let target = self.path(&digest).expect("a digest of our own making");
        if target.exists() {
            return Ok(digest);
        }
        let id = self.begin()?;
        let upload = self.upload(id);
        fs::create_dir_all(self.0.join("blobs"))
            .and_then(|()| fs::write(&upload, bytes))
            .and_then(|()| fs::rename(&upload, &target))
            .map_err(|error| {
                let _ = fs::remove_file(&upload);
                unwritten(error)
            })?;
        Ok(digest)
    }

    pub fn cancel(&self, id: Uuid) {
        let _ = fs::remove_file(self.upload(id));
    }

    /// Removes every upload that was not finished.
    pub fn sweep(&self) -> anyhow::Result<()> {
        match fs::remove_dir_all(self.0.join("uploads")) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn upload(&self, id: Uuid) -> PathBuf {
        self.0.join("uploads").join(id.to_string())
    }
}

/// The 64 hexadecimal digits of a `sha256:` digest.
pub fn hex_of(digest: &str) -> Option<&str> {
    let hex = digest.strip_prefix("sha256:")?;
    (hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))).then_some(hex)
}

fn digest_of(path: &Path) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    std::io::copy(&mut fs::File::open(path)?, &mut hasher)?;
    Ok(format!("sha256:{}", hex::encode(hasher.finalize())))
}

fn invalid_digest(digest: &str) -> AwsError {
    AwsError::new(
        "DIGEST_INVALID",
        format!("The content that was uploaded does not have the digest {digest}."),
    )
}

/// A full disk is 507, so that a client can tell it from a fault of its own.
fn unwritten(error: std::io::Error) -> AwsError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => AwsError::new(
            "UNKNOWN",
            "There is no space left on the disk of the registry. Free some and push again; nothing half-made was kept.",
        )
        .with_status(507),
        ErrorKind::NotFound => AwsError::new("BLOB_UPLOAD_UNKNOWN", "This upload is not known.").with_status(404),
        _ => AwsError::new("UNKNOWN", format!("The registry cannot keep the upload: {error}")).with_status(500),
    }
}
