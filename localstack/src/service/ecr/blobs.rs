//! The blobs of the registry on disk, named by their digest.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use futures::StreamExt;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::{AwsError, Context};

/// The folder `state_dir/registry` with `blobs/HEX` and `uploads/UUID`.
#[derive(Debug, Clone)]
pub struct Blobs(PathBuf);

impl Blobs {
    pub fn of(cx: &Context) -> Self {
        Self(cx.state_dir().join("registry"))
    }

    /// Returns the path of a blob, or `None` if the digest is not a valid `sha256:` digest.
    pub fn path(&self, digest: &str) -> Option<PathBuf> {
        hex_digits(digest).map(|hex| self.0.join("blobs").join(hex))
    }

    /// Returns the size of a blob, or `None` if it does not exist.
    pub fn size(&self, digest: &str) -> Option<u64> {
        Some(fs::metadata(self.path(digest)?).ok()?.len())
    }

    pub fn delete(&self, digest: &str) {
        if let Some(path) = self.path(digest) {
            let _ = fs::remove_file(path);
        }
    }

    /// Creates an empty upload.
    pub fn start_upload(&self) -> Result<Uuid, AwsError> {
        let id = Uuid::new_v4();
        fs::create_dir_all(self.0.join("uploads")).map_err(|error| write_error(&error))?;
        fs::File::create(self.upload(id)).map_err(|error| write_error(&error))?;
        Ok(id)
    }

    /// Returns the number of bytes received, or `None` if there is no such upload.
    pub fn received(&self, id: Uuid) -> Option<u64> {
        Some(fs::metadata(self.upload(id)).ok()?.len())
    }

    /// Appends a request's body to an upload. Deletes the upload if it cannot be written.
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
            write_error(&error)
        })
    }

    /// Completes an upload: checks the digest and renames the file to it.
    pub async fn finish(&self, id: Uuid, digest: &str) -> Result<(), AwsError> {
        let Some(target) = self.path(digest) else {
            return Err(invalid_digest(digest));
        };
        let upload = self.upload(id);
        let blobs = self.0.join("blobs");
        let expected = digest.to_owned();
        let work = tokio::task::spawn_blocking(move || {
            let computed = digest_of(&upload).map_err(|error| write_error(&error))?;
            if computed != expected {
                let _ = fs::remove_file(&upload);
                return Err(invalid_digest(&expected));
            }
            fs::create_dir_all(&blobs)
                .and_then(|()| fs::File::open(&upload)?.sync_all())
                .and_then(|()| fs::rename(&upload, &target))
                .map_err(|error| write_error(&error))
        });
        work.await.map_err(|error| AwsError::internal(error.to_string()))?
    }

    /// Stores bytes in memory, such as a manifest, and returns their digest.
    pub fn put(&self, bytes: &[u8]) -> Result<String, AwsError> {
        let hex = hex::encode(Sha256::digest(bytes));
        let target = self.0.join("blobs").join(&hex);
        let digest = format!("sha256:{hex}");
        if target.exists() {
            return Ok(digest);
        }
        let id = self.start_upload()?;
        let upload = self.upload(id);
        fs::create_dir_all(self.0.join("blobs"))
            .and_then(|()| fs::write(&upload, bytes))
            .and_then(|()| fs::rename(&upload, &target))
            .map_err(|error| {
                let _ = fs::remove_file(&upload);
                write_error(&error)
            })?;
        Ok(digest)
    }

    pub fn cancel(&self, id: Uuid) {
        let _ = fs::remove_file(self.upload(id));
    }

    /// Deletes the uploads that were not completed.
    pub fn delete_uploads(&self) -> anyhow::Result<()> {
        match fs::remove_dir_all(self.0.join("uploads")) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn upload(&self, id: Uuid) -> PathBuf {
        self.0.join("uploads").join(id.to_string())
    }
}

/// Returns the 64 hexadecimal digits of a `sha256:` digest.
pub fn hex_digits(digest: &str) -> Option<&str> {
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
        format!("The uploaded content does not have the digest {digest}."),
    )
}

/// Maps a full disk to 507, so that a client can distinguish it from an error in its request.
fn write_error(error: &std::io::Error) -> AwsError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => AwsError::new(
            "UNKNOWN",
            "There is no space left on the disk of the registry. Free some and push again; the incomplete upload was deleted.",
        )
        .with_status(507),
        ErrorKind::NotFound => AwsError::new("BLOB_UPLOAD_UNKNOWN", "There is no such upload.").with_status(404),
        _ => AwsError::new("UNKNOWN", format!("The registry cannot store the upload: {error}")).with_status(500),
    }
}
