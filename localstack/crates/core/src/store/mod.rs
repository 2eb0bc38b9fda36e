//! The endpoint's state on disk: JSON documents in collections. A transaction makes several writes one.

mod file;

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

const DOCUMENTS: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("documents");

thread_local! {
    /// The transaction that runs on this thread, with the store that it belongs to.
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

struct Current {
    store: *const Inner,
    write: WriteTransaction,
    has_changes: bool,
}

/// Ends the transaction of this thread, also after a panic.
struct Guard(Option<Current>);
impl Drop for Guard {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// A handle on the documents of one region in the state file. The state survives `kill -9`: a write is on disk when its call, or
/// the transaction around it, returns.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// `None` for the first region, whose collections have no prefix.
    region: Option<Arc<Region>>,
}

struct Region {
    name: String,
    /// The beginnings of the names of collections that all regions share.
    shared: Vec<String>,
}

/// Marks a collection of another region than the first: `@REGION/COLLECTION`. No service's name begins so.
const MARK: char = '@';

struct Inner {
    database: Database,
    commits: AtomicU64,
    crash_after: Option<u64>,
}

impl Store {
    /// Opens the file, or creates it. An existing file is first copied to `FILE.backup`; the copy of a file that cannot be opened
    /// does not replace the last good one.
    ///
    /// # Errors
    /// When another endpoint has it open, it is damaged, it has another format, or it is missing or empty beside one of the folders in
    /// `data`, which only an existing state describes.
    pub fn open(path: &Path, data: &[&str]) -> anyhow::Result<Self> {
        let database = file::open(path, data)?;
        let inner = Inner {
            database,
            commits: AtomicU64::new(0),
            crash_after: None,
        };
        Ok(Self {
            inner: Arc::new(inner),
            region: None,
        })
    }

    /// Returns a handle on the documents of another region. Collections whose names begin with one of `shared` are the same.
    #[must_use]
    pub fn of_region(&self, region: &str, shared: Vec<String>) -> Self {
        Self {
            inner: self.inner.clone(),
            region: Some(Arc::new(Region {
                name: region.to_owned(),
                shared,
            })),
        }
    }

    /// Returns a handle on the documents of the first region.
    #[must_use]
    pub fn of_first_region(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            region: None,
        }
    }

    /// Returns the other regions that have documents, sorted.
    ///
    /// # Errors
    /// When the state file cannot be read.
    pub fn regions(&self) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        self.read(|documents| {
            documents.each_collection(&mut |collection| {
                if let Some((region, _)) = collection.strip_prefix(MARK).and_then(|rest| rest.split_once('/'))
                    && found.last().is_none_or(|last| last != region)
                {
                    found.push(region.to_owned());
                }
            })
        })?;
        Ok(found)
    }

    /// Returns the name of a collection in the file.
    fn key<'a>(&self, collection: &'a str) -> Cow<'a, str> {
        match &self.region {
            Some(region) if !region.shared.iter().any(|one| collection.starts_with(one)) => {
                Cow::Owned(format!("{MARK}{}/{collection}", region.name))
            }
            _ => Cow::Borrowed(collection),
        }
    }

    /// Makes the process abort right after the given number of commits, as a kill at that moment would. For tests of recovery.
    ///
    /// # Panics
    /// Never: a store that was just opened has one handle.
    #[must_use]
    pub fn crashing_after(mut self, commits: Option<u64>) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.crash_after = commits;
        }
        self
    }

    /// Makes all writes of `run` one: all of them are on disk when it returns, or none if it fails or the process ends before. No other
    /// write happens in the meantime, and the reads in `run` see its writes. Transactions nest; the outermost one commits, so an
    /// error of an inner one must end the outer one too. `run` must be short, and must not wait for a lock that is held across a write.
    ///
    /// # Errors
    /// The error of `run`, or when the state file cannot be written.
    pub fn transaction<T, E: From<anyhow::Error>>(&self, run: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let store = Arc::as_ptr(&self.inner);
        if CURRENT.with_borrow(|current| current.as_ref().is_some_and(|current| current.store == store)) {
            return run();
        }
        let write = self.inner.database.begin_write().map_err(anyhow::Error::from)?;
        let outer = CURRENT.replace(Some(Current {
            store,
            write,
            has_changes: false,
        }));
        let guard = Guard(outer);
        let result = run()?;
        let current = CURRENT.take();
        drop(guard);
        if let Some(Current {
            write,
            has_changes: true,
            ..
        }) = current
        {
            self.commit(write)?;
        }
        Ok(result)
    }

    /// Returns the number of commits since the file was opened. While it stays the same, so do all documents.
    pub fn commits(&self) -> u64 {
        self.inner.commits.load(Ordering::SeqCst)
    }

    /// Returns true in a transaction. A lock under which others write must be taken before it.
    pub fn is_in_transaction() -> bool {
        CURRENT.with_borrow(Option::is_some)
    }

    fn commit(&self, write: WriteTransaction) -> anyhow::Result<()> {
        write.commit().context("cannot write the state file")?;
        let commits = self.inner.commits.fetch_add(1, Ordering::SeqCst) + 1;
        if self.inner.crash_after.is_some_and(|limit| commits >= limit) {
            std::process::abort();
        }
        Ok(())
    }

    /// Runs `change` on the table of documents, in a transaction.
    fn write<T>(
        &self,
        change: impl FnOnce(&mut redb::Table<'_, (&str, &str), &[u8]>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.transaction(|| {
            CURRENT.with_borrow_mut(|current| {
                let current = current.as_mut().context("no transaction is running")?;
                current.has_changes = true;
                let mut table = current.write.open_table(DOCUMENTS)?;
                change(&mut table)
            })
        })
    }

    /// Runs `read` on the table of documents: that of the transaction on this thread if there is one.
    fn read<T>(&self, read: impl FnOnce(&dyn Documents) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let store = Arc::as_ptr(&self.inner);
        CURRENT.with_borrow(|current| match current {
            Some(current) if current.store == store => read(&current.write.open_table(DOCUMENTS)?),
            _ => read(&self.inner.database.begin_read()?.open_table(DOCUMENTS)?),
        })
    }

    /// Stores one document. `collection` is named for its service and type, such as `ecs.tasks`.
    ///
    /// # Errors
    /// When the state file cannot be written.
    pub fn put<T: Serialize>(&self, collection: &str, id: &str, document: &T) -> anyhow::Result<()> {
        let bytes = serde_json::to_vec(document)?;
        self.write(|table| {
            table.insert((self.key(collection).as_ref(), id), bytes.as_slice())?;
            Ok(())
        })
    }

    /// Returns one document, or `None` if it does not exist.
    ///
    /// # Errors
    /// When the state file or the document cannot be read.
    pub fn get<T: DeserializeOwned>(&self, collection: &str, id: &str) -> anyhow::Result<Option<T>> {
        let bytes = self.read(|documents| documents.one(&self.key(collection), id))?;
        let document = bytes.map(|bytes| serde_json::from_slice(&bytes));
        document
            .transpose()
            .with_context(|| format!("cannot read the state of {collection} {id}"))
    }

    /// Deletes one document. Returns true if it existed.
    ///
    /// # Errors
    /// When the state file cannot be written.
    pub fn delete(&self, collection: &str, id: &str) -> anyhow::Result<bool> {
        self.write(|table| Ok(table.remove((self.key(collection).as_ref(), id))?.is_some()))
    }

    /// Returns every document of a collection with its id, sorted by id.
    ///
    /// # Errors
    /// When the state file or a document cannot be read.
    pub fn list<T: DeserializeOwned>(&self, collection: &str) -> anyhow::Result<Vec<(String, T)>> {
        let mut found = Vec::new();
        self.read(|documents| {
            documents.each(&self.key(collection), &mut |id, bytes| {
                let document = serde_json::from_slice(bytes)
                    .with_context(|| format!("cannot read the state of {collection} {id}"))?;
                found.push((id.to_owned(), document));
                Ok(())
            })
        })?;
        Ok(found)
    }
}

