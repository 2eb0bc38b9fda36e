//! Against the machine's own PostgreSQL.

use serde_json::{Value, json};

use super::lifecycle::{self, INSTANCES};
use crate::Context;
use crate::runtime::certificate_authority::CertificateAuthority;
use crate::runtime::postgres::Installation;
use crate::service::testing::{context_with, create, desired};

fn properties(id: &str, name: &str) -> Value {
    json!({
        "DBInstanceIdentifier": id, "Engine": "postgres", "DBName": name, "MasterUsername": "app",
        "MasterUserPassword": "right-password", "AllocatedStorage": "20", "Port": "15432",
    })
}

#[tokio::test]
async fn an_instance_serves_survives_its_servers_death_and_is_gone_after_its_deletion() {
    let (cx, _folder) = context_with(vec![super::service()]);
    let made = create(&cx, "AWS::RDS::DBInstance", "Db", properties("orders", "orders_db"))
        .await
        .unwrap();
    assert_eq!(made.physical_id, "orders");
    assert_eq!(made.attributes["Endpoint.Port"], "15432");
    assert_eq!(made.attributes["Endpoint.Address"], "127.77.1.1");

    let folder = cx.state_dir().join("rds/orders");
    let first = lifecycle::cluster(&cx, &INSTANCES.get(&cx, "orders").unwrap().unwrap())
        .unwrap()
        .running()
        .unwrap();
    first.signal(rustix::process::Signal::KILL);
    while first.is_alive() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    super::watch::resume(&cx).await.unwrap();
    let record = INSTANCES.get(&cx, "orders").unwrap().unwrap();
    assert!(
        !record.properties.contains_key("MasterUserPassword"),
        "the password is not kept"
    );
    lifecycle::change_password(&cx, &record, "another-password")
        .await
        .unwrap();
    let second = lifecycle::cluster(&cx, &record).unwrap().running().unwrap();
    assert_ne!(first, second);

    lifecycle::delete(&cx, "orders", None).await.unwrap();
    assert!(!second.is_alive() && !folder.exists());
    cx.shutdown().cancel();
}

#[tokio::test]
async fn a_database_name_with_a_hyphen_fails_and_leaves_nothing() {
    let (cx, _folder) = context_with(vec![super::service()]);
    let error = create(&cx, "AWS::RDS::DBInstance", "Db", properties("orders", "orders-db"))
        .await
        .unwrap_err();
    assert!(
        error.to_string().starts_with("DBName must begin with a letter"),
        "{error}"
    );
    assert!(INSTANCES.list(&cx).unwrap().is_empty());
}

/// Asks the database as a client does; what psql says when it is refused.
async fn ask(cx: &Context, mode: &str, sql: &str) -> Result<String, String> {
    ask_at(cx, ("127.77.1.1", "15433"), "right-password", mode, sql).await
}

