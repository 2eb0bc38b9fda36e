//! Creation, password changes and deletion of an instance.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::master_password::{create_secret, take_password};
use super::model::{
    self, AVAILABLE, AVAILABLE_AT, INSTANCES, Instances, PARAMETER_GROUPS, STATUS, master_user, setting,
};
use super::server::cluster;
use super::{events, snapshot, validation};
use crate::behavior::SlowOperation;
use crate::records::{Record, now};
use crate::runtime::postgres::{Installation, Master};
use crate::service::supervisor::LifecycleLock;
use crate::{AwsError, Context, Desired, Initiated};

/// The computed value with the name of the final snapshot of an instance that is being deleted.
const FINAL_SNAPSHOT: &str = "final_snapshot";
/// The computed value with the stack of an instance that is being created.
const STACK: &str = "stack";

/// An instance whose data exists, and which is not available yet.
pub struct Creation {
    pub record: Record,
    /// The password with which the master user's login is checked, if it is known.
    password: Option<String>,
}

impl Creation {
    /// Returns true if the instance becomes available later than its server could.
    pub fn is_delayed(&self) -> bool {
        self.record.computed.contains_key(AVAILABLE_AT)
    }
}

/// Creates an instance and returns when the master user's queries work. A failed creation leaves nothing behind.
pub async fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
    let creation = prepare(cx, desired).await?;
    finish(cx, creation, &desired.cancel).await
}

/// Reserves the instance and creates its secret and its data. A failure leaves nothing behind.
pub async fn prepare(cx: &Context, desired: &Desired) -> Result<Creation, AwsError> {
    let mut record = check(cx, desired)?;
    let source = restored_from(cx, &mut record)?;
    let password = take_password(&mut record, source.is_some())?;
    reserve(cx, &mut record, &desired.initiated).await?;
    let created = async {
        let user = master_user(&record);
        if let Some(password) = password
            .as_ref()
            .filter(|_| record.has("ManageMasterUserPassword", "true"))
        {
            // Recorded first: the deletion of an instance that was not created completely finds the secret by its name.
            let name = format!("rds!db-{}", Uuid::new_v4());
            record.computed.insert("secret_name".into(), name.as_str().into());
            INSTANCES.put(cx, &record)?;
            let secret = create_secret(cx, &record, &name, &user, password).await?;
            record.computed.insert("secret".into(), secret.into());
            INSTANCES.put(cx, &record)?;
        }
        create_data(cx, &record, source.as_deref(), &user, password.as_deref()).await?;
        let delay = cx.config().behavior.delay(SlowOperation::CreateDatabase);
        if !delay.is_zero() {
            let at = record
                .created
                .saturating_add(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX));
            record.computed.insert(AVAILABLE_AT.into(), at.into());
            if !desired.stack_id.is_empty() {
                record.computed.insert(STACK.into(), desired.stack_id.clone().into());
            }
            INSTANCES.put(cx, &record)?;
        }
        Ok(())
    };
    match cancellable(created, &desired.cancel).await {
        Ok(()) => Ok(Creation { record, password }),
        Err(error) => Err(undo(cx, &record.id, error).await),
    }
}

/// Starts the server of a prepared instance when its time has come. A failure leaves nothing behind.
pub async fn finish(cx: &Context, creation: Creation, cancel: &CancellationToken) -> Result<Record, AwsError> {
    let Creation { mut record, password } = creation;
    let served = async {
        let at = record
            .computed
            .get(AVAILABLE_AT)
            .and_then(Value::as_i64)
            .unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(u64::try_from(at - now()).unwrap_or_default())).await;
        start_server(cx, &record, password.as_deref()).await
    };
    if let Err(error) = cancellable(served, cancel).await {
        return Err(undo(cx, &record.id, error).await);
    }
    record.computed.shift_remove(AVAILABLE_AT);
    record.computed.shift_remove(STACK);
    record.computed.insert(STATUS.into(), AVAILABLE.into());
    let is_restored = record.text("DBSnapshotIdentifier").is_some_and(|id| !id.is_empty());
    let event = if is_restored {
        &events::RESTORED
    } else {
        &events::CREATED
    };
    cx.store().transaction(|| {
        events::record(cx, &model::instance_arn(cx, &record.id), event)?;
        INSTANCES.put(cx, &record)
    })?;
    Ok(record)
}

/// Finishes a creation that no caller waits for. When the endpoint stops, the next start continues it.
pub async fn finish_in_background(cx: Context, creation: Creation) {
    let deleted = CancellationToken::new();
    let id = creation.record.id.clone();
    let watch = async {
        while INSTANCES
            .get(&cx, &id)
            .is_ok_and(|found| found.is_some_and(|one| one.computed.contains_key(AVAILABLE_AT)))
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        finished = finish(&cx, creation, &deleted) => if let Err(error) = finished {
            tracing::warn!(instance = %id, %error, "an instance could not be created");
        },
        () = watch => {}
        () = cx.shutdown().cancelled() => {}
    }
}

