//! The image of one binary.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::ca_bundle::{self, CERTIFICATES, DATABASE_AUTHORITIES};
use super::layer::{Entry, Layer};
use super::layout::{CONFIG, Descriptor, LAYER, Layout, MANIFEST, write_whole};
use super::provenance::Provenance;
use super::shared_libraries::{Closure, closure};
use super::unwritten;
use crate::ImageSpec;

/// The user that services run as in their images.
const USER: u32 = 10001;

/// An image in its OCI layout under `target/oci/SERVICE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    pub service: String,
    /// `sha256:…` of the manifest: what a task definition names.
    pub digest: String,
    pub layer: Descriptor,
    pub config: Descriptor,
    pub manifest: Descriptor,
    /// What went in; the same fingerprint is not packed again.
    pub fingerprint: String,
    /// The folder of the OCI layout.
    pub folder: PathBuf,
}

/// What is remembered of a built image, beside its layout.
const RECORD: &str = "built.json";

impl Built {
    /// What was built of a service last, when it is still whole.
    pub fn of(spec: &ImageSpec) -> Option<Self> {
        let folder = folder(spec);
        let record = fs::read(folder.join(RECORD)).ok()?;
        let built: Self = serde_json::from_slice(&record).ok()?;
        (built.folder == folder && built.is_whole()).then_some(built)
    }

    pub(super) fn layout(&self) -> Layout {
        Layout(self.folder.clone())
    }

    /// The bytes that a registry stores of it, compressed as they are.
    pub fn bytes(&self) -> u64 {
        self.layer.size + self.config.size + self.manifest.size
    }

    fn is_whole(&self) -> bool {
        let there = |d: &Descriptor| fs::metadata(self.layout().blob(&d.digest)).is_ok_and(|m| m.len() == d.size);
        [&self.layer, &self.config, &self.manifest].into_iter().all(there)
    }
}

/// Packs a binary with what it needs. It blocks; when nothing has changed, it only reads and compares.
pub fn build(spec: &ImageSpec, binary: &Path, provenance: &Provenance) -> anyhow::Result<Built> {
    let needed = closure(binary)?;
    let layer = fill(spec, binary, &needed)?;
    let settings = settings(spec, &needed, provenance);
    let fingerprint = format!("{}-{}", layer.fingerprint()?, digest_of(&settings));
    if let Some(former) = Built::of(spec).filter(|former| former.fingerprint == fingerprint) {
        return Ok(former);
    }
    let folder = folder(spec);
    let layout = Layout(folder.clone());
    let (layer, diff_id) = write_layer(&layout, &layer)?;
    let mut config = settings;
    config["rootfs"] = json!({"type": "layers", "diff_ids": [diff_id]});
    let config = layout.put(CONFIG, config.to_string().as_bytes())?;
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
    let manifest = layout.put(MANIFEST, manifest.to_string().as_bytes())?;
    layout.point_to(&manifest, &[&layer, &config])?;
    let digest = manifest.digest.clone();
    let built = Built {
        service: spec.service.clone(),
        digest,
        layer,
        config,
        manifest,
        fingerprint,
        folder,
    };
    write_whole(&built.folder.join(RECORD), &serde_json::to_vec_pretty(&built)?)?;
    Ok(built)
}

fn folder(spec: &ImageSpec) -> PathBuf {
    spec.workspace.join("target/oci").join(&spec.service)
}

fn write_layer(layout: &Layout, layer: &Layer) -> anyhow::Result<(Descriptor, String)> {
    let blobs = layout.0.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(|error| unwritten(error, &blobs))?;
    let beside = layout.0.join(format!("layer.new-{}", std::process::id()));
    let written = layer.write(&beside).and_then(|written| {
        let path = layout.blob(&written.digest);
        fs::rename(&beside, &path).map_err(|error| unwritten(error, &path))?;
        Ok(written)
    });
    let written = written.inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })?;
    Ok((
        Descriptor {
            media_type: LAYER.into(),
            digest: written.digest,
            size: written.size,
        },
        written.diff_id,
    ))
}

