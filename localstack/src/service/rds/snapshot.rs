//! DB snapshots: the data of a server, kept apart from it until somebody deletes them.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::lifecycle::{self, AVAILABLE, STATUS};
use super::rules;
use crate::records::{Record, Records, iso, page, texts};
use crate::runtime::postgres::{Cluster, Installation};
use crate::{AwsError, Call, Context};

pub const SNAPSHOTS: Records = Records("rds.snapshots");

/// What a restored instance takes over from the snapshot, besides the data.
pub const INHERITED: &[&str] = &["AllocatedStorage", "DBName", "MasterUsername", "Port", "StorageType"];

/// Below the state directory: a folder for each snapshot.
const FOLDER: &str = "rds-snapshots";

/// The identifiers of the snapshots in a state directory, whether or not its endpoint runs.
pub fn kept(state_dir: &Path) -> Vec<String> {
    let found = fs::read_dir(state_dir.join(FOLDER)).into_iter().flatten().flatten();
    let mut names: Vec<String> = found
        .filter(|entry| entry.path().join("data").is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

fn folder(cx: &Context, id: &str) -> PathBuf {
    cx.state_dir().join(FOLDER).join(id)
}

fn missing(id: &str) -> AwsError {
    AwsError::new("DBSnapshotNotFound", format!("DBSnapshot not found: {id}")).with_status(404)
}

pub fn find(cx: &Context, id: &str) -> Result<Record, AwsError> {
    let id = id.rsplit(":snapshot:").next().unwrap_or(id).to_lowercase();
    SNAPSHOTS.get(cx, &id)?.ok_or_else(|| missing(&id))
}

/// A snapshot that an instance can be made from, and the folder that holds its `data`.
pub fn restorable(cx: &Context, id: &str) -> Result<(Record, PathBuf), AwsError> {
    let record = find(cx, id)?;
    if record.computed(STATUS).as_deref() != Some(AVAILABLE) {
        return Err(unready(&record));
    }
    let folder = folder(cx, &record.id);
    Ok((record, folder))
}

fn unready(record: &Record) -> AwsError {
    let status = record.computed(STATUS).unwrap_or_default();
    AwsError::new(
        "InvalidDBSnapshotState",
        format!("The snapshot {} is {status}, and not available", record.id),
    )
}

/// Takes the name, and makes the folder; the data is yet to come.
pub fn begin(cx: &Context, instance: &Record, name: &str) -> Result<Record, AwsError> {
    let id = rules::snapshot_identifier(name)?;
    if SNAPSHOTS.get(cx, &id)?.is_some() {
        let words = format!("Cannot create the snapshot because one with the identifier {id} already exists.");
        return Err(AwsError::new("DBSnapshotAlreadyExists", words));
    }
    let mut record = Record::from_properties(&id, json!({"DBInstanceIdentifier": instance.id}));
    for name in INHERITED.iter().chain(&["KmsKeyId", "StorageEncrypted"]) {
        if let Some(value) = lifecycle::setting(instance, name) {
            record.properties.insert((*name).to_owned(), value.into());
        }
    }
    let user = lifecycle::master_user(instance);
    record.properties.insert("MasterUsername".to_owned(), user.into());
    if instance.has("CopyTagsToSnapshot", "true") {
        record.tags = instance.tags.clone();
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
    // What a crash left of one that never became available.
    let _ = fs::remove_dir_all(&folder);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|error| AwsError::internal(format!("cannot make {}: {error}", folder.display())))?;
    SNAPSHOTS.put(cx, &record)?;
    Ok(record)
}

/// Keeps the data of an instance whose server is stopped, and that goes. May be repeated after a crash.
pub fn keep_last(cx: &Context, cluster: &Cluster, id: &str) -> Result<(), AwsError> {
    let mut record = find(cx, id)?;
    if record.computed(STATUS).as_deref() != Some(AVAILABLE) {
        cluster.move_data_to(&folder(cx, id))?;
        available(cx, &mut record)?;
    }
    Ok(())
}

fn available(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
    let bytes = used(&folder(cx, &record.id));
    tracing::info!(snapshot = %record.id, bytes, "a snapshot of a database is kept");
    record.computed.insert(STATUS.into(), AVAILABLE.into());
    SNAPSHOTS.put(cx, record)
}

/// `CreateDBSnapshot`: a copy of a running instance; answers when it is whole.
pub async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let instance = lifecycle::find(cx, &call.required("DBInstanceIdentifier")?)?;
    lifecycle::require_available(&instance)?;
    let mut record = begin(cx, &instance, &call.required("DBSnapshotIdentifier")?)?;
    record
        .tags
        .extend(crate::records::tags_of(&Value::Array(call.list("Tags"))));
    let copied = match lifecycle::cluster(cx, &instance) {
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
    available(cx, &mut record)?;
    Ok(json!({"DBSnapshot": shown(cx, &record)}))
}

/// `DeleteDBSnapshot`.
pub fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (mut record, _) = restorable(cx, &call.required("DBSnapshotIdentifier")?)?;
    discard(cx, &record.id)?;
    record.computed.insert(STATUS.into(), "deleted".into());
    Ok(json!({"DBSnapshot": shown(cx, &record)}))
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

/// After a start of the endpoint: a copy that was cut short is none. Final ones have been completed with their instances.
pub fn resume(cx: &Context) -> Result<(), AwsError> {
    for record in SNAPSHOTS.list(cx)? {
        if record.computed(STATUS).as_deref() != Some(AVAILABLE) {
            discard(cx, &record.id)?;
        }
    }
    Ok(())
}

/// `DescribeDBSnapshots`.
pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut found = match call.text("DBSnapshotIdentifier") {
        Some(id) => vec![find(cx, &id)?],
        None => SNAPSHOTS.list(cx)?,
    };
    let (instance, kind) = (call.text("DBInstanceIdentifier"), call.text("SnapshotType"));
    found.retain(|one| {
        let of_instance = |id: &String| one.has("DBInstanceIdentifier", &id.to_lowercase());
        // Every one was asked for by somebody; nothing here is automated, shared or public.
        instance.as_ref().is_none_or(of_instance) && kind.as_deref().is_none_or(|kind| kind == "manual")
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
            return Err(rules::invalid(format!("Unrecognized filter name: {name}")));
        }
        found.retain(|one| value(one).is_some_and(|value| values.contains(&value)));
    }
    let limit = call.integer("MaxRecords").unwrap_or(100).clamp(20, 100) as usize;
    let (found, next) = page(found, limit, call.text("Marker").as_deref())?;
    let mut answer = json!({"DBSnapshots": found.iter().map(|one| shown(cx, one)).collect::<Vec<_>>()});
    if let Some(next) = next {
        answer["Marker"] = next.into();
    }
    Ok(answer)
}

pub fn arn(cx: &Context, id: &str) -> String {
    cx.arn("rds", &format!("snapshot:{id}"))
}

fn shown(cx: &Context, record: &Record) -> Value {
    let status = record.computed(STATUS).unwrap_or_default();
    let number = |name: &str, default: u32| record.text(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let mut shown = json!({
        "DBSnapshotIdentifier": record.id,
        "DBSnapshotArn": arn(cx, &record.id),
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
        shown["KmsKeyId"] = key.into();
    }
    shown
}

/// The bytes that a folder takes on the disk; holes take none.
fn used(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let each = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => used(&entry.path()),
        Ok(found) => found.blocks() * 512,
        Err(_) => 0,
    });
    each.sum()
}
