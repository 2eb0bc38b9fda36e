//! DB snapshots: a copy of a server's data directory, retained until it is deleted.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::model::{self, AVAILABLE, SNAPSHOTS, STATUS};
use super::server::cluster;
use super::{events, validation};
use crate::records::{Record, iso, page, tags_of, texts};
use crate::runtime::postgres::{Cluster, Installation};
use crate::{AwsError, Call, Context};

/// Properties that a restored instance inherits from its snapshot.
pub const INHERITED: &[&str] = &["AllocatedStorage", "DBName", "MasterUsername", "Port", "StorageType"];

/// The folder of all snapshots in the state directory; each snapshot has a folder in it.
const FOLDER: &str = "rds-snapshots";

/// Returns the identifiers of the snapshots in a state directory, of all regions. The endpoint need not run.
pub fn retained(state_dir: &Path) -> Vec<String> {
    let entries = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
    let regions = entries(state_dir.join("regions")).map(|region| region.path());
    let found = std::iter::once(state_dir.to_owned()).chain(regions);
    let mut names: Vec<String> = found
        .flat_map(|region| entries(region.join(FOLDER)))
        .filter(|entry| entry.path().join("data").is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

fn folder(cx: &Context, id: &str) -> PathBuf {
    cx.state_dir().join(FOLDER).join(id)
}

/// Returns an available snapshot and the folder that contains its `data`.
pub fn restorable(cx: &Context, id: &str) -> Result<(Record, PathBuf), AwsError> {
    let record = model::snapshot(cx, id)?;
    if !model::is_available(&record) {
        let status = record.computed(STATUS).unwrap_or_default();
        return Err(AwsError::new(
            "InvalidDBSnapshotState",
            format!("The snapshot {} is not available; its status is {status}.", record.id),
        ));
    }
    let folder = folder(cx, &record.id);
    Ok((record, folder))
}

/// Reserves the identifier and creates an empty folder for the data.
pub fn begin(cx: &Context, instance: &Record, name: &str) -> Result<Record, AwsError> {
    let id = validation::snapshot_identifier(name)?;
    if SNAPSHOTS.get(cx, &id)?.is_some() {
        let message = format!("Cannot create the snapshot because one with the identifier {id} already exists.");
        return Err(AwsError::new("DBSnapshotAlreadyExists", message));
    }
    let mut record = Record::from_properties(&id, json!({"DBInstanceIdentifier": instance.id}));
    for name in INHERITED.iter().chain(&["KmsKeyId", "StorageEncrypted"]) {
        if let Some(value) = model::setting(instance, name) {
            record.properties.insert((*name).to_owned(), value.into());
        }
    }
    let user = model::master_user(instance);
    record.properties.insert("MasterUsername".to_owned(), user.into());
    if instance.has("CopyTagsToSnapshot", "true") {
        record.tags.clone_from(&instance.tags);
    }
    record.computed.insert(STATUS.into(), "creating".into());
    record
        .computed
        .insert("engine_version".into(), Installation::find()?.version.into());
    record
        .computed
        .insert("instance_created".into(), instance.created.into());
    if let Some(id) = instance.computed.get("resource_id") {
        record.computed.insert("resource_id".into(), id.clone());
    }
    let folder = folder(cx, &id);
    // The folder of a snapshot that a crash interrupted.
    let _ = fs::remove_dir_all(&folder);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|error| AwsError::internal(format!("cannot create {}: {error}", folder.display())))?;
    SNAPSHOTS.put(cx, &record)?;
    Ok(record)
}

/// Moves the data of an instance that is being deleted into its snapshot. The server must be stopped. Idempotent, so
/// that a deletion can be repeated after a crash.
pub fn take_final_snapshot(cx: &Context, cluster: &Cluster, id: &str) -> Result<(), AwsError> {
    let mut record = model::snapshot(cx, id)?;
    if !model::is_available(&record) {
        cluster.move_data_to(&folder(cx, id))?;
        set_available(cx, &mut record)?;
    }
    Ok(())
}

fn set_available(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
    let bytes = disk_usage(&folder(cx, &record.id));
    tracing::info!(snapshot = %record.id, bytes, "stored a snapshot of a database");
    record.computed.insert(STATUS.into(), AVAILABLE.into());
    cx.store().transaction(|| {
        events::record(cx, &model::snapshot_arn(cx, &record.id), &events::SNAPSHOT_CREATED)?;
        SNAPSHOTS.put(cx, record)
    })
}

/// `CreateDBSnapshot`: copies the data of a running instance, and returns when the copy is complete.
pub async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let instance = model::instance(cx, &call.required("DBInstanceIdentifier")?)?;
    model::require_available(cx, &instance)?;
    let mut record = begin(cx, &instance, &call.required("DBSnapshotIdentifier")?)?;
    record.tags.extend(tags_of(&Value::Array(call.list("Tags"))));
    let copied = match cluster(cx, &instance) {
        Ok(cluster) => cluster
            .copy_data_to(&folder(cx, &record.id))
            .await
            .map_err(AwsError::from),
        Err(error) => Err(error),
    };
    if let Err(error) = copied {
        discard(cx, &record.id)?;
        return Err(error);
    }
    set_available(cx, &mut record)?;
    Ok(json!({"DBSnapshot": description(cx, &record)}))
}

