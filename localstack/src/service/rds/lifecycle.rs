//! The life of an instance: made, changed, destroyed.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::groups::{self, ParameterGroup, SubnetGroup};
use super::{rules, snapshot};
use crate::records::{Record, RecordType, Records};
use crate::runtime::certificate_authority::CertificateAuthority;
use crate::runtime::postgres::{Cluster, Installation, Master};
use crate::{AwsError, Context, Desired};

pub const INSTANCES: Records = Records("rds.instances");

pub const STATUS: &str = "status";
pub const AVAILABLE: &str = "available";
/// The fact that names the snapshot that a deletion keeps.
const LAST: &str = "final_snapshot";

/// Held while it is decided what becomes of an instance: its address, its restart, its end.
#[derive(Default)]
pub struct Deciding(pub Mutex<()>);

pub fn arn(cx: &Context, id: &str) -> String {
    cx.arn("rds", &format!("db:{id}"))
}

pub fn find(cx: &Context, id: &str) -> Result<Record, AwsError> {
    INSTANCES
        .get(cx, &id.to_lowercase())?
        .ok_or_else(|| AwsError::new("DBInstanceNotFound", format!("DBInstance {id} not found.")).with_status(404))
}

pub fn require_available(record: &Record) -> Result<(), AwsError> {
    match record.computed(STATUS).as_deref() {
        Some(AVAILABLE) => Ok(()),
        _ => Err(AwsError::new(
            "InvalidDBInstanceState",
            format!("Instance {} is not currently in the available state.", record.id),
        )),
    }
}

/// What the template says, else what the snapshot has that the instance was made from.
pub fn setting(record: &Record, name: &str) -> Option<String> {
    record.text(name).or_else(|| record.computed(name))
}

/// A restored instance keeps its snapshot's, whatever the template says.
pub fn master_user(record: &Record) -> String {
    let user = record
        .computed("MasterUsername")
        .or_else(|| record.text("MasterUsername"));
    user.unwrap_or_else(|| "postgres".to_owned())
}

/// Makes an instance; returns when the master user's queries work. A failed one leaves nothing behind.
pub async fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
    let mut record = check(cx, desired)?;
    let source = restored_from(cx, &mut record)?;
    let user = master_user(&record);
    let given = record
        .properties
        .shift_remove("MasterUserPassword")
        .and_then(|p| p.as_str().map(str::to_owned));
    let managed = record.has("ManageMasterUserPassword", "true");
    let password = match (given, managed) {
        (Some(_), true) => {
            return Err(rules::invalid(
                "You can't specify MasterUserPassword and ManageMasterUserPassword together.",
            ));
        }
        (Some(given), false) => Some(given),
        (None, true) => Some(generated()),
        // The one that is in the data.
        (None, false) if source.is_some() => None,
        (None, false) => return Err(rules::invalid("The parameter MasterUserPassword must be provided.")),
    };
    if let Some(password) = &password {
        rules::password(password)?;
    }
    reserve(cx, &mut record).await?;
    let made = async {
        if let Some(password) = password.as_ref().filter(|_| managed) {
            let secret = make_secret(cx, &record, &user, password).await?;
            record.computed.insert("secret".into(), secret.into());
            INSTANCES.put(cx, &record)?;
        }
        serve(cx, &record, source.as_deref(), &user, password.as_deref()).await
    };
    let made = tokio::select! {
        made = made => made,
        () = desired.cancel.cancelled() => Err(AwsError::new("Cancelled", "Resource creation cancelled")),
    };
    if let Err(error) = made {
        if let Err(left) = delete(cx, &record.id, None).await {
            tracing::warn!(instance = %record.id, error = %left, "an instance that failed is not wholly removed");
        }
        return Err(error);
    }
    record.computed.insert(STATUS.into(), AVAILABLE.into());
    INSTANCES.put(cx, &record)?;
    Ok(record)
}

