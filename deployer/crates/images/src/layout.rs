//! An image on disk: an OCI image layout, one folder for each service.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::unwritten;

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A piece of content by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    pub media_type: String,
    pub digest: String,
    pub size: u64,
}

/// The folder of one service's image.
#[derive(Debug, Clone)]
pub struct Layout(pub PathBuf);

impl Layout {
    pub fn blob(&self, digest: &str) -> PathBuf {
        self.0.join("blobs/sha256").join(digest.trim_start_matches("sha256:"))
    }

    /// Keeps bytes under their digest.
    pub fn put(&self, media_type: &str, bytes: &[u8]) -> anyhow::Result<Descriptor> {
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
        let path = self.blob(&digest);
        write_whole(&path, bytes)?;
        Ok(Descriptor {
            media_type: media_type.into(),
            digest,
            size: bytes.len() as u64,
        })
    }

    /// Makes `manifest` the one image of this layout, and drops the blobs of the former.
    pub fn point_to(&self, manifest: &Descriptor, keep: &[&Descriptor]) -> anyhow::Result<()> {
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        write_whole(&self.0.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        write_whole(&self.0.join("index.json"), index.to_string().as_bytes())?;
        for entry in fs::read_dir(self.0.join("blobs/sha256"))?.flatten() {
            let name = format!("sha256:{}", entry.file_name().to_string_lossy());
            if !keep.iter().chain([&manifest]).any(|kept| kept.digest == name) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }
}

/// Writes beside the target and renames, so that no half file has the name.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| unwritten(error, folder))?;
    }
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    fs::write(&beside, bytes)
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|error| {
            let _ = fs::remove_file(&beside);
            unwritten(error, path)
        })
}
