use std::path::Path;

use super::*;
use crate::manifest::Manifest;

fn plan(environment: &str) -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../deployer.toml");
    crate::stacks::plan(&Manifest::load(&path, environment).expect("the manifest of this repository"))
}

fn actions(statements: &[Value]) -> BTreeSet<String> {
    let all = statements.iter().flat_map(|statement| match &statement["Action"] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect::<Vec<_>>(),
    });
    all.map(str::to_owned).collect()
}

#[test]
fn what_the_templates_make_may_be_made_and_nothing_is_allowed_by_a_wildcard() {
    let statements = statements(&plan("prod"), Some("eu-central-1"));
    let allowed = actions(&statements);
    for action in [
        "rds:CreateDBInstance",
        "ecs:CreateService",
        "ecr:PutImage",
        "cloudformation:ExecuteChangeSet",
        "iam:PassRole",
    ] {
        assert!(allowed.contains(action), "{action} is missing");
    }
    assert_eq!(allowed.iter().find(|action| action.contains('*')), None);
    let regional = |sid: &str| {
        let statement = statements.iter().find(|s| s["Sid"] == sid).expect("a statement");
        statement["Condition"]["StringEquals"]["aws:RequestedRegion"].as_str()
    };
    assert_eq!((regional("Rds"), regional("Iam")), (Some("eu-central-1"), None));
}

#[test]
fn roles_are_passed_only_to_the_services_that_assume_them() {
    let statements = statements(&plan("dev"), None);
    let pass = statements.iter().find(|s| s["Action"] == "iam:PassRole").expect("it");
    let users = &pass["Condition"]["StringEquals"]["iam:PassedToService"];
    assert!(
        users
            .as_array()
            .expect("a list")
            .iter()
            .any(|user| user == "ecs-tasks.amazonaws.com")
    );
}

#[test]
fn each_document_fits_a_managed_policy_and_together_they_say_everything() {
    let statements = statements(&plan("prod"), Some("us-east-1"));
    let documents = documents(statements.clone());
    for document in &documents {
        assert!(document.to_string().len() <= MANAGED_POLICY);
    }
    let said: Vec<Value> = documents
        .iter()
        .flat_map(|document| document["Statement"].as_array().expect("a list").clone())
        .collect();
    assert_eq!(said, statements);
}