fn fill(spec: &ImageSpec, binary: &Path, needed: &Closure) -> anyhow::Result<Layer> {
    let mut layer = Layer::default();
    for (path, source) in &needed.files {
        layer.add(
            path,
            Entry::File {
                source: source.clone(),
                mode: 0o755,
            },
        );
    }
    layer.add(
        place(spec),
        Entry::File {
            source: binary.to_owned(),
            mode: 0o755,
        },
    );
    layer.add(
        CERTIFICATES,
        Entry::File {
            source: ca_bundle::certificates()?,
            mode: 0o644,
        },
    );
    layer.text(DATABASE_AUTHORITIES, ca_bundle::RDS);
    let user = format!("app:x:{USER}:{USER}:app:/:/nonexistent\n");
    layer.text("etc/passwd", format!("root:x:0:0:root:/:/nonexistent\n{user}"));
    layer.text("etc/group", format!("root:x:0:\napp:x:{USER}:\n"));
    layer.text("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
    // Mount points for whoever runs the image; their root may be read-only.
    layer.text("etc/hosts", "");
    layer.text("etc/resolv.conf", "");
    for folder in ["dev", "proc", "sys", "run"] {
        layer.add(folder, Entry::Folder { mode: 0o755 });
    }
    layer.add("tmp", Entry::Folder { mode: 0o1777 });
    Ok(layer)
}

fn place(spec: &ImageSpec) -> String {
    format!("/usr/local/bin/{}", spec.package)
}

/// The image's configuration, all but the layer.
fn settings(spec: &ImageSpec, needed: &Closure, provenance: &Provenance) -> Value {
    let mut env = vec![
        "PATH=/usr/local/bin".to_owned(),
        format!("SSL_CERT_FILE={CERTIFICATES}"),
    ];
    if !needed.extra_folders.is_empty() {
        let folders: Vec<_> = needed
            .extra_folders
            .iter()
            .map(|folder| folder.to_string_lossy())
            .collect();
        env.push(format!("LD_LIBRARY_PATH={}", folders.join(":")));
    }
    let ports: Map<String, Value> = spec
        .ports
        .iter()
        .map(|port| (format!("{port}/tcp"), json!({})))
        .collect();
    let title = ("org.opencontainers.image.title".to_owned(), spec.service.as_str());
    let labels: Map<String, Value> = [title]
        .into_iter()
        .chain(provenance.labels())
        .map(|(name, value)| (name, json!(value)))
        .collect();
    let mut settings = json!({
        "architecture": needed.architecture,
        "os": "linux",
        "config": {
            "User": format!("{USER}:{USER}"),
            "Env": env,
            "Entrypoint": [place(spec)],
            "WorkingDir": "/",
            "ExposedPorts": ports,
            "Labels": labels,
            "StopSignal": "SIGTERM",
        },
    });
    if let Some(created) = &provenance.created {
        settings["created"] = json!(created);
    }
    settings
}

fn digest_of(value: &Value) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(workspace: &Path) -> ImageSpec {
        ImageSpec {
            service: "truth".into(),
            package: "true".into(),
            workspace: workspace.into(),
            ports: vec![4000],
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_bytes() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = build(&image(one.path()), Path::new("/bin/true"), &Provenance::default()).unwrap();
        let second = build(&image(other.path()), Path::new("/bin/true"), &Provenance::default()).unwrap();
        assert_eq!(first.digest, second.digest);
        let bytes = |built: &Built| fs::read(built.layout().blob(&built.layer.digest)).unwrap();
        assert_eq!(bytes(&first), bytes(&second));
    }

    #[test]
    fn the_configuration_says_where_the_image_comes_from() {
        let folder = tempfile::tempdir().unwrap();
        let provenance = Provenance {
            version: Some("1.2.3".into()),
            revision: Some("c0ffee".into()),
            created: Some("2026-01-02T03:04:05Z".into()),
            ..Provenance::default()
        };
        let built = build(&image(folder.path()), Path::new("/bin/true"), &provenance).unwrap();
        let config = fs::read(built.layout().blob(&built.config.digest)).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(config["created"], "2026-01-02T03:04:05Z");
        let expected = json!({
            "org.opencontainers.image.title": "truth",
            "org.opencontainers.image.version": "1.2.3",
            "org.opencontainers.image.revision": "c0ffee",
            "org.opencontainers.image.created": "2026-01-02T03:04:05Z",
        });
        assert_eq!(config["config"]["Labels"], expected);
    }

    #[test]
    fn an_unchanged_binary_is_not_packed_again_and_a_changed_one_replaces_it() {
        let folder = tempfile::tempdir().unwrap();
        let spec = image(folder.path());
        let first = build(&spec, Path::new("/bin/true"), &Provenance::default()).unwrap();
        let layer = first.layout().blob(&first.layer.digest);
        let made = fs::metadata(&layer).unwrap().modified().unwrap();
        assert_eq!(
            build(&spec, Path::new("/bin/true"), &Provenance::default()).unwrap(),
            first
        );
        assert_eq!(fs::metadata(&layer).unwrap().modified().unwrap(), made);
        let second = build(&spec, Path::new("/bin/false"), &Provenance::default()).unwrap();
        assert_ne!(second.digest, first.digest);
        assert!(!layer.exists(), "the former layer is gone");
    }

    #[test]
    fn a_layer_holds_the_binary_its_libraries_certificates_and_a_user() {
        let folder = tempfile::tempdir().unwrap();
        let built = build(&image(folder.path()), Path::new("/bin/true"), &Provenance::default()).unwrap();
        let file = fs::File::open(built.layout().blob(&built.layer.digest)).unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
        let paths: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|e| e.unwrap().path().unwrap().display().to_string())
            .collect();
        for wanted in [
            "usr/local/bin/true",
            "etc/ssl/certs/ca-certificates.crt",
            "etc/ssl/certs/rds-global-bundle.pem",
            "etc/passwd",
            "tmp/",
        ] {
            assert!(paths.iter().any(|path| path == wanted), "{wanted} in {paths:?}");
        }
        assert!(paths.iter().any(|path| path.ends_with("/libc.so.6")), "{paths:?}");
    }
}
