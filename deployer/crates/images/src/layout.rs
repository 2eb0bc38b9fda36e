//! An image on disk: an OCI image layout, one directory for each service.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::error::ImageError;

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A blob by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The blob's media type.
    pub media_type: String,
    /// `sha256:…`.
    pub digest: String,
    /// Bytes.
    pub size: u64,
}

/// The directory of one service's image.
#[derive(Debug, Clone)]
pub struct Layout(pub PathBuf);

impl Layout {
    /// Returns the path of a blob.
    pub fn blob(&self, digest: &str) -> PathBuf {
        self.0.join("blobs/sha256").join(digest.trim_start_matches("sha256:"))
    }

    /// Writes a blob.
    pub fn put(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor, ImageError> {
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
        let path = self.blob(&digest);
        write_atomically(&path, bytes)?;
        Ok(Descriptor {
            media_type: media_type.into(),
            digest,
            size: bytes.len() as u64,
        })
    }

    /// Makes `manifest` the one image of this layout, and deletes the blobs that are not in `retained`.
    pub fn point_to(&self, manifest: &Descriptor, retained: &[&Descriptor]) -> Result<(), ImageError> {
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        write_atomically(&self.0.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        write_atomically(&self.0.join("index.json"), index.to_string().as_bytes())?;
        let blobs = self.0.join("blobs/sha256");
        for entry in fs::read_dir(&blobs).map_err(ImageError::read(&blobs))?.flatten() {
            let name = format!("sha256:{}", entry.file_name().to_string_lossy());
            if !retained.iter().chain([&manifest]).any(|blob| blob.digest == name) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }
}

/// Writes beside the target and renames, so that no incomplete file has the name.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(ImageError::write(folder))?;
    }
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    fs::write(&beside, bytes)
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|error| {
            let _ = fs::remove_file(&beside);
            ImageError::write(path)(error)
        })
}
