//! Building the image of one binary.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::architecture::Architecture;
use crate::ca_bundle::{self, CERTIFICATES, DATABASE_CA_BUNDLE};
use crate::error::ImageError;
use crate::layer::{Entry, Layer};
use crate::layout::{CONFIG, Descriptor, LAYER, Layout, MANIFEST, write_atomically};
use crate::provenance::Provenance;
use crate::shared_libraries::{SharedLibraries, shared_libraries};

/// The user as which services run in their images.
const USER: u32 = 10001;

/// An image to build from a package of a cargo workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSpec {
    /// The service that runs the image.
    pub service: String,
    /// The cargo package; its binary has the same name.
    pub package: String,
    /// The directory of the cargo workspace.
    pub workspace: PathBuf,
    /// The ports on which the service listens.
    pub ports: Vec<u16>,
    /// The architecture of the tasks that run the image.
    pub architecture: Architecture,
    /// A PEM file with the authorities of the databases, in place of AWS's bundle.
    pub ca_bundle: Option<PathBuf>,
}

/// An image in its OCI layout under `target/oci/SERVICE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltImage {
    /// The service that runs the image.
    pub service: String,
    /// `sha256:…` of the manifest, which a task definition names.
    pub digest: String,
    /// The layer.
    pub layer: Descriptor,
    /// The configuration.
    pub config: Descriptor,
    /// The manifest.
    pub manifest: Descriptor,
    /// A digest of everything that the image is built from; with the same fingerprint it is not built again.
    pub fingerprint: String,
    /// The directory of the OCI layout.
    pub folder: PathBuf,
}

/// The file with the [`BuiltImage`], beside its layout.
const RECORD: &str = "built.json";

impl BuiltImage {
    /// Returns the tag that every image has. It is derived from the digest, so that it never moves, and some registries delete
    /// images without a tag.
    pub fn digest_tag(&self) -> &str {
        &self.digest.trim_start_matches("sha256:")[..16]
    }

    /// Returns the last image that was built for a service, if all its blobs exist.
    pub fn load(spec: &ImageSpec) -> Option<Self> {
        let folder = folder(spec);
        let record = fs::read(folder.join(RECORD)).ok()?;
        let built: Self = serde_json::from_slice(&record).ok()?;
        (built.folder == folder && built.is_complete()).then_some(built)
    }

    /// Returns the compressed size in a registry, in bytes.
    pub fn bytes(&self) -> u64 {
        self.layer.size + self.config.size + self.manifest.size
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout(self.folder.clone())
    }

    fn is_complete(&self) -> bool {
        let exists = |d: &Descriptor| fs::metadata(self.layout().blob(&d.digest)).is_ok_and(|m| m.len() == d.size);
        [&self.layer, &self.config, &self.manifest].into_iter().all(exists)
    }
}

/// Builds the image of a binary and everything that it requires. Blocks; if nothing has changed, it reads and compares alone.
///
/// # Errors
/// The binary is not an ELF file, is for another architecture, or requires a library that is not installed, this machine has no CA certificates, or a file
/// cannot be read or written.
pub fn build(spec: &ImageSpec, binary: &Path, provenance: &Provenance) -> Result<BuiltImage, ImageError> {
    let libraries = shared_libraries(binary)?;
    if libraries.architecture != spec.architecture {
        return Err(ImageError::Architecture {
            path: binary.to_owned(),
            found: libraries.architecture,
            expected: spec.architecture,
        });
    }
    let layer = contents(spec, binary, &libraries)?;
    let config = config(spec, &libraries, provenance);
    let fingerprint = format!("{}-{}", layer.fingerprint()?, digest_of(&config));
    if let Some(former) = BuiltImage::load(spec).filter(|former| former.fingerprint == fingerprint) {
        return Ok(former);
    }
    let folder = folder(spec);
    let layout = Layout(folder.clone());
    let (layer, diff_id) = write_layer(&layout, &layer)?;
    let mut config = config;
    config["rootfs"] = json!({"type": "layers", "diff_ids": [diff_id]});
    let config = layout.put(CONFIG, config.to_string().as_bytes())?;
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
    let manifest = layout.put(MANIFEST, manifest.to_string().as_bytes())?;
    layout.point_to(&manifest, &[&layer, &config])?;
    let built = BuiltImage {
        service: spec.service.clone(),
        digest: manifest.digest.clone(),
        layer,
        config,
        manifest,
        fingerprint,
        folder,
    };
    write_atomically(&built.folder.join(RECORD), format!("{:#}", json!(built)).as_bytes())?;
    Ok(built)
}

fn folder(spec: &ImageSpec) -> PathBuf {
    spec.workspace.join("target/oci").join(&spec.service)
}

/// Writes the layer as a blob; returns its descriptor and the digest of the archive inside.
fn write_layer(layout: &Layout, layer: &Layer) -> Result<(Descriptor, String), ImageError> {
    let blobs = layout.0.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(ImageError::write(&blobs))?;
    let beside = layout.0.join(format!("layer.new-{}", std::process::id()));
    let written = layer.write(&beside).and_then(|written| {
        let path = layout.blob(&written.digest);
        fs::rename(&beside, &path).map_err(ImageError::write(&path))?;
        Ok(written)
    });
    let written = written.inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })?;
    let descriptor = Descriptor {
        media_type: LAYER.into(),
        digest: written.digest,
        size: written.size,
    };
    Ok((descriptor, written.diff_id))
}

