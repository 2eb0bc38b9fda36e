//! Tests against the installed PostgreSQL.

use serde_json::{Value, json};

use super::model::{self, INSTANCES, Instances};
use super::server::cluster;
use super::{describe, lifecycle};
use crate::Context;
use crate::runtime::certificate_authority::CertificateAuthority;
use crate::runtime::postgres::Installation;
use crate::service::supervisor::LifecycleLock;
use crate::service::testing::{context_with, create, desired, error_code};

fn properties(id: &str, name: &str) -> Value {
    json!({
        "DBInstanceIdentifier": id, "Engine": "postgres", "DBName": name, "MasterUsername": "app",
        "MasterUserPassword": "right-password", "AllocatedStorage": "20", "Port": "15432",
    })
}

#[tokio::test]
async fn an_instance_survives_the_death_of_its_server_and_its_deletion_removes_the_data() {
    let (cx, _folder) = context_with(vec![super::service()]);
    let created = create(&cx, "AWS::RDS::DBInstance", "Db", properties("orders", "orders_db"))
        .await
        .unwrap();
    assert_eq!(created.physical_id, "orders");
    assert_eq!(created.attributes["Endpoint.Port"], "15432");
    assert_eq!(created.attributes["Endpoint.Address"], "127.77.1.1");

    let folder = cx.state_dir().join("rds/orders");
    let first = cluster(&cx, &INSTANCES.get(&cx, "orders").unwrap().unwrap())
        .unwrap()
        .running()
        .unwrap();
    first.signal(rustix::process::Signal::KILL);
    while first.is_alive() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    super::supervisor::recover(&cx).await.unwrap();
    let record = INSTANCES.get(&cx, "orders").unwrap().unwrap();
    assert!(
        !record.properties.contains_key("MasterUserPassword"),
        "the password is not stored"
    );
    lifecycle::change_password(&cx, &record, "another-password")
        .await
        .unwrap();
    let second = cluster(&cx, &record).unwrap().running().unwrap();
    assert_ne!(first, second);

    // Without its data it has failed, and gets no new data.
    let until = async |expected: &str| {
        let status = async || describe::instance(&cx, &record).await.unwrap()["DBInstanceStatus"].clone();
        while status().await != expected {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let lock = cx.extension::<LifecycleLock<Instances>>();
    {
        let _held = lock.hold().await;
        second.signal(rustix::process::Signal::KILL);
        while second.is_alive() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        std::fs::rename(folder.join("data"), folder.join("away")).unwrap();
    }
    until("failed").await;
    assert!(model::require_available(&cx, &record).is_err() && !folder.join("data").exists());
    {
        let _held = lock.hold().await;
        std::fs::rename(folder.join("away"), folder.join("data")).unwrap();
    }
    until("available").await;
    let second = cluster(&cx, &record).unwrap().running().unwrap();

    lifecycle::delete(&cx, "orders", None).await.unwrap();
    assert!(!second.is_alive() && !folder.exists());
    cx.shutdown().cancel();
}

#[tokio::test]
async fn a_database_name_with_a_hyphen_is_rejected_and_leaves_nothing() {
    let (cx, _folder) = context_with(vec![super::service()]);
    let error = create(&cx, "AWS::RDS::DBInstance", "Db", properties("orders", "orders-db"))
        .await
        .unwrap_err();
    assert_eq!(error_code(&error), Some("InvalidParameterValue"), "{error}");
    assert!(INSTANCES.list(&cx).unwrap().is_empty());
}

/// Runs a query as a client does; the error is psql's output.
async fn ask(cx: &Context, mode: &str, sql: &str) -> anyhow::Result<String> {
    ask_at(cx, ("127.77.1.1", "15433"), "right-password", mode, sql).await
}

async fn ask_at(
    cx: &Context,
    (address, port): (&str, &str),
    password: &str,
    mode: &str,
    sql: &str,
) -> anyhow::Result<String> {
    let authority = cx.state_dir().join("authority-for-clients.pem");
    std::fs::write(
        &authority,
        CertificateAuthority::for_databases(cx.root_dir())
            .certificate_pem()
            .unwrap(),
    )
    .unwrap();
    let mut psql = tokio::process::Command::new(Installation::find().unwrap().tool("psql"));
    psql.args([
        "-X",
        "-A",
        "-t",
        "-h",
        address,
        "-p",
        port,
        "-U",
        "app",
        "-d",
        "orders_db",
        "-c",
        sql,
    ]);
    psql.env("PGPASSWORD", password)
        .env("PGSSLMODE", mode)
        .env("PGSSLROOTCERT", authority);
    let output = psql.output().await.unwrap();
    if !output.status.success() {
        anyhow::bail!(String::from_utf8(output.stderr).unwrap());
    }
    Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[tokio::test]
async fn the_parameter_group_is_applied_tls_is_verified_and_the_log_contains_no_rows() {
    let (cx, _folder) = context_with(vec![super::service()]);
    let family = format!("postgres{}", Installation::find().unwrap().major());
    let group = |log_statement: &str| {
        json!({"Family": family, "Description": "d", "DBParameterGroupName": "strict", "Parameters": {
            "rds.force_ssl": "1", "log_error_verbosity": "terse", "log_statement": log_statement}})
    };
    create(&cx, "AWS::RDS::DBParameterGroup", "Group", group("none"))
        .await
        .unwrap();
    let mut named = properties("orders", "orders_db");
    named["DBParameterGroupName"] = "strict".into();
    // Tests run in parallel on the same address.
    named["Port"] = "15433".into();
    create(&cx, "AWS::RDS::DBInstance", "Db", named).await.unwrap();

    let rejected = ask(&cx, "disable", "select 1").await.unwrap_err();
    assert!(rejected.to_string().contains("no encryption"), "{rejected}");
    assert_eq!(
        ask(&cx, "verify-full", "show log_error_verbosity").await.unwrap(),
        "terse"
    );

    let twice = "create table people (email text unique); insert into people values ('hidden@example.org'), \
                 ('hidden@example.org')";
    assert!(
        ask(&cx, "verify-full", twice)
            .await
            .unwrap_err()
            .to_string()
            .contains("people_email_key")
    );
    let log = std::fs::read_to_string(cx.state_dir().join("rds/orders/server.log")).unwrap();
    assert!(
        log.contains("people_email_key") && !log.contains("hidden@example.org"),
        "{log}"
    );

    let changed = desired("Group", group("ddl"));
    let resource_type = cx.resource_type("AWS::RDS::DBParameterGroup").unwrap();
    resource_type
        .update(&cx, "strict", &group("none"), &changed)
        .await
        .unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while ask(&cx, "verify-full", "show log_statement").await.unwrap() != "ddl" {
        assert!(
            std::time::Instant::now() < until,
            "the running server did not get the changed group"
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }

    let mut wrong = group("none");
    wrong["Parameters"] = json!({"log_statment": "all"});
    wrong["DBParameterGroupName"] = "wrong".into();
    let error = create(&cx, "AWS::RDS::DBParameterGroup", "Wrong", wrong)
        .await
        .unwrap_err();
    assert_eq!(error_code(&error), Some("InvalidParameterValue"));
    assert!(error.to_string().contains("log_statment"), "{error}");
    lifecycle::delete(&cx, "orders", None).await.unwrap();
    cx.shutdown().cancel();
}

async fn call(cx: &Context, operation: &str, input: Value) -> Result<Value, crate::AwsError> {
    cx.call("rds", operation, input).await
}

#[tokio::test]
async fn the_final_snapshot_outlives_the_instance_and_restores_its_rows() {
    let (cx, _folder) = context_with(vec![super::service()]);
    let mut named = properties("orders", "orders_db");
    named["Port"] = "15434".into();
    create(&cx, "AWS::RDS::DBInstance", "Db", named).await.unwrap();
    let at = ("127.77.1.1", "15434");
    let rows = "create table numbers (n int); insert into numbers select generate_series(1, 1000)";
    ask_at(&cx, at, "right-password", "require", rows).await.unwrap();

    let error = call(&cx, "DeleteDBInstance", json!({"DBInstanceIdentifier": "orders"}))
        .await
        .unwrap_err();
    assert_eq!(error.code, "InvalidParameterCombination");
    let resource_type = cx.resource_type("AWS::RDS::DBInstance").unwrap();
    resource_type
        .delete_with_snapshot(&cx, "orders", &Value::Null, "Stack-Snapshot-Db-1x")
        .await
        .unwrap();
    assert!(INSTANCES.list(&cx).unwrap().is_empty() && !cx.state_dir().join("rds/orders").exists());
    assert_eq!(super::retained_snapshots(&cx.state_dir()), ["stack-snapshot-db-1x"]);
    let folder = cx.state_dir().join("rds-snapshots/stack-snapshot-db-1x");
    for private in [folder.clone(), folder.join("data")] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&private).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", private.display());
    }
    let described = call(&cx, "DescribeDBSnapshots", json!({"DBInstanceIdentifier": "orders"}))
        .await
        .unwrap();
    assert_eq!(described["DBSnapshots"][0]["Status"], "available");
    assert_eq!(described["DBSnapshots"][0]["MasterUsername"], "app");

    let mut restored = json!({"DBSnapshotIdentifier": "stack-snapshot-db-1x", "DBName": "orders_db"});
    let rejected = create(&cx, "AWS::RDS::DBInstance", "Db", restored.clone()).await;
    assert_eq!(error_code(&rejected.unwrap_err()), Some("InvalidParameterValue"));
    restored = json!({"DBSnapshotIdentifier": "stack-snapshot-db-1x", "DBInstanceIdentifier": "again",
        "MasterUserPassword": "another-password"});
    create(&cx, "AWS::RDS::DBInstance", "Db", restored).await.unwrap();
    let count = "select count(*) from numbers";
    assert_eq!(
        ask_at(&cx, at, "another-password", "require", count).await.unwrap(),
        "1000"
    );
    let old = ask_at(&cx, at, "right-password", "require", count).await.unwrap_err();
    assert!(old.to_string().contains("authentication failed"), "{old}");

    // A copy of a running instance has what was committed before it, and nothing later.
    let copy = json!({"DBInstanceIdentifier": "again", "DBSnapshotIdentifier": "by-hand"});
    let created = call(&cx, "CreateDBSnapshot", copy.clone()).await.unwrap();
    assert_eq!(created["DBSnapshot"]["Status"], "available");
    assert_eq!(
        call(&cx, "CreateDBSnapshot", copy).await.unwrap_err().code,
        "DBSnapshotAlreadyExists"
    );
    ask_at(&cx, at, "another-password", "require", "delete from numbers")
        .await
        .unwrap();
    let deletion = json!({"DBInstanceIdentifier": "again", "SkipFinalSnapshot": "true"});
    call(&cx, "DeleteDBInstance", deletion).await.unwrap();
    let again = json!({"DBSnapshotIdentifier": "by-hand", "DBInstanceIdentifier": "third", "Port": "15434"});
    call(&cx, "RestoreDBInstanceFromDBSnapshot", again).await.unwrap();
    assert_eq!(
        ask_at(&cx, at, "another-password", "require", count).await.unwrap(),
        "1000"
    );

    for id in ["by-hand", "stack-snapshot-db-1x"] {
        call(&cx, "DeleteDBSnapshot", json!({"DBSnapshotIdentifier": id}))
            .await
            .unwrap();
    }
    assert!(super::retained_snapshots(&cx.state_dir()).is_empty() && !folder.exists());
    lifecycle::delete(&cx, "third", None).await.unwrap();
    cx.shutdown().cancel();
}

#[tokio::test]
async fn after_a_crash_a_final_snapshot_is_completed_and_an_unfinished_copy_is_discarded() {
    let (cx, _folder) = context_with(vec![super::service()]);
    let mut named = properties("orders", "orders_db");
    named["Port"] = "15435".into();
    create(&cx, "AWS::RDS::DBInstance", "Db", named).await.unwrap();
    let mut record = INSTANCES.get(&cx, "orders").unwrap().unwrap();
    super::snapshot::begin(&cx, &record, "unfinished").unwrap();
    super::snapshot::begin(&cx, &record, "final").unwrap();
    record.computed.insert("final_snapshot".into(), "final".into());
    record.computed.insert("status".into(), "deleting".into());
    INSTANCES.put(&cx, &record).unwrap();

    super::supervisor::recover(&cx).await.unwrap();
    assert!(INSTANCES.list(&cx).unwrap().is_empty());
    assert_eq!(super::retained_snapshots(&cx.state_dir()), ["final"]);
    let described = call(&cx, "DescribeDBSnapshots", json!({})).await.unwrap();
    assert_eq!(
        described["DBSnapshots"].as_array().map(Vec::len),
        Some(1),
        "{described}"
    );
    let restored = json!({"DBSnapshotIdentifier": "final", "DBInstanceIdentifier": "orders"});
    create(&cx, "AWS::RDS::DBInstance", "Db", restored).await.unwrap();
    let result = ask_at(&cx, ("127.77.1.1", "15435"), "right-password", "require", "select 1").await;
    assert_eq!(result.unwrap(), "1", "the password is in the data");
    lifecycle::delete(&cx, "orders", None).await.unwrap();
    cx.shutdown().cancel();
}