/// The folder of the snapshot that the template names, when it does; the record takes over what a snapshot decides.
fn restored_from(cx: &Context, record: &mut Record) -> Result<Option<PathBuf>, AwsError> {
    let Some(id) = record.text("DBSnapshotIdentifier").filter(|id| !id.is_empty()) else {
        return Ok(None);
    };
    if record.text("DBName").is_some() {
        return Err(rules::invalid("DBName must be null when Restoring for this Engine."));
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
    let id = rules::identifier(&given.map_or_else(|| desired.generated_name(63), str::to_owned))?;
    let record = Record::new(id, desired);
    let engine = record.text("Engine").unwrap_or_else(|| {
        // A snapshot's own, where the template does not say.
        let is_restored = record.text("DBSnapshotIdentifier").is_some_and(|id| !id.is_empty());
        if is_restored {
            "postgres".to_owned()
        } else {
            String::new()
        }
    });
    if engine != "postgres" {
        return Err(rules::invalid(format!(
            "The engine '{engine}' does not run here: `postgres` is the one that does"
        )));
    }
    if let Some(name) = record.text("DBName") {
        rules::database(&name)?;
    }
    rules::master_user(&master_user(&record))?;
    if let Some(group) = record.text("DBSubnetGroupName")
        && SubnetGroup::RECORDS.get(cx, &group.to_lowercase())?.is_none()
    {
        let words = format!("DB subnet group '{group}' does not exist.");
        return Err(AwsError::new("DBSubnetGroupNotFoundFault", words).with_status(404));
    }
    if let Some(group) = record
        .text("DBParameterGroupName")
        .filter(|name| !name.starts_with("default."))
        && ParameterGroup::RECORDS.get(cx, &group.to_lowercase())?.is_none()
    {
        return Err(AwsError::new(
            "DBParameterGroupNotFound",
            format!("DBParameterGroup not found: {group}"),
        ));
    }
    if let Some(wanted) = record.text("EngineVersion") {
        let install = Installation::find()?;
        if wanted.split('.').next() != Some(install.major()) {
            tracing::warn!(
                instance = %record.id, wanted, running = install.version,
                "the local PostgreSQL has another major version than the template asks for"
            );
        }
    }
    Ok(record)
}

/// Takes the name and a free address.
async fn reserve(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
    let part = cx.extension::<Deciding>();
    let _held = part.0.lock().await;
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
    let address = (1..=254)
        .map(|n| cx.loopback().database(n).to_string())
        .find(|address| !taken.contains(address));
    let address = address.ok_or_else(|| {
        AwsError::new(
            "InstanceQuotaExceeded",
            "This endpoint has addresses for 254 database instances.",
        )
    })?;
    let port: u16 = setting(record, "Port")
        .map_or(Ok(5432), |port| port.parse())
        .map_err(|_| rules::invalid("The parameter Port must be a number between 1150 and 65535"))?;
    record.computed.insert("address".into(), address.into());
    record.computed.insert("port".into(), port.to_string().into());
    record.computed.insert(
        "resource_id".into(),
        format!("db-{}", Uuid::new_v4().simple().to_string().to_uppercase()).into(),
    );
    record.computed.insert(STATUS.into(), "creating".into());
    INSTANCES.put(cx, record)
}

/// Makes the data, new or as the snapshot in the folder `source` has it, and starts the server.
async fn serve(
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
        (None, None) => return Err(AwsError::internal("a new instance without a password")),
    }
    cluster.start().await?;
    if let Some(master) = &master {
        cluster.check_login(master).await?;
    }
    Ok(())
}

