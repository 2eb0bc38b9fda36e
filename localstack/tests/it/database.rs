//! Databases that take long, change, restart, and get new passwords.

use std::process::Stdio;
use std::time::{Duration, Instant};

use embedded_endpoint::Behavior;
use embedded_endpoint::runtime::postgres::Installation;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::endpoint::{Endpoint, element};

const DATABASE: (&str, &str) = ("DBInstanceIdentifier", "orders");

fn slow(text: &str) -> Behavior {
    Behavior {
        slow: vec![text.parse().unwrap()],
        ..Behavior::default()
    }
}

async fn create(endpoint: &Endpoint, port: &str) -> String {
    endpoint
        .rds(&[
            ("Action", "CreateDBInstance"),
            DATABASE,
            ("Engine", "postgres"),
            ("DBInstanceClass", "db.t4g.micro"),
            ("MasterUsername", "app"),
            ("ManageMasterUserPassword", "true"),
            ("AllocatedStorage", "20"),
            ("Port", port),
        ])
        .await
        .unwrap()
}

async fn describe(endpoint: &Endpoint) -> String {
    endpoint
        .rds(&[("Action", "DescribeDBInstances"), DATABASE])
        .await
        .unwrap()
}

async fn wait_for_status(endpoint: &Endpoint, expected: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while element(&describe(endpoint).await, "DBInstanceStatus") != Some(expected) {
        assert!(Instant::now() < deadline, "{}", describe(endpoint).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Returns the current password of the managed secret.
async fn password(endpoint: &Endpoint, stage: &str) -> String {
    let secret = element(&describe(endpoint).await, "SecretArn").unwrap().to_owned();
    let input = json!({"SecretId": secret, "VersionStage": stage});
    let value = endpoint
        .json("secretsmanager", "secretsmanager.GetSecretValue", input)
        .await
        .unwrap();
    let value: Value = serde_json::from_str(value["SecretString"].as_str().unwrap()).unwrap();
    value["password"].as_str().unwrap().to_owned()
}

fn psql(address: &str, port: &str, password: &str) -> Command {
    let mut psql = Command::new(Installation::find().unwrap().tool("psql"));
    psql.args([
        "-X", "-A", "-t", "-q", "-h", address, "-p", port, "-U", "app", "-d", "postgres",
    ]);
    psql.env("PGPASSWORD", password).env("PGCONNECT_TIMEOUT", "5");
    psql
}

async fn can_log_in(address: &str, port: &str, password: &str) -> bool {
    let output = psql(address, port, password)
        .args(["-c", "select 1"])
        .output()
        .await
        .unwrap();
    output.status.success()
}

#[tokio::test]
async fn a_slow_database_is_created_across_a_restart_in_the_time_that_remains() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 82, slow("rds=6s")).await;
    let started = Instant::now();
    let created = create(&endpoint, "15482").await;
    assert_eq!(element(&created, "DBInstanceStatus"), Some("creating"));
    assert_eq!(element(&created, "Address"), None);
    assert!(TcpStream::connect("127.82.1.1:15482").await.is_err());
    let modification = [
        ("Action", "ModifyDBInstance"),
        DATABASE,
        ("DeletionProtection", "false"),
    ];
    assert_eq!(endpoint.rds(&modification).await, Err("InvalidDBInstanceState".into()));
    endpoint.stop().await;

    let endpoint = Endpoint::start(&folder, 82, slow("rds=6s")).await;
    assert_eq!(
        element(&describe(&endpoint).await, "DBInstanceStatus"),
        Some("creating")
    );
    wait_for_status(&endpoint, "available").await;
    let taken = started.elapsed();
    assert!(
        taken >= Duration::from_millis(5_500) && taken < Duration::from_secs(11),
        "{taken:?}"
    );
    let password = password(&endpoint, "AWSCURRENT").await;
    assert!(can_log_in("127.82.1.1", "15482", &password).await);
    endpoint.stop().await;
}

#[tokio::test]
async fn a_rotated_password_is_set_in_the_database_and_open_connections_stay() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 83, Behavior::default()).await;
    create(&endpoint, "15483").await;
    let first = password(&endpoint, "AWSCURRENT").await;
    let mut open = psql("127.83.1.1", "15483", &first)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut lines) = (
        open.stdin.take().unwrap(),
        BufReader::new(open.stdout.take().unwrap()).lines(),
    );
    input.write_all(b"select 'before';\n").await.unwrap();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("before"));

    let secret = element(&describe(&endpoint).await, "SecretArn").unwrap().to_owned();
    let rotation = json!({"SecretId": secret, "ClientRequestToken": "11111111-1111-1111-1111-111111111111"});
    endpoint
        .json("secretsmanager", "secretsmanager.RotateSecret", rotation)
        .await
        .unwrap();
    let second = password(&endpoint, "AWSCURRENT").await;
    assert_eq!(password(&endpoint, "AWSPREVIOUS").await, first);
    assert!(!can_log_in("127.83.1.1", "15483", &first).await);
    assert!(can_log_in("127.83.1.1", "15483", &second).await);
    input.write_all(b"select 'after';\n").await.unwrap();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("after"));

    let rotate = [
        ("Action", "ModifyDBInstance"),
        DATABASE,
        ("RotateMasterUserPassword", "true"),
    ];
    assert_eq!(
        endpoint.rds(&rotate).await,
        Err("InvalidParameterCombination".into()),
        "not at once"
    );
    let mut at_once = rotate.to_vec();
    at_once.push(("ApplyImmediately", "true"));
    endpoint.rds(&at_once).await.unwrap();
    assert!(!can_log_in("127.83.1.1", "15483", &second).await);
    let third = password(&endpoint, "AWSCURRENT").await;
    assert!(can_log_in("127.83.1.1", "15483", &third).await);
    endpoint.stop().await;
}

#[tokio::test]
async fn a_change_waits_for_the_maintenance_window_and_an_unsupported_one_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 84, slow("rds-reboot=2s")).await;
    create(&endpoint, "15484").await;
    let modify = async |member: (&str, &str), at_once: &str| {
        let parameters = [
            ("Action", "ModifyDBInstance"),
            DATABASE,
            member,
            ("ApplyImmediately", at_once),
        ];
        endpoint.rds(&parameters).await
    };
    let waiting = modify(("DBInstanceClass", "db.t4g.large"), "false").await.unwrap();
    let pending = waiting.split_once("<PendingModifiedValues>").unwrap().1;
    assert_eq!(element(pending, "DBInstanceClass"), Some("db.t4g.large"));
    let applied = modify(("AllocatedStorage", "30"), "true").await.unwrap();
    assert_eq!(
        element(&applied, "DBInstanceClass"),
        Some("db.t4g.large"),
        "the pending one, too"
    );
    assert_eq!(element(&applied, "AllocatedStorage"), Some("30"));
    assert!(!applied.contains("PendingModifiedValues"));
    assert_eq!(
        modify(("AllocatedStorage", "20"), "true").await,
        Err("InvalidParameterCombination".into())
    );
    assert_eq!(
        modify(("StorageType", "io2"), "true").await,
        Err("NotImplemented".into())
    );

    endpoint.rds(&[("Action", "RebootDBInstance"), DATABASE]).await.unwrap();
    assert_eq!(
        element(&describe(&endpoint).await, "DBInstanceStatus"),
        Some("rebooting")
    );
    assert!(TcpStream::connect("127.84.1.1:15484").await.is_err());
    wait_for_status(&endpoint, "available").await;
    let password = password(&endpoint, "AWSCURRENT").await;
    assert!(can_log_in("127.84.1.1", "15484", &password).await);
    endpoint.stop().await;
}
