//! Images in one archive, as `docker load` and `podman load` take it.
//!
//! It is an OCI image layout with Docker's `manifest.json` beside it: engines before Docker 25 read the one, those with
//! the containerd store the other, and both find the same blobs.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};

use anyhow::Context;
use serde_json::{Value, json};
use tar::{EntryType, Header};

use super::build::Built;
use super::layout::Descriptor;

/// Writes images under their names (`REPOSITORY:TAG`). The same images and names give the same bytes.
pub fn archive(images: &[(&Built, String)], target: impl Write) -> anyhow::Result<()> {
    let mut archive = tar::Builder::new(target);
    text(&mut archive, "oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    text(&mut archive, "index.json", &index(images).to_string())?;
    text(&mut archive, "manifest.json", &manifest(images).to_string())?;
    let mut written = BTreeSet::new();
    for (built, _) in images {
        for blob in [&built.manifest, &built.config, &built.layer] {
            if written.insert(&blob.digest) {
                let path = built.layout().blob(&blob.digest);
                let file = File::open(&path).with_context(|| {
                    format!("the image of {} is gone from target/oci: build it again", built.service)
                })?;
                append(&mut archive, &place(blob), blob.size, file)?;
            }
        }
    }
    archive.into_inner()?.flush()?;
    Ok(())
}

fn place(blob: &Descriptor) -> String {
    format!("blobs/{}", blob.digest.replace(':', "/"))
}

/// OCI's index: a name for each image, as containerd and podman read it.
fn index(images: &[(&Built, String)]) -> Value {
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

/// Docker's own list.
fn manifest(images: &[(&Built, String)]) -> Value {
    images
        .iter()
        .map(|(built, name)| json!({ "Config": place(&built.config), "RepoTags": [name], "Layers": [place(&built.layer)] }))
        .collect()
}

fn text(archive: &mut tar::Builder<impl Write>, path: &str, content: &str) -> anyhow::Result<()> {
    append(archive, path, content.len() as u64, content.as_bytes())
}

fn append(archive: &mut tar::Builder<impl Write>, path: &str, size: u64, content: impl Read) -> anyhow::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    archive
        .append_data(&mut header, path, content.take(size))
        .map_err(unwritten)
}

fn unwritten(error: io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context("cannot write the archive")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Provenance;
    use super::super::build::build;
    use super::*;
    use crate::ImageSpec;

    #[test]
    fn an_archive_names_blobs_that_are_in_it_for_docker_and_for_oci() {
        let folder = tempfile::tempdir().unwrap();
        let spec = ImageSpec {
            service: "truth".into(),
            package: "true".into(),
            workspace: folder.path().into(),
            ports: vec![4000],
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
