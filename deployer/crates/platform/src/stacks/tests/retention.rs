//! Versions, and what outlives a deletion or a newer push.

use cfn::diff::compare;
use serde_json::{Value, json};

use crate::stacks::plan;
use crate::testing::plan_of;

#[test]
fn a_database_names_the_major_version_alone_and_may_be_upgraded_to_another() {
    let (mut manifest, before) = plan_of("prod");
    let database = |plan: &crate::stacks::Plan| {
        plan.stack("data").expect("the stack").template["Resources"]["OrdersDatabase"].clone()
    };
    let properties = &database(&before)["Properties"];
    assert_eq!(
        (&properties["EngineVersion"], &properties["AllowMajorVersionUpgrade"]),
        (&json!("17"), &json!(true))
    );

    for database in &mut manifest.databases {
        database.engine_version = "18.1".into();
    }
    let after = plan(&manifest);
    assert_eq!(
        database(&after)["Properties"]["EngineVersion"],
        "18.1",
        "a full version stays possible"
    );
    let template = |plan: &crate::stacks::Plan| plan.stack("data").expect("the stack").template.clone();
    let changes = compare(Some(&template(&before)), &template(&after));
    assert!(changes.iter().any(|change| change.logical_id == "OrdersDatabase"));
    assert!(changes.iter().all(|change| change.loss.is_none()), "{changes:?}");
}

#[test]
fn generated_secrets_of_a_protected_environment_outlive_its_stack_once_it_is_complete() {
    let policies = |environment: &str| -> (Value, Value) {
        let (_, plan) = plan_of(environment);
        let secret = &plan.stack("data").expect("the stack").template["Resources"]["OrdersSigningKeySecret"];
        (secret["DeletionPolicy"].clone(), secret["UpdateReplacePolicy"].clone())
    };
    assert_eq!(policies("prod"), (json!("RetainExceptOnCreate"), json!("Retain")));
    assert_eq!(policies("dev"), (json!("Delete"), json!("Delete")));
}

#[test]
fn pushes_expire_no_image_that_was_deployed() {
    let (_, plan) = plan_of("prod");
    let repository =
        &plan.stack("registry").expect("the stack").template["Resources"]["OrdersRepository"]["Properties"];
    let text = repository["LifecyclePolicy"]["LifecyclePolicyText"]
        .as_str()
        .expect("a policy");
    let policy: Value = serde_json::from_str(text).expect("JSON");
    let rules: Vec<(&Value, &Value, &Value)> = policy["rules"]
        .as_array()
        .expect("rules")
        .iter()
        .map(|rule| {
            (
                &rule["rulePriority"],
                &rule["selection"]["tagStatus"],
                &rule["selection"]["tagPrefixList"],
            )
        })
        .collect();
    assert_eq!(
        rules,
        [
            (&json!(1), &json!("tagged"), &json!([crate::stacks::DEPLOYED_TAG])),
            (&json!(2), &json!("any"), &Value::Null),
        ]
    );
}
