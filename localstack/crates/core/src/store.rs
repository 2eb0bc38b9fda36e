//! The endpoint's state on disk: JSON documents in collections. Each write is one transaction.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

const DOCUMENTS: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("documents");

/// The format of the documents, under the key `format`.
const METADATA: TableDefinition<&str, u64> = TableDefinition::new("metadata");

/// The format that this version reads and writes. A change of a stored field's name or meaning increments it. Format 1 had no entry.
const FORMAT: u64 = 2;

/// A handle on the state file. The state survives `kill -9`: a write is on disk when its call returns.
#[derive(Clone)]
pub struct Store(Arc<Database>);

impl Store {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// When another endpoint has it open, it cannot be read, or it has another format.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let database = Database::create(path).with_context(|| {
            format!(
                "cannot open the state file {}: is another endpoint using this state directory?",
                path.display()
            )
        })?;
        let write = database.begin_write()?;
        let is_new = write.open_table(DOCUMENTS)?.is_empty()?;
        {
            let mut metadata = write.open_table(METADATA)?;
            let format = metadata.get("format")?.map(|format| format.value());
            match format.or((!is_new).then_some(1)) {
                Some(FORMAT) => {}
                Some(other) => bail!(
                    "the state file {} has format {other}, and this version reads format {FORMAT}: run `deployer destroy` with \
                     the version that wrote it, or delete the state directory with its databases",
                    path.display()
                ),
                None => {
                    metadata.insert("format", FORMAT)?;
                }
            }
        }
        write.commit()?;
        Ok(Self(Arc::new(database)))
    }

    /// Stores one document. `collection` is named for its service and type, such as `ecs.tasks`.
    ///
    /// # Errors
    /// When the state file cannot be written.
    pub fn put<T: Serialize>(&self, collection: &str, id: &str, document: &T) -> anyhow::Result<()> {
        let bytes = serde_json::to_vec(document)?;
        let write = self.0.begin_write()?;
        write
            .open_table(DOCUMENTS)?
            .insert((collection, id), bytes.as_slice())?;
        write.commit()?;
        Ok(())
    }

    /// Returns one document, or `None` if it does not exist.
    ///
    /// # Errors
    /// When the state file or the document cannot be read.
    pub fn get<T: DeserializeOwned>(&self, collection: &str, id: &str) -> anyhow::Result<Option<T>> {
        let table = self.0.begin_read()?.open_table(DOCUMENTS)?;
        let Some(bytes) = table.get((collection, id))? else {
            return Ok(None);
        };
        serde_json::from_slice(bytes.value())
            .map(Some)
            .with_context(|| format!("cannot read the state of {collection} {id}"))
    }

    /// Deletes one document. Returns true if it existed.
    ///
    /// # Errors
    /// When the state file cannot be written.
    pub fn delete(&self, collection: &str, id: &str) -> anyhow::Result<bool> {
        let write = self.0.begin_write()?;
        let existed = write.open_table(DOCUMENTS)?.remove((collection, id))?.is_some();
        write.commit()?;
        Ok(existed)
    }

    /// Returns every document of a collection with its id, sorted by id.
    ///
    /// # Errors
    /// When the state file or a document cannot be read.
    pub fn list<T: DeserializeOwned>(&self, collection: &str) -> anyhow::Result<Vec<(String, T)>> {
        let table = self.0.begin_read()?.open_table(DOCUMENTS)?;
        let mut found = Vec::new();
        for entry in table.range((collection, "")..)? {
            let (key, bytes) = entry?;
            let (in_collection, id) = key.value();
            if in_collection != collection {
                break;
            }
            let document = serde_json::from_slice(bytes.value())
                .with_context(|| format!("cannot read the state of {collection} {id}"))?;
            found.push((id.to_owned(), document));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_returns_the_documents_of_one_collection_sorted_by_id() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state.redb")).unwrap();
        store.put("b", "2", &2).unwrap();
        store.put("b", "1", &1).unwrap();
        store.put("c", "0", &3).unwrap();
        assert_eq!(store.list::<i32>("b").unwrap(), [("1".into(), 1), ("2".into(), 2)]);
        assert!(store.delete("b", "1").unwrap());
        assert!(!store.delete("b", "1").unwrap());
        assert_eq!(store.get::<i32>("b", "1").unwrap(), None);
    }

    #[test]
    fn a_state_file_of_another_format_is_rejected_and_left_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.redb");
        {
            let database = Database::create(&path).unwrap();
            let write = database.begin_write().unwrap();
            write
                .open_table(DOCUMENTS)
                .unwrap()
                .insert(("ecs.tasks", "one"), b"{}".as_slice())
                .unwrap();
            write.commit().unwrap();
        }
        for _ in 0..2 {
            let error = Store::open(&path).err().expect("format 1 is rejected").to_string();
            assert!(error.contains("has format 1"), "{error}");
        }
    }
}
