use std::path::Path;

use super::*;
use crate::manifest::Manifest;

fn plan(environment: &str) -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deployer.toml");
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

/// Every `aws.<client>.<operation>()` of the sources.
fn calls(folder: &Path, into: &mut BTreeSet<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            calls(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text: String = std::fs::read_to_string(&path)
                .expect("a source file")
                .split_whitespace()
                .collect();
            for (at, before) in text.match_indices("aws.") {
                let mut words = text[at + before.len()..].splitn(3, ['.', '(']);
                let (client, operation) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let name = |word: &str| !word.is_empty() && word.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
                // `aws.endpoint` says who answers, `aws.clock` what time it is, and `aws.plain` asks what `ALL` lists.
                if !["endpoint", "clock", "plain"].contains(&client)
                    && name(client)
                    && name(operation)
                    && words.next().is_some_and(|rest| rest.starts_with(')'))
                {
                    into.insert((client.to_owned(), operation.to_owned()));
                }
            }
        }
    }
}

#[test]
fn what_deployer_calls_itself_is_listed() {
    let mut found = BTreeSet::new();
    calls(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    let action = |(client, operation): &(String, String)| {
        let service = if client == "elb" {
            "elasticloadbalancing"
        } else {
            client
        };
        let words = operation.split('_').map(|word| {
            let (first, rest) = word.split_at(1.min(word.len()));
            first.to_uppercase() + rest
        });
        format!("{service}:{}", words.collect::<String>())
    };
    let plain = crate::target::plain::ALL
        .iter()
        .map(|question| format!("{}:{}", question.service, question.operation));
    let called: BTreeSet<String> = found.iter().map(action).chain(plain).collect();
    let listed: BTreeSet<String> = OWN
        .iter()
        .flat_map(|(service, names)| names.iter().map(move |name| format!("{service}:{name}")))
        .collect();
    assert_eq!(called, listed);
}
