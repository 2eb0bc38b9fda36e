use super::*;
use crate::testing::plan_of;

fn actions(statements: &[Value]) -> BTreeSet<String> {
    let all = statements.iter().flat_map(|statement| match &statement["Action"] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect::<Vec<_>>(),
    });
    all.map(str::to_owned).collect()
}

#[test]
fn the_resources_of_the_templates_may_be_created_and_no_action_has_a_wildcard() {
    let statements = statements(&plan_of("prod").1, Some("eu-central-1"));
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
    let statements = statements(&plan_of("dev").1, None);
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
fn each_document_fits_a_managed_policy_and_together_they_have_every_statement() {
    let statements = statements(&plan_of("prod").1, Some("us-east-1"));
    let documents = documents(statements.clone());
    for document in &documents {
        assert!(document.to_string().len() <= MAX_MANAGED_POLICY);
    }
    let all: Vec<Value> = documents
        .iter()
        .flat_map(|document| document["Statement"].as_array().expect("a list").clone())
        .collect();
    assert_eq!(all, statements);
}