/// Continues the creations that the last run of the endpoint interrupted, with the time that remains. Those of a stack are not
/// continued: the stack rolls back.
pub fn resume_unfinished(cx: &Context) -> Result<(), AwsError> {
    for record in INSTANCES.list(cx)? {
        if is_resumable(&record) {
            let creation = Creation { record, password: None };
            tokio::spawn(finish_in_background(cx.clone(), creation));
        }
    }
    Ok(())
}

/// Returns true if a creation can be continued after a restart of the endpoint.
pub fn is_resumable(record: &Record) -> bool {
    record.computed.contains_key(AVAILABLE_AT)
        && !record.computed.contains_key(STACK)
        && record.computed(STATUS).as_deref() == Some("creating")
}

async fn cancellable<T>(
    work: impl Future<Output = Result<T, AwsError>>,
    cancel: &CancellationToken,
) -> Result<T, AwsError> {
    tokio::select! {
        done = work => done,
        () = cancel.cancelled() => Err(AwsError::new("Cancelled", "Resource creation cancelled")),
    }
}

/// Deletes an instance whose creation failed, and returns the error of the creation.
async fn undo(cx: &Context, id: &str, error: AwsError) -> AwsError {
    if let Err(deletion) = delete(cx, id, None).await {
        tracing::warn!(instance = %id, error = %deletion, "a failed instance was not deleted completely");
    }
    error
}

/// Returns the folder of the snapshot that the template names, and copies the inherited settings into the record.
fn restored_from(cx: &Context, record: &mut Record) -> Result<Option<PathBuf>, AwsError> {
    let Some(id) = record.text("DBSnapshotIdentifier").filter(|id| !id.is_empty()) else {
        return Ok(None);
    };
    if record.text("DBName").is_some() {
        return Err(validation::invalid(
            "DBName must be null when Restoring for this Engine.",
        ));
    }
    let (source, folder) = snapshot::restorable(cx, &id)?;
    for name in snapshot::INHERITED {
        if let Some(value) = source.text(name) {
            record.computed.insert((*name).to_owned(), value.into());
        }
    }
    Ok(Some(folder))
}

fn check(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
    let given = desired.properties.get("DBInstanceIdentifier").and_then(Value::as_str);
    let id = validation::identifier(&given.map_or_else(|| desired.generated_name(63), str::to_owned))?;
    let mut record = Record::new(id, desired);
    // An empty name is none; PostgreSQL has its own database `postgres` (RDS API Reference, `CreateDBInstance`).
    if record.has("DBName", "") {
        record.properties.shift_remove("DBName");
    }
    let engine = record.text("Engine").unwrap_or_else(|| {
        // A restored instance has its snapshot's engine by default.
        let is_restored = record.text("DBSnapshotIdentifier").is_some_and(|id| !id.is_empty());
        if is_restored {
            "postgres".to_owned()
        } else {
            String::new()
        }
    });
    if engine != "postgres" {
        return Err(validation::invalid(format!(
            "The embedded endpoint does not support the engine '{engine}'. Use `postgres`."
        )));
    }
    if let Some(name) = record.text("DBName") {
        validation::database(&name)?;
    }
    validation::master_user(&master_user(&record))?;
    if let Some(group) = record.text("DBSubnetGroupName") {
        model::subnet_group(cx, &group)?;
    }
    if let Some(group) = record
        .text("DBParameterGroupName")
        .filter(|name| !name.starts_with("default."))
        && PARAMETER_GROUPS.get(cx, &group.to_lowercase())?.is_none()
    {
        return Err(AwsError::new(
            "DBParameterGroupNotFound",
            format!("DBParameterGroup not found: {group}"),
        ));
    }
    if let Some(requested) = record.text("EngineVersion") {
        let install = Installation::find()?;
        if requested.split('.').next() != Some(install.major()) {
            tracing::warn!(
                instance = %record.id, requested, running = install.version,
                "the installed PostgreSQL has another major version than the template asks for"
            );
        }
    }
    Ok(record)
}

