//! The state file: opening, damage, format, and the backup of the last start.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use redb::{Database, DatabaseError, ReadableTable, ReadableTableMetadata, TableDefinition};

use super::DOCUMENTS;

/// The format of the documents, under the key `format`.
const METADATA: TableDefinition<&str, u64> = TableDefinition::new("metadata");

/// The format that this version reads and writes. A change of a stored field's name or meaning increments it. Format 1 had no entry.
const FORMAT: u64 = 2;

/// Opens the file, or creates it; see [`super::Store::open`].
pub fn open(path: &Path, data: &[&str]) -> anyhow::Result<Database> {
    let length = match path.metadata() {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(error).with_context(|| format!("cannot read the state file {}", path.display())),
    };
    let backup = path.with_extension("redb.backup");
    // Its own for each process: two endpoints may be started at once.
    let copy = path.with_extension(format!("redb.copy-{}", std::process::id()));
    if length == 0 {
        check_new(path, &backup, data)?;
    } else {
        std::fs::copy(path, &copy).with_context(|| format!("cannot copy the state file to {}", copy.display()))?;
    }
    let database = open_database(path).map_err(|error| match error {
        Some(DatabaseError::DatabaseAlreadyOpen) => anyhow!(
            "another endpoint has the state file {} open: stop it, or choose another state directory",
            path.display()
        ),
        Some(DatabaseError::Storage(redb::StorageError::Io(error)))
            if !matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) =>
        {
            anyhow!("cannot open the state file {}: {error}", path.display())
        }
        other => {
            // The check may have written: the file stays as it was found.
            if length > 0 {
                let _ = std::fs::copy(&copy, path);
            }
            damaged(path, &backup, other.as_ref())
        }
    });
    let checked = database.and_then(|database| check_format(&database, path).map(|()| database));
    let database = checked.inspect_err(|_| {
        let _ = std::fs::remove_file(&copy);
    })?;
    if length > 0 {
        std::fs::rename(&copy, &backup)
            .with_context(|| format!("cannot keep a copy of the state file as {}", backup.display()))?;
    }
    Ok(database)
}

/// Checks that a state file that is missing or empty is that of a new endpoint.
fn check_new(path: &Path, backup: &Path, data: &[&str]) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let found: Vec<PathBuf> = data
        .iter()
        .map(|name| folder.join(name))
        .filter(|one| one.exists())
        .collect();
    let Some(first) = found.first() else { return Ok(()) };
    let backup = if backup.exists() {
        format!(
            "copy {} to it, which is the state at the last start; or ",
            backup.display()
        )
    } else {
        String::new()
    };
    bail!(
        "the state file {} is missing or empty, but {} exists, which belongs to a state: {backup}delete {} with everything in it, \
         after ending the processes that still run from there",
        path.display(),
        first.display(),
        folder.display()
    )
}

/// Opens the database. `None` as the error is a panic: redb does not expect every kind of damage.
fn open_database(path: &Path) -> Result<Database, Option<DatabaseError>> {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let opened = catch_unwind(AssertUnwindSafe(|| -> Result<Database, DatabaseError> {
        let mut database = Database::create(path)?;
        // After a kill, `create` has repaired the file: whatever is wrong now is damage.
        if !database.check_integrity()? {
            let reason = "checksums do not match".to_owned();
            return Err(DatabaseError::Storage(redb::StorageError::Corrupted(reason)));
        }
        Ok(database)
    }));
    std::panic::set_hook(report);
    opened.map_err(|_| None)?.map_err(Some)
}

fn damaged(path: &Path, backup: &Path, error: Option<&DatabaseError>) -> anyhow::Error {
    let reason = error.map_or_else(|| "its structure is invalid".to_owned(), ToString::to_string);
    let remedy = if backup.exists() {
        format!("copy {} to it, which is the state at the last start", backup.display())
    } else {
        "delete the state directory".to_owned()
    };
    anyhow!("the state file {} is damaged ({reason}): {remedy}", path.display())
}

fn check_format(database: &Database, path: &Path) -> anyhow::Result<()> {
    let write = database.begin_write()?;
    let is_new = write.open_table(DOCUMENTS)?.is_empty()?;
    {
        let mut metadata = write.open_table(METADATA)?;
        let format = metadata.get("format")?.map(|format| format.value());
        match format.or((!is_new).then_some(1)) {
            Some(FORMAT) => return Ok(()),
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
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;

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
            let error = Store::open(&path, &[]).err().expect("format 1 is rejected").to_string();
            assert!(error.contains("has format 1"), "{error}");
        }
    }

    #[test]
    fn a_missing_or_damaged_state_file_is_an_error_and_is_left_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.redb");
        let write = || {
            let store = Store::open(&path, &["rds"]).unwrap();
            store.put("a", "1", &vec![7; 5000]).unwrap();
        };
        write();
        write();
        let good = std::fs::read(&path).unwrap();
        std::fs::create_dir(folder.path().join("rds")).unwrap();
        let mut damages: Vec<(&str, Vec<u8>)> = vec![
            ("empty", Vec::new()),
            ("half", good[..good.len() / 2].to_vec()),
            ("a page", good[..4096].to_vec()),
            ("100 bytes", good[..100].to_vec()),
            ("text", b"not a database, but a text of a person".to_vec()),
        ];
        for seed in 0_usize..8 {
            let mut flipped = good.clone();
            for n in 0..200 {
                let at = (seed * 7919 + n * 104_729) % flipped.len().min(40_000);
                flipped[at] ^= 1 << (n % 8);
            }
            damages.push(("flipped bits", flipped));
        }
        for (name, bytes) in damages {
            std::fs::write(&path, &bytes).unwrap();
            let Err(error) = Store::open(&path, &["rds"]) else {
                panic!("{name}: taken for a good state");
            };
            assert!(error.to_string().contains("redb.backup"), "{name}: {error}");
            assert!(std::fs::read(&path).unwrap() == bytes, "{name}: the file was changed");
        }
        std::fs::remove_file(&path).unwrap();
        Store::open(&path, &["rds"]).err().expect("a missing state beside data");
        std::fs::copy(path.with_extension("redb.backup"), &path).unwrap();
        let restored = Store::open(&path, &["rds"]).unwrap();
        assert_eq!(restored.get::<Vec<i32>>("a", "1").unwrap().unwrap().len(), 5000);
        let second = Store::open(&path, &["rds"]).err().expect("it is open").to_string();
        assert!(second.contains("another endpoint"), "{second}");
    }
}