async fn ask_at(
    cx: &Context,
    (address, port): (&str, &str),
    password: &str,
    mode: &str,
    sql: &str,
) -> Result<String, String> {
    let authority = cx.state_dir().join("authority-for-clients.pem");
    std::fs::write(
        &authority,
        CertificateAuthority::for_databases(cx.state_dir())
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
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

#[tokio::test]
async fn the_parameter_group_holds_tls_is_verified_and_the_log_keeps_no_rows() {
    let (cx, _folder) = context_with(vec![super::service()]);
    let family = format!("postgres{}", Installation::find().unwrap().major());
    let group = |log_statement: &str| {
        json!({"Family": family, "Description": "d", "DBParameterGroupName": "strict", "Parameters": {
            "rds.force_ssl": "1", "log_error_verbosity": "terse", "log_statement": log_statement}})
    };
    create(&cx, "AWS::RDS::DBParameterGroup", "Group", group("none"))
        .await
        .unwrap();
    let mut wanted = properties("orders", "orders_db");
    wanted["DBParameterGroupName"] = "strict".into();
    // Tests run side by side, on the same address.
    wanted["Port"] = "15433".into();
    create(&cx, "AWS::RDS::DBInstance", "Db", wanted).await.unwrap();

    let refused = ask(&cx, "disable", "select 1").await.unwrap_err();
    assert!(refused.contains("no encryption"), "{refused}");
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
            .contains("people_email_key")
    );
    let log = std::fs::read_to_string(cx.state_dir().join("rds/orders/server.log")).unwrap();
    assert!(
        log.contains("people_email_key") && !log.contains("hidden@example.org"),
        "{log}"
    );

    let changed = desired("Group", group("ddl"));
    let kind = cx.resource_type("AWS::RDS::DBParameterGroup").unwrap();
    kind.update(&cx, "strict", &group("none"), &changed).await.unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while ask(&cx, "verify-full", "show log_statement").await.unwrap() != "ddl" {
        assert!(
            std::time::Instant::now() < until,
            "a changed group reaches the running server"
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }

    let mut wrong = group("none");
    wrong["Parameters"] = json!({"log_statment": "all"});
    wrong["DBParameterGroupName"] = "wrong".into();
    let error = create(&cx, "AWS::RDS::DBParameterGroup", "Wrong", wrong)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("DB Parameter: log_statment"), "{error}");
    lifecycle::delete(&cx, "orders", None).await.unwrap();
    cx.shutdown().cancel();
}

async fn call(cx: &Context, operation: &str, input: Value) -> Result<Value, crate::AwsError> {
    cx.call("rds", operation, input).await
}

#[tokio::test]
async fn the_last_snapshot_outlives_the_instance_and_gives_its_rows_back() {
    let (cx, _folder) = context_with(vec![super::service()]);
    let mut wanted = properties("orders", "orders_db");
    wanted["Port"] = "15434".into();
    create(&cx, "AWS::RDS::DBInstance", "Db", wanted).await.unwrap();
    let at = ("127.77.1.1", "15434");
    let rows = "create table kept (n int); insert into kept select generate_series(1, 1000)";
    ask_at(&cx, at, "right-password", "require", rows).await.unwrap();

    let error = call(&cx, "DeleteDBInstance", json!({"DBInstanceIdentifier": "orders"}))
        .await
        .unwrap_err();
    assert_eq!(error.code, "InvalidParameterCombination");
    let kind = cx.resource_type("AWS::RDS::DBInstance").unwrap();
    kind.delete_with_snapshot(&cx, "orders", &Value::Null, "Stack-Snapshot-Db-1x")
        .await
        .unwrap();
    assert!(INSTANCES.list(&cx).unwrap().is_empty() && !cx.state_dir().join("rds/orders").exists());
    assert_eq!(super::kept_snapshots(cx.state_dir()), ["stack-snapshot-db-1x"]);
    let folder = cx.state_dir().join("rds-snapshots/stack-snapshot-db-1x");
    for closed in [folder.clone(), folder.join("data")] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&closed).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", closed.display());
    }
    let seen = call(&cx, "DescribeDBSnapshots", json!({"DBInstanceIdentifier": "orders"}))
        .await
        .unwrap();
    assert_eq!(seen["DBSnapshots"][0]["Status"], "available");
    assert_eq!(seen["DBSnapshots"][0]["MasterUsername"], "app");

    let mut named = json!({"DBSnapshotIdentifier": "stack-snapshot-db-1x", "DBName": "orders_db"});
    let refused = create(&cx, "AWS::RDS::DBInstance", "Db", named.clone()).await;
    assert!(refused.unwrap_err().to_string().starts_with("DBName must be null"));
    named = json!({"DBSnapshotIdentifier": "stack-snapshot-db-1x", "DBInstanceIdentifier": "again",
        "MasterUserPassword": "another-password"});
    create(&cx, "AWS::RDS::DBInstance", "Db", named).await.unwrap();
    let count = "select count(*) from kept";
    assert_eq!(
        ask_at(&cx, at, "another-password", "require", count).await.unwrap(),
        "1000"
    );
    let old = ask_at(&cx, at, "right-password", "require", count).await.unwrap_err();
    assert!(old.contains("authentication failed"), "{old}");

    // A copy of the running one: what is committed before is in it, what comes later is not.
    let copy = json!({"DBInstanceIdentifier": "again", "DBSnapshotIdentifier": "by-hand"});
    let made = call(&cx, "CreateDBSnapshot", copy.clone()).await.unwrap();
    assert_eq!(made["DBSnapshot"]["Status"], "available");
    assert_eq!(
        call(&cx, "CreateDBSnapshot", copy).await.unwrap_err().code,
        "DBSnapshotAlreadyExists"
    );
    ask_at(&cx, at, "another-password", "require", "delete from kept")
        .await
        .unwrap();
    let gone = json!({"DBInstanceIdentifier": "again", "SkipFinalSnapshot": "true"});
    call(&cx, "DeleteDBInstance", gone).await.unwrap();
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
    assert!(super::kept_snapshots(cx.state_dir()).is_empty() && !folder.exists());
    lifecycle::delete(&cx, "third", None).await.unwrap();
    cx.shutdown().cancel();
}

#[tokio::test]
async fn a_last_snapshot_that_a_crash_cut_short_is_completed_and_a_copy_is_discarded() {
    let (cx, _folder) = context_with(vec![super::service()]);
    let mut wanted = properties("orders", "orders_db");
    wanted["Port"] = "15435".into();
    create(&cx, "AWS::RDS::DBInstance", "Db", wanted).await.unwrap();
    let mut record = INSTANCES.get(&cx, "orders").unwrap().unwrap();
    super::snapshot::begin(&cx, &record, "cut-short").unwrap();
    super::snapshot::begin(&cx, &record, "last").unwrap();
    record.computed.insert("final_snapshot".into(), "last".into());
    record.computed.insert("status".into(), "deleting".into());
    INSTANCES.put(&cx, &record).unwrap();

    super::watch::resume(&cx).await.unwrap();
    assert!(INSTANCES.list(&cx).unwrap().is_empty());
    assert_eq!(super::kept_snapshots(cx.state_dir()), ["last"]);
    let seen = call(&cx, "DescribeDBSnapshots", json!({})).await.unwrap();
    assert_eq!(seen["DBSnapshots"].as_array().map(Vec::len), Some(1), "{seen}");
    let restored = json!({"DBSnapshotIdentifier": "last", "DBInstanceIdentifier": "orders"});
    create(&cx, "AWS::RDS::DBInstance", "Db", restored).await.unwrap();
    let answer = ask_at(&cx, ("127.77.1.1", "15435"), "right-password", "require", "select 1").await;
    assert_eq!(answer.unwrap(), "1", "the password is in the data");
    lifecycle::delete(&cx, "orders", None).await.unwrap();
    cx.shutdown().cancel();
}