fn contents(spec: &ImageSpec, binary: &Path, libraries: &SharedLibraries) -> Result<Layer, ImageError> {
    let mut layer = Layer::default();
    for (path, source) in &libraries.files {
        let (source, mode) = (source.clone(), 0o755);
        layer.add(path, Entry::File { source, mode });
    }
    let (source, mode) = (binary.to_owned(), 0o755);
    layer.add(entrypoint(spec), Entry::File { source, mode });
    let (source, mode) = (ca_bundle::certificates()?, 0o644);
    layer.add(CERTIFICATES, Entry::File { source, mode });
    let authorities = ca_bundle::database_authorities(spec.ca_bundle.as_deref())?;
    layer.text(DATABASE_CA_BUNDLE, authorities);
    let user = format!("app:x:{USER}:{USER}:app:/:/nonexistent\n");
    layer.text("etc/passwd", format!("root:x:0:0:root:/:/nonexistent\n{user}"));
    layer.text("etc/group", format!("root:x:0:\napp:x:{USER}:\n"));
    layer.text("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
    // Mount points of the container runtime; the root may be read-only.
    layer.text("etc/hosts", "");
    layer.text("etc/resolv.conf", "");
    for folder in ["dev", "proc", "sys", "run"] {
        layer.add(folder, Entry::Folder { mode: 0o755 });
    }
    layer.add("tmp", Entry::Folder { mode: 0o1777 });
    Ok(layer)
}

fn entrypoint(spec: &ImageSpec) -> String {
    format!("/usr/local/bin/{}", spec.package)
}

/// Returns the image's configuration, without the layer.
fn config(spec: &ImageSpec, libraries: &SharedLibraries, provenance: &Provenance) -> Value {
    let mut env = vec![
        "PATH=/usr/local/bin".to_owned(),
        format!("SSL_CERT_FILE={CERTIFICATES}"),
    ];
    if !libraries.extra_folders.is_empty() {
        let folders: Vec<_> = libraries
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
    let mut config = json!({
        "architecture": libraries.architecture,
        "os": "linux",
        "config": {
            "User": format!("{USER}:{USER}"),
            "Env": env,
            "Entrypoint": [entrypoint(spec)],
            "WorkingDir": "/",
            "ExposedPorts": ports,
            "Labels": labels,
            "StopSignal": "SIGTERM",
        },
    });
    if let Some(created) = &provenance.created {
        config["created"] = json!(created);
    }
    config
}

fn digest_of(value: &Value) -> String {
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
            architecture: Architecture::of_this_machine().unwrap(),
            ca_bundle: None,
        }
    }

    #[test]
    fn a_binary_for_another_architecture_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let mut spec = image(folder.path());
        let found = spec.architecture;
        let expected = if found == Architecture::Amd64 {
            Architecture::Arm64
        } else {
            Architecture::Amd64
        };
        spec.architecture = expected;
        let error = build(&spec, Path::new("/bin/true"), &Provenance::default()).unwrap_err();
        let ImageError::Architecture {
            found: one,
            expected: other,
            ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!((one, other), (found, expected));
        assert!(BuiltImage::load(&spec).is_none());
    }

    #[test]
    fn the_same_inputs_build_the_same_bytes() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = build(&image(one.path()), Path::new("/bin/true"), &Provenance::default()).unwrap();
        let second = build(&image(other.path()), Path::new("/bin/true"), &Provenance::default()).unwrap();
        assert_eq!(first.digest, second.digest);
        let bytes = |built: &BuiltImage| fs::read(built.layout().blob(&built.layer.digest)).unwrap();
        assert_eq!(bytes(&first), bytes(&second));
    }

    #[test]
    fn the_labels_are_those_of_the_provenance() {
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
    fn an_unchanged_binary_is_not_built_again_and_a_changed_one_replaces_it() {
        let folder = tempfile::tempdir().unwrap();
        let spec = image(folder.path());
        let first = build(&spec, Path::new("/bin/true"), &Provenance::default()).unwrap();
        let layer = first.layout().blob(&first.layer.digest);
        let modified = fs::metadata(&layer).unwrap().modified().unwrap();
        assert_eq!(
            build(&spec, Path::new("/bin/true"), &Provenance::default()).unwrap(),
            first
        );
        assert_eq!(fs::metadata(&layer).unwrap().modified().unwrap(), modified);
        let second = build(&spec, Path::new("/bin/false"), &Provenance::default()).unwrap();
        assert_ne!(second.digest, first.digest);
        assert!(!layer.exists(), "the former layer is deleted");
    }

    #[test]
    fn a_layer_has_the_binary_its_libraries_certificates_and_a_user() {
        let folder = tempfile::tempdir().unwrap();
        let built = build(&image(folder.path()), Path::new("/bin/true"), &Provenance::default()).unwrap();
        let file = fs::File::open(built.layout().blob(&built.layer.digest)).unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
        let paths: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|e| e.unwrap().path().unwrap().display().to_string())
            .collect();
        for expected in [
            "usr/local/bin/true",
            "etc/ssl/certs/ca-certificates.crt",
            "etc/ssl/certs/rds-global-bundle.pem",
            "etc/passwd",
            "tmp/",
        ] {
            assert!(paths.iter().any(|path| path == expected), "{expected} in {paths:?}");
        }
        assert!(paths.iter().any(|path| path.ends_with("/libc.so.6")), "{paths:?}");
    }
}
