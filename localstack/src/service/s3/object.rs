//! Objects on disk: the bytes in `state_dir/s3/BUCKET/UUID` (0600), the metadata in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::Address;
use crate::records::now;
use crate::{AwsError, Context};

const OBJECTS: &str = "s3.objects";

/// The metadata of an object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Object {
    pub bucket: String,
    pub key: String,
    /// The name of the file.
    file: String,
    /// Bytes.
    pub size: u64,
    /// MD5 of the content, in hexadecimal digits, without quotes.
    pub etag: String,
    /// Milliseconds since 1970.
    pub modified: i64,
    /// The headers that `GetObject` returns: `content-type`, `x-amz-meta-…`, the declared encryption.
    pub headers: BTreeMap<String, String>,
}

impl Object {
    pub fn find(cx: &Context, address: &Address) -> Result<Option<Self>, AwsError> {
        Ok(cx.store().get(OBJECTS, &id(&address.bucket, &address.key))?)
    }

    pub fn get(cx: &Context, address: &Address) -> Result<Self, AwsError> {
        let missing = || AwsError::new("NoSuchKey", "The specified key does not exist.").with_status(404);
        Self::find(cx, address)?.ok_or_else(missing)
    }

    /// Lists the objects of a bucket, ordered by the UTF-8 bytes of their keys.
    pub fn list(cx: &Context, bucket: &str) -> Result<Vec<Self>, AwsError> {
        let all = cx.store().list::<Self>(OBJECTS)?.into_iter();
        Ok(all
            .map(|(_, object)| object)
            .filter(|object| object.bucket == bucket)
            .collect())
    }

    /// Stores an object, replacing the one with this key. The bytes are on disk when this returns.
    pub fn put(
        cx: &Context,
        address: &Address,
        bytes: &[u8],
        headers: BTreeMap<String, String>,
    ) -> Result<Self, AwsError> {
        let previous = Self::find(cx, address)?;
        let object = Self {
            bucket: address.bucket.clone(),
            key: address.key.clone(),
            file: uuid::Uuid::new_v4().to_string(),
            size: bytes.len() as u64,
            etag: hex::encode(Md5::digest(bytes)),
            modified: now(),
            headers,
        };
        object.write(cx, bytes).map_err(|error| {
            let _ = fs::remove_file(object.path(cx));
            write_error(&error)
        })?;
        cx.store().put(OBJECTS, &id(&object.bucket, &object.key), &object)?;
        if let Some(previous) = previous {
            let _ = fs::remove_file(previous.path(cx));
        }
        Ok(object)
    }

    fn write(&self, cx: &Context, bytes: &[u8]) -> std::io::Result<()> {
        let folder = cx.root_dir().join("s3").join(&self.bucket);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(self.path(cx))?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    pub fn content(&self, cx: &Context) -> Result<Vec<u8>, AwsError> {
        let unreadable = |error| AwsError::internal(format!("cannot read the content of {}: {error}", self.key));
        fs::read(self.path(cx)).map_err(unreadable)
    }

    pub fn delete(&self, cx: &Context) -> Result<(), AwsError> {
        cx.store().delete(OBJECTS, &id(&self.bucket, &self.key))?;
        let _ = fs::remove_file(self.path(cx));
        Ok(())
    }

    fn path(&self, cx: &Context) -> PathBuf {
        cx.root_dir().join("s3").join(&self.bucket).join(&self.file)
    }
}

/// Deletes the folder of a deleted bucket.
pub fn delete_folder(cx: &Context, bucket: &str) {
    let _ = fs::remove_dir_all(cx.root_dir().join("s3").join(bucket));
}

/// Deletes the files that no object references; an upload that was killed leaves them.
pub fn delete_unreferenced(cx: &Context) -> anyhow::Result<()> {
    let known: BTreeSet<PathBuf> = cx
        .store()
        .list::<Object>(OBJECTS)?
        .into_iter()
        .map(|(_, object)| object.path(cx))
        .collect();
    let folders = match fs::read_dir(cx.root_dir().join("s3")) {
        Ok(folders) => folders,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for folder in folders {
        for file in fs::read_dir(folder?.path())? {
            let path = file?.path();
            if !known.contains(&path) {
                fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}

/// Returns the store's ID of an object. It is unique, and the objects of a bucket are adjacent, since a bucket's name
/// has no slash.
fn id(bucket: &str, key: &str) -> String {
    format!("{bucket}/{key}")
}

fn write_error(error: &std::io::Error) -> AwsError {
    let message = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "There is no space left on the disk of the embedded endpoint. Free some and upload again.".to_owned()
        }
        _ => format!("The embedded endpoint cannot store the object: {error}"),
    };
    AwsError::internal(message)
}
