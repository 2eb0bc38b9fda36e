//! Against the machine's own PostgreSQL.

use serde_json::{Value, json};

use super::lifecycle::{self, INSTANCES};
use crate::service::testing::{context_with, create};

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
    lifecycle::resume(&cx).await.unwrap();
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

    lifecycle::delete(&cx, "orders").await.unwrap();
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