/// Reserves the identifier and a free address.
async fn reserve(cx: &Context, record: &mut Record, initiated: &Initiated) -> Result<(), AwsError> {
    let part = cx.extension::<LifecycleLock<Instances>>();
    let _held = part.hold().await;
    if INSTANCES.get(cx, &record.id)?.is_some() {
        return Err(AwsError::new(
            "DBInstanceAlreadyExists",
            format!("DB instance {} already exists", record.id),
        ));
    }
    let taken: Vec<String> = INSTANCES
        .list(cx)?
        .iter()
        .filter_map(|other| other.computed("address"))
        .collect();
    let block = cx.loopback()?;
    let address = (1..=254)
        .map(|n| block.database(n).to_string())
        .find(|address| !taken.contains(address));
    let address = address.ok_or_else(|| {
        AwsError::new(
            "InstanceQuotaExceeded",
            "The embedded endpoint has addresses for at most 254 database instances.",
        )
    })?;
    let port: u16 = setting(record, "Port")
        .map_or(Ok(5432), |port| port.parse())
        .map_err(|_| validation::invalid("The parameter Port must be a number between 1150 and 65535"))?;
    record.computed.insert("address".into(), address.into());
    record.computed.insert("port".into(), port.to_string().into());
    record.computed.insert(
        "resource_id".into(),
        format!("db-{}", Uuid::new_v4().simple().to_string().to_uppercase()).into(),
    );
    record.computed.insert(STATUS.into(), "creating".into());
    cx.store().transaction(|| {
        INSTANCES.put(cx, record)?;
        Ok(initiated.report(&record.id)?)
    })
}

/// Creates the data, new or as a copy of the snapshot in the folder `source`.
async fn create_data(
    cx: &Context,
    record: &Record,
    source: Option<&Path>,
    user: &str,
    password: Option<&str>,
) -> Result<(), AwsError> {
    let cluster = cluster(cx, record)?;
    let database = setting(record, "DBName");
    let master = password.map(|password| Master {
        user,
        password,
        database: database.as_deref(),
    });
    match (source, &master) {
        (Some(source), _) => cluster.restore(source, user, password).await?,
        (None, Some(master)) => {
            let template = cx
                .state_dir()
                .join("postgres-template")
                .join(Installation::find()?.version);
            cluster.create(&template, master).await?;
        }
        (None, None) => return Err(AwsError::internal("a new instance has no password")),
    }
    Ok(())
}

/// Starts the server, and checks that the master user can log in.
async fn start_server(cx: &Context, record: &Record, password: Option<&str>) -> Result<(), AwsError> {
    let cluster = cluster(cx, record)?;
    cluster.start().await?;
    if let Some(password) = password {
        let (user, database) = (master_user(record), setting(record, "DBName"));
        let master = Master {
            user: &user,
            password,
            database: database.as_deref(),
        };
        cluster.check_login(&master).await?;
    }
    Ok(())
}

pub async fn change_password(cx: &Context, record: &Record, password: &str) -> Result<(), AwsError> {
    validation::password(password)?;
    Ok(cluster(cx, record)?
        .change_password(&master_user(record), password)
        .await?)
}

/// Deletes the server, its data and its secret. With a name in `final_snapshot` the data becomes that snapshot.
pub async fn delete(cx: &Context, id: &str, final_snapshot: Option<&str>) -> Result<(), AwsError> {
    let mut record = model::instance(cx, id)?;
    if record.has("DeletionProtection", "true") && model::is_available(&record) {
        return Err(AwsError::new(
            "InvalidParameterCombination",
            "Cannot delete protected DB Instance, please disable deletion protection and try again.",
        ));
    }
    {
        let part = cx.extension::<LifecycleLock<Instances>>();
        let _held = part.hold().await;
        // A repeated deletion keeps the snapshot of the first one. An instance that never served has no data to keep.
        if let Some(name) = final_snapshot.filter(|_| model::is_available(&record)) {
            let snapshot = snapshot::begin(cx, &record, name)?;
            record.computed.insert(FINAL_SNAPSHOT.into(), snapshot.id.into());
        }
        record.computed.insert(STATUS.into(), "deleting".into());
        INSTANCES.put(cx, &record)?;
    }
    let cluster = cluster(cx, &record)?;
    if let Some(server) = cluster.running() {
        cluster.stop(server).await;
    }
    if let Some(snapshot) = record.computed(FINAL_SNAPSHOT) {
        snapshot::take_final_snapshot(cx, &cluster, &snapshot)?;
    }
    cluster.destroy()?;
    if let Some(secret) = record.computed("secret").or_else(|| record.computed("secret_name")) {
        let input = json!({"SecretId": secret, "ForceDeleteWithoutRecovery": true});
        if let Err(error) = cx.call("secretsmanager", "DeleteSecret", input).await
            && error.code != "ResourceNotFoundException"
        {
            return Err(error);
        }
    }
    cx.store().transaction(|| {
        events::record(cx, &model::instance_arn(cx, &record.id), &events::DELETED)?;
        INSTANCES.delete(cx, &record.id).map(drop)
    })
}
