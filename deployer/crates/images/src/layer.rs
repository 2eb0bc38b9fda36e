//! A layer: files at their paths, written so that the same files give the same bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

use crate::error::ImageError;

/// An entry at one path of the image.
#[derive(Debug, Clone)]
pub enum Entry {
    Folder { mode: u32 },
    File { source: PathBuf, mode: u32 },
    Text { content: String, mode: u32 },
}

/// The entries of a layer by path; the paths have no leading slash.
#[derive(Debug, Clone, Default)]
pub struct Layer(BTreeMap<String, Entry>);

/// The digests of a written layer.
pub struct LayerDigests {
    /// Of the compressed archive.
    pub digest: String,
    /// Of the uncompressed archive.
    pub diff_id: String,
    /// Bytes of the compressed archive.
    pub size: u64,
}

impl Layer {
    /// Adds an entry, and the folders above it (0755).
    pub fn add(&mut self, path: impl AsRef<Path>, entry: Entry) {
        let path = path.as_ref().to_string_lossy().trim_matches('/').to_owned();
        for (at, _) in path.match_indices('/') {
            self.0
                .entry(path[..at].to_owned())
                .or_insert(Entry::Folder { mode: 0o755 });
        }
        self.0.insert(path, entry);
    }

    /// Adds a text file (0644).
    pub fn text(&mut self, path: &str, content: impl Into<String>) {
        self.add(
            path,
            Entry::Text {
                content: content.into(),
                mode: 0o644,
            },
        );
    }

    /// Returns a digest of all paths, modes and contents.
    pub fn fingerprint(&self) -> Result<String, ImageError> {
        let mut hasher = Sha256::new();
        for (path, entry) in &self.0 {
            let (kind, mode) = match entry {
                Entry::Folder { mode } => ("folder", mode),
                Entry::File { mode, .. } | Entry::Text { mode, .. } => ("file", mode),
            };
            hasher.update(format!("{path}\0{kind}\0{mode:o}\0"));
            match entry {
                Entry::Folder { .. } => {}
                Entry::Text { content, .. } => hasher.update(content),
                Entry::File { source, .. } => {
                    let mut inner = Sha256::new();
                    io::copy(&mut open(source)?, &mut inner).map_err(ImageError::read(source))?;
                    hasher.update(inner.finalize());
                }
            }
            hasher.update([0]);
        }
        Ok(hex::encode(hasher.finalize()))
    }

    /// Writes the layer as a gzip archive: sorted, owned by root, without times or names of this machine.
    pub fn write(&self, target: &Path) -> Result<LayerDigests, ImageError> {
        let failed = |error| ImageError::write(target)(error);
        let file = File::create(target).map_err(failed)?;
        let compressed = DigestWriter::new(io::BufWriter::new(file));
        let gzip = GzBuilder::new()
            .mtime(0)
            .operating_system(255)
            .write(compressed, Compression::new(6));
        let mut archive = tar::Builder::new(DigestWriter::new(gzip));
        for (path, entry) in &self.0 {
            append(&mut archive, path, entry, target)?;
        }
        let tar = archive.into_inner().map_err(failed)?;
        let diff_id = tar.digest();
        let gzip = tar.into_inner().finish().map_err(failed)?;
        let (digest, size) = (gzip.digest(), gzip.count);
        let file = gzip
            .into_inner()
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        Ok(LayerDigests { digest, diff_id, size })
    }
}

fn append<W: Write>(archive: &mut tar::Builder<W>, path: &str, entry: &Entry, target: &Path) -> Result<(), ImageError> {
    let mut header = Header::new_gnu();
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    let failed = ImageError::write(target);
    match entry {
        Entry::Folder { mode } => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(*mode);
            header.set_size(0);
            archive
                .append_data(&mut header, format!("{path}/"), io::empty())
                .map_err(failed)
        }
        Entry::Text { content, mode } => {
            header.set_entry_type(EntryType::Regular);
            header.set_mode(*mode);
            header.set_size(content.len() as u64);
            archive
                .append_data(&mut header, path, content.as_bytes())
                .map_err(failed)
        }
        Entry::File { source, mode } => {
            let file = open(source)?;
            let size = file.metadata().map_err(ImageError::read(source))?.len();
            header.set_entry_type(EntryType::Regular);
            header.set_mode(*mode);
            header.set_size(size);
            archive.append_data(&mut header, path, file.take(size)).map_err(failed)
        }
    }
}

fn open(source: &Path) -> Result<File, ImageError> {
    File::open(source).map_err(ImageError::read(source))
}

/// Counts and digests the bytes that are written through it.
struct DigestWriter<W> {
    inner: W,
    hasher: Sha256,
    count: u64,
}

impl<W> DigestWriter<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
            count: 0,
        }
    }

    fn digest(&self) -> String {
        format!("sha256:{}", hex::encode(self.hasher.clone().finalize()))
    }

    fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: Write> Write for DigestWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
