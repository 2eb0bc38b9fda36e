//! Calls on one thing at the same time, of which one may win.

use std::collections::BTreeSet;

use embedded_endpoint::Behavior;
use embedded_endpoint::cloudformation::stack::{self, Stack};
use futures::future::join_all;

use crate::endpoint::{Answer, Endpoint, element};

const CLOUDFORMATION: (&str, &str) = ("cloudformation", "2010-05-15");
const EC2: (&str, &str) = ("ec2", "2016-11-15");
const CALLS: usize = 20;

fn template(value: &str) -> String {
    let properties = format!(r#"{{"Type": "String", "Value": "{value}"}}"#);
    format!(r#"{{"Resources": {{"P": {{"Type": "AWS::SSM::Parameter", "Properties": {properties}}}}}}}"#)
}

/// Calls an operation several times at once, and returns the answers that are successes.
async fn winners(endpoint: &Endpoint, action: &str, parameters: &[(&str, &str)]) -> Vec<String> {
    let calls = (0..CALLS).map(|_| endpoint.action(CLOUDFORMATION, action, parameters));
    let answers: Vec<Answer> = join_all(calls).await;
    answers.into_iter().filter_map(Result::ok).collect()
}

async fn settle(endpoint: &Endpoint, status: &str) {
    loop {
        let found = endpoint.get(CLOUDFORMATION, "DescribeStacks", &[("StackName", "one")], "StackStatus");
        let found = found.await;
        if !found.ends_with("_IN_PROGRESS") {
            return assert_eq!(found, status);
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_call_of_many_begins_an_operation_on_a_stack() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 107, Behavior::default()).await;
    let name = ("StackName", "one");
    let (first, second, third) = (template("1"), template("2"), template("3"));

    assert_eq!(
        winners(&endpoint, "CreateStack", &[name, ("TemplateBody", &first)])
            .await
            .len(),
        1
    );
    settle(&endpoint, "CREATE_COMPLETE").await;
    let stacks = endpoint.action(CLOUDFORMATION, "ListStacks", &[]).await.unwrap();
    assert_eq!(stacks.matches("<StackId>").count(), 1, "{stacks}");

    let set = [name, ("ChangeSetName", "set")];
    let created = [set[0], set[1], ("TemplateBody", second.as_str())];
    assert_eq!(winners(&endpoint, "CreateChangeSet", &created).await.len(), 1);
    assert_eq!(winners(&endpoint, "ExecuteChangeSet", &set).await.len(), 1);
    settle(&endpoint, "UPDATE_COMPLETE").await;

    // Repetitions of a call whose answer was lost have the answer of the first one.
    let token = ("ClientRequestToken", "token");
    let updated = winners(&endpoint, "UpdateStack", &[name, token, ("TemplateBody", &third)]).await;
    assert_eq!(updated.len(), CALLS);
    settle(&endpoint, "UPDATE_COMPLETE").await;
    let events = endpoint
        .action(CLOUDFORMATION, "DescribeStackEvents", &[name])
        .await
        .unwrap();
    let started = "<ResourceStatus>UPDATE_IN_PROGRESS</ResourceStatus><ResourceStatusReason>User Initiated<";
    assert_eq!(events.matches(started).count(), 2, "{events}");
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_with_one_client_token_create_one_resource() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 108, Behavior::default()).await;
    let vpc = endpoint.get(EC2, "DescribeVpcs", &[], "vpcId").await;
    let parameters = [("VpcId", vpc.as_str()), ("ClientToken", "token")];
    let calls = (0..CALLS).map(|_| endpoint.action(EC2, "CreateRouteTable", &parameters));
    let answers = join_all(calls).await;
    let ids: BTreeSet<String> = answers
        .into_iter()
        .map(|answer| element(&answer.unwrap(), "routeTableId").unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 1);
    endpoint.stop().await;
}

#[tokio::test]
async fn stacks_that_were_deleted_90_days_ago_are_forgotten_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 109, Behavior::default()).await;
    for (name, deleted) in [("old", "2020-01-01T00:00:00.000Z".to_owned()), ("new", stack::now())] {
        let stack = Stack {
            id: stack::new_id(&endpoint.cx, name),
            name: name.to_owned(),
            status: "DELETE_COMPLETE".to_owned(),
            created: deleted.clone(),
            deleted: Some(deleted),
            ..Stack::default()
        };
        stack::insert(&endpoint.cx, &stack).unwrap();
    }
    stack::forget_deleted(&endpoint.cx).unwrap();
    let remaining: Vec<String> = stack::all(&endpoint.cx)
        .unwrap()
        .into_iter()
        .map(|one| one.name)
        .collect();
    assert_eq!(remaining, ["new"]);
    endpoint.stop().await;
}
