//! The endpoint's state on disk: JSON documents in collections, each write a transaction.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use redb::{Database, ReadableDatabase, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

const DOCUMENTS: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("documents");

/// A handle on the state file. It survives `kill -9`: a write is on disk when its call returns.
#[derive(Clone)]
pub struct Store(Arc<Database>);

impl Store {
    /// Opens or makes the file. Fails when another endpoint holds it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let database = Database::create(path).with_context(|| {
            format!(
                "cannot open the state {}: is another endpoint using this state directory?",
                path.display()
            )
        })?;
        let write = database.begin_write()?;
        write.open_table(DOCUMENTS)?;
        write.commit()?;
        Ok(Self(Arc::new(database)))
    }

    /// Puts one document; `collection` is named for its service and kind, such as `ecs.tasks`.
    pub fn put<T: Serialize>(&self, collection: &str, id: &str, document: &T) -> anyhow::Result<()> {
        let bytes = serde_json::to_vec(document)?;
        let write = self.0.begin_write()?;
        write
            .open_table(DOCUMENTS)?
            .insert((collection, id), bytes.as_slice())?;
        write.commit()?;
        Ok(())
    }

    pub fn get<T: DeserializeOwned>(&self, collection: &str, id: &str) -> anyhow::Result<Option<T>> {
        let table = self.0.begin_read()?.open_table(DOCUMENTS)?;
        let Some(bytes) = table.get((collection, id))? else {
            return Ok(None);
        };
        serde_json::from_slice(bytes.value())
            .map(Some)
            .with_context(|| format!("the state of {collection} {id} is not readable"))
    }

    /// Removes one document; says whether it was there.
    pub fn delete(&self, collection: &str, id: &str) -> anyhow::Result<bool> {
        let write = self.0.begin_write()?;
        let was_there = write.open_table(DOCUMENTS)?.remove((collection, id))?.is_some();
        write.commit()?;
        Ok(was_there)
    }

    /// Every document of a collection with its id, in the order of the ids.
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
                .with_context(|| format!("the state of {collection} {id} is not readable"))?;
            found.push((id.to_owned(), document));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_lists_its_own_documents_in_order() {
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