pub fn cluster(cx: &Context, record: &Record) -> Result<Cluster, AwsError> {
    let fact = |name: &str| record.computed(name).unwrap_or_default();
    let broken = || AwsError::internal(format!("the record of the instance {} is broken", record.id));
    let group = record.text("DBParameterGroupName").map(|name| name.to_lowercase());
    let group = group.map_or(Ok(None), |name| ParameterGroup::RECORDS.get(cx, &name))?;
    let parameters = group.as_ref().map(groups::parameters).unwrap_or_default();
    Ok(Cluster {
        folder: cx.state_dir().join("rds").join(&record.id),
        address: fact("address").parse().map_err(|_| broken())?,
        port: fact("port").parse().map_err(|_| broken())?,
        authority: CertificateAuthority::for_databases(cx.state_dir()),
        forces_tls: parameters.forces_tls(&major(record)),
        parameters,
    })
}

/// The major version that the template asks for, else the one that runs.
pub fn major(record: &Record) -> String {
    let version = record.text("EngineVersion");
    let version = version.or_else(|| Installation::find().ok().map(|install| install.version));
    version
        .unwrap_or_default()
        .split('.')
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Gives the servers of a parameter group its new values.
pub fn reload(cx: &Context, group: &Record) -> Result<(), AwsError> {
    for instance in INSTANCES.list(cx)? {
        if !instance.has("DBParameterGroupName", &group.id) {
            continue;
        }
        let mut cluster = cluster(cx, &instance)?;
        cluster.parameters = groups::parameters(group);
        cluster.forces_tls = cluster.parameters.forces_tls(&major(&instance));
        cluster.reload()?;
    }
    Ok(())
}

pub async fn change_password(cx: &Context, record: &Record, password: &str) -> Result<(), AwsError> {
    rules::password(password)?;
    Ok(cluster(cx, record)?
        .change_password(&master_user(record), password)
        .await?)
}

/// Ends the server and removes its data and its secret; keeps the data first as a snapshot where one is named.
pub async fn delete(cx: &Context, id: &str, last: Option<&str>) -> Result<(), AwsError> {
    let mut record = find(cx, id)?;
    if record.has("DeletionProtection", "true") && record.computed(STATUS).as_deref() == Some(AVAILABLE) {
        return Err(AwsError::new(
            "InvalidParameterCombination",
            "Cannot delete protected DB Instance, please disable deletion protection and try again.",
        ));
    }
    {
        let part = cx.extension::<Deciding>();
        let _held = part.0.lock().await;
        // A deletion that was begun is taken up as it was begun, and what never served has nothing to keep.
        if let Some(last) = last.filter(|_| record.computed(STATUS).as_deref() == Some(AVAILABLE)) {
            let begun = snapshot::begin(cx, &record, last)?;
            record.computed.insert(LAST.into(), begun.id.into());
        }
        record.computed.insert(STATUS.into(), "deleting".into());
        INSTANCES.put(cx, &record)?;
    }
    let cluster = cluster(cx, &record)?;
    if let Some(server) = cluster.running() {
        cluster.stop(server).await;
    }
    if let Some(last) = record.computed(LAST) {
        snapshot::keep_last(cx, &cluster, &last)?;
    }
    cluster.destroy()?;
    if let Some(secret) = record.computed("secret") {
        let input = json!({"SecretId": secret, "ForceDeleteWithoutRecovery": true});
        if let Err(error) = cx.call("secretsmanager", "DeleteSecret", input).await
            && error.code != "ResourceNotFoundException"
        {
            return Err(error);
        }
    }
    INSTANCES.delete(cx, &record.id)?;
    Ok(())
}

async fn make_secret(cx: &Context, record: &Record, user: &str, password: &str) -> Result<String, AwsError> {
    let input = json!({
        "Name": format!("rds!db-{}", Uuid::new_v4()),
        "Description": format!("The secret associated with the primary RDS DB instance: {}", arn(cx, &record.id)),
        "SecretString": json!({"username": user, "password": password}).to_string(),
    });
    let made = cx.call("secretsmanager", "CreateSecret", input).await?;
    let secret = made.get("ARN").and_then(Value::as_str);
    secret
        .map(str::to_owned)
        .ok_or_else(|| AwsError::internal("CreateSecret gave no ARN"))
}

fn generated() -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    (0..32)
        .map(|_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())]))
        .collect()
}