/// `DeleteDBSnapshot`.
pub fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (mut record, _) = restorable(cx, &call.required("DBSnapshotIdentifier")?)?;
    discard(cx, &record.id)?;
    record.computed.insert(STATUS.into(), "deleted".into());
    Ok(json!({"DBSnapshot": description(cx, &record)}))
}

fn discard(cx: &Context, id: &str) -> Result<(), AwsError> {
    let folder = folder(cx, id);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(AwsError::internal(format!(
            "cannot remove {}: {error}",
            folder.display()
        ))),
        _ => SNAPSHOTS.delete(cx, id).map(drop),
    }
}

/// Deletes the copies that the last run of the endpoint did not complete. Final snapshots are completed with the
/// deletion of their instances, before this.
pub fn discard_unfinished(cx: &Context) -> Result<(), AwsError> {
    for record in SNAPSHOTS.list(cx)? {
        if !model::is_available(&record) {
            discard(cx, &record.id)?;
        }
    }
    Ok(())
}

/// `DescribeDBSnapshots`.
pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut found = match call.text("DBSnapshotIdentifier") {
        Some(id) => vec![model::snapshot(cx, &id)?],
        None => SNAPSHOTS.list(cx)?,
    };
    let (instance, snapshot_type) = (call.text("DBInstanceIdentifier"), call.text("SnapshotType"));
    found.retain(|one| {
        let of_instance = |id: &String| one.has("DBInstanceIdentifier", &id.to_lowercase());
        // All snapshots here are manual: the endpoint has no automated, shared or public ones.
        instance.as_ref().is_none_or(of_instance)
            && snapshot_type.as_deref().is_none_or(|requested| requested == "manual")
    });
    for filter in call.list("Filters") {
        let name = filter
            .get("Name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let values = texts(filter.get("Values"));
        let value = |one: &Record| match name.as_str() {
            "db-instance-id" => one.text("DBInstanceIdentifier"),
            "db-snapshot-id" => Some(one.id.clone()),
            "dbi-resource-id" => one.computed("resource_id"),
            "snapshot-type" => Some("manual".to_owned()),
            "engine" => Some("postgres".to_owned()),
            _ => None,
        };
        if ![
            "db-instance-id",
            "db-snapshot-id",
            "dbi-resource-id",
            "snapshot-type",
            "engine",
        ]
        .contains(&name.as_str())
        {
            return Err(validation::invalid(format!("Unrecognized filter name: {name}")));
        }
        found.retain(|one| value(one).is_some_and(|value| values.contains(&value)));
    }
    let limit = call.limit("MaxRecords", 100, 20..=100);
    let (found, next) = page(found, limit, call.text("Marker").as_deref())?;
    let mut response = json!({"DBSnapshots": found.iter().map(|one| description(cx, one)).collect::<Vec<_>>()});
    if let Some(next) = next {
        response["Marker"] = next.into();
    }
    Ok(response)
}

fn description(cx: &Context, record: &Record) -> Value {
    let status = record.computed(STATUS).unwrap_or_default();
    let number = |name: &str, default: u32| record.text(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let mut description = json!({
        "DBSnapshotIdentifier": record.id,
        "DBSnapshotArn": model::snapshot_arn(cx, &record.id),
        "DBInstanceIdentifier": record.text("DBInstanceIdentifier"),
        "DbiResourceId": record.computed("resource_id"),
        "SnapshotCreateTime": iso(record.created),
        "OriginalSnapshotCreateTime": iso(record.created),
        "InstanceCreateTime": iso(record.computed.get("instance_created").and_then(Value::as_i64).unwrap_or_default()),
        "SnapshotType": "manual",
        "Status": status,
        "PercentProgress": if status == "creating" { 0 } else { 100 },
        "Engine": "postgres",
        "EngineVersion": record.computed("engine_version"),
        "LicenseModel": "postgresql-license",
        "MasterUsername": record.text("MasterUsername"),
        "AllocatedStorage": number("AllocatedStorage", 20),
        "Port": number("Port", 5432),
        "StorageType": record.text("StorageType").unwrap_or_else(|| "gp2".to_owned()),
        "Encrypted": record.has("StorageEncrypted", "true"),
        "IAMDatabaseAuthenticationEnabled": false,
        "TagList": record.tag_list(),
    });
    if let Some(key) = record.text("KmsKeyId") {
        description["KmsKeyId"] = key.into();
    }
    description
}

/// Returns the bytes that a folder uses on disk; holes of sparse files do not count.
fn disk_usage(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let each = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => disk_usage(&entry.path()),
        Ok(found) => found.blocks() * 512,
        Err(_) => 0,
    });
    each.sum()
}