/// The table of documents in a read or a write transaction.
trait Documents {
    fn one(&self, collection: &str, id: &str) -> anyhow::Result<Option<Vec<u8>>>;
    fn each(&self, collection: &str, visit: &mut dyn FnMut(&str, &[u8]) -> anyhow::Result<()>) -> anyhow::Result<()>;
    /// Visits the name of the collection of each document, sorted.
    fn each_collection(&self, visit: &mut dyn FnMut(&str)) -> anyhow::Result<()>;
}

impl<T: ReadableTable<(&'static str, &'static str), &'static [u8]>> Documents for T {
    fn one(&self, collection: &str, id: &str) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(self.get((collection, id))?.map(|bytes| bytes.value().to_vec()))
    }

    fn each(&self, collection: &str, visit: &mut dyn FnMut(&str, &[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
        for entry in self.range((collection, "")..)? {
            let (key, bytes) = entry?;
            let (in_collection, id) = key.value();
            if in_collection != collection {
                break;
            }
            visit(id, bytes.value())?;
        }
        Ok(())
    }

    fn each_collection(&self, visit: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
        for entry in self.range::<(&str, &str)>(..)? {
            visit(entry?.0.value().0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use anyhow::bail;

    use super::*;

    #[test]
    fn list_returns_the_documents_of_one_collection_sorted_by_id() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state.redb"), &[]).unwrap();
        store.put("b", "2", &2).unwrap();
        store.put("b", "1", &1).unwrap();
        store.put("c", "0", &3).unwrap();
        assert_eq!(store.list::<i32>("b").unwrap(), [("1".into(), 1), ("2".into(), 2)]);
        assert!(store.delete("b", "1").unwrap());
        assert!(!store.delete("b", "1").unwrap());
        assert_eq!(store.get::<i32>("b", "1").unwrap(), None);
    }

    #[test]
    fn a_transaction_is_whole_or_absent_and_its_reads_see_its_writes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state.redb"), &[]).unwrap();
        let failed: anyhow::Result<()> = store.transaction(|| {
            store.put("a", "1", &1)?;
            store.transaction(|| store.put("a", "2", &2))?;
            assert_eq!(store.list::<i32>("a")?.len(), 2);
            bail!("no")
        });
        failed.unwrap_err();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            store.transaction(|| -> anyhow::Result<()> {
                store.put("a", "1", &1)?;
                panic!("in a transaction")
            })
        }));
        assert!(panicked.is_err());
        assert!(store.list::<i32>("a").unwrap().is_empty());
        let before = store.inner.commits.load(Ordering::SeqCst);
        store
            .transaction(|| -> anyhow::Result<()> {
                store.put("a", "1", &1)?;
                store.put("b", "1", &1)
            })
            .unwrap();
        store.transaction(|| store.get::<i32>("a", "1").map(drop)).unwrap();
        assert_eq!(store.inner.commits.load(Ordering::SeqCst), before + 1);
    }
}
