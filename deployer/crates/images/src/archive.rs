//! An archive of images for `docker load` and `podman load`.
//!
//! It is an OCI image layout with Docker's `manifest.json`: engines before Docker 25 read that file, engines with the
//! containerd store read the layout, and both find the same blobs.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};

use serde_json::{Value, json};
use tar::{EntryType, Header};

use crate::build::BuiltImage;
use crate::error::ImageError;
use crate::layout::Descriptor;

/// Writes images under their names (`REPOSITORY:TAG`). The same images and names give the same bytes.
///
/// # Errors
/// A blob of an image does not exist any more, or the archive cannot be written.
pub fn archive(images: &[(&BuiltImage, String)], target: impl Write) -> Result<(), ImageError> {
    let mut archive = tar::Builder::new(target);
    text(&mut archive, "oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    text(&mut archive, "index.json", &index(images).to_string())?;
    text(&mut archive, "manifest.json", &manifest(images).to_string())?;
    let mut written = BTreeSet::new();
    for (built, _) in images {
        for blob in [&built.manifest, &built.config, &built.layer] {
            if written.insert(&blob.digest) {
                let path = built.layout().blob(&blob.digest);
                let file = File::open(&path).map_err(|_| ImageError::Incomplete {
                    service: built.service.clone(),
                })?;
                append(&mut archive, &entry_path(blob), blob.size, file)?;
            }
        }
    }
    let finished = archive.into_inner().and_then(|mut target| target.flush());
    finished.map_err(ImageError::Archive)
}

fn entry_path(blob: &Descriptor) -> String {
    format!("blobs/{}", blob.digest.replace(':', "/"))
}

/// Returns OCI's index with a name for each image, which containerd and podman read.
fn index(images: &[(&BuiltImage, String)]) -> Value {
    let entries = images.iter().map(|(built, name)| {
        let tag = name.rsplit_once(':').map_or("", |(_, tag)| tag);
        let mut entry = json!(built.manifest);
        entry["annotations"] = json!({
            "io.containerd.image.name": format!("docker.io/{name}"),
            "org.opencontainers.image.ref.name": tag,
        });
        entry
    });
    json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries.collect::<Vec<_>>() })
}

/// Returns Docker's list of images.
fn manifest(images: &[(&BuiltImage, String)]) -> Value {
    images
        .iter()
        .map(|(built, name)| json!({ "Config": entry_path(&built.config), "RepoTags": [name], "Layers": [entry_path(&built.layer)] }))
        .collect()
}

fn text(archive: &mut tar::Builder<impl Write>, path: &str, content: &str) -> Result<(), ImageError> {
    append(archive, path, content.len() as u64, content.as_bytes())
}

fn append(archive: &mut tar::Builder<impl Write>, path: &str, size: u64, content: impl Read) -> Result<(), ImageError> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    archive
        .append_data(&mut header, path, content.take(size))
        .map_err(ImageError::Archive)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{ImageSpec, Provenance, build};

    #[test]
    fn an_archive_names_blobs_that_are_in_it_for_docker_and_for_oci() {
        let folder = tempfile::tempdir().unwrap();
        let spec = ImageSpec {
            service: "truth".into(),
            package: "true".into(),
            workspace: folder.path().into(),
            ports: vec![4000],
            architecture: crate::Architecture::of_this_machine().unwrap(),
            ca_bundle: None,
        };
        let built = build(&spec, Path::new("/bin/true"), &Provenance::default()).unwrap();
        let mut bytes = Vec::new();
        archive(&[(&built, "project/truth:local".into())], &mut bytes).unwrap();
        let mut files = std::collections::BTreeMap::new();
        for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            files.insert(path, content);
        }
        let docker: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        assert_eq!(docker[0]["RepoTags"], json!(["project/truth:local"]));
        assert!(files.contains_key(docker[0]["Layers"][0].as_str().unwrap()));
        let config = &files[docker[0]["Config"].as_str().unwrap()];
        assert_eq!(serde_json::from_slice::<Value>(config).unwrap()["os"], "linux");
        let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        let digest = index["manifests"][0]["digest"].as_str().unwrap();
        assert!(files.contains_key(&format!("blobs/{}", digest.replace(':', "/"))));
    }
}
