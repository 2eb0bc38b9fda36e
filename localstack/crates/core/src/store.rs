//! The endpoint's state on disk: JSON documents in collections. Each write is one transaction.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use redb::{Database, ReadableDatabase, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

const DOCUMENTS: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("documents");

/// A handle on the state file. The state survives `kill -9`: a write is on disk when its call returns.
#[derive(Clone)]
pub struct Store(Arc<Database>);

impl Store {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// When another endpoint has it open, or it cannot be read.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let database = Database::create(path).with_context(|| {
            format!(
                "cannot open the state file {}: is another endpoint using this state directory?",
                path.display()
            )
        })?;
        let write = database.begin_write()?;
        write.open_table(DOCUMENTS)?;
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
}
