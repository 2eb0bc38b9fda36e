//! Tests of IAM's own API, which uses the rules of the resource types.

use serde_json::{Value, json};

use crate::service::testing::{context_with, create};

fn trust(principal: Value) -> String {
    let statement = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

fn allow(action: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}).to_string()
}

#[tokio::test]
async fn a_role_with_policies_is_made_read_and_deleted_by_the_api() {
    let (cx, _folder) = context_with(vec![super::service()]);
    let call = async |operation: &'static str, input: Value| cx.call("iam", operation, input).await;
    let document = trust(json!({"Service": "ecs-tasks.amazonaws.com"}));
    let role = json!({"RoleName": "r", "AssumeRolePolicyDocument": document, "Tags": [{"Key": "a", "Value": "b"}]});
    call("CreateRole", role.clone()).await.unwrap();
    assert_eq!(call("CreateRole", role).await.unwrap_err().code, "EntityAlreadyExists");
    let inline = json!({"RoleName": "r", "PolicyName": "inline", "PolicyDocument": allow("s3:GetObject")});
    call("PutRolePolicy", inline).await.unwrap();
    let policy = json!({"PolicyName": "p", "PolicyDocument": allow("s3:*")});
    let arn = call("CreatePolicy", policy).await.unwrap()["Policy"]["Arn"]
        .as_str()
        .unwrap()
        .to_owned();
    let of_aws = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy";
    for arn in [&arn, of_aws] {
        call("AttachRolePolicy", json!({"RoleName": "r", "PolicyArn": arn}))
            .await
            .unwrap();
    }
    let attached = call("ListAttachedRolePolicies", json!({"RoleName": "r"}))
        .await
        .unwrap();
    assert_eq!(attached["AttachedPolicies"].as_array().unwrap().len(), 2);
    let known = call("GetPolicy", json!({"PolicyArn": of_aws})).await.unwrap();
    assert_eq!(known["Policy"]["PolicyName"], "AmazonECSTaskExecutionRolePolicy");

    let version = json!({"PolicyArn": arn, "PolicyDocument": allow("s3:Get*"), "SetAsDefault": "true"});
    let version = call("CreatePolicyVersion", version).await.unwrap();
    assert_eq!(version["PolicyVersion"]["VersionId"], "v2");
    let shown = call("GetPolicyVersion", json!({"PolicyArn": arn, "VersionId": "v1"}))
        .await
        .unwrap();
    assert_eq!(shown["PolicyVersion"]["IsDefaultVersion"], false);
    for (operation, input, code) in [
        (
            "DeletePolicyVersion",
            json!({"PolicyArn": arn, "VersionId": "v2"}),
            "DeleteConflict",
        ),
        ("DeletePolicy", json!({"PolicyArn": arn}), "DeleteConflict"),
        ("DeleteRole", json!({"RoleName": "r"}), "DeleteConflict"),
        (
            "AttachRolePolicy",
            json!({"RoleName": "r", "PolicyArn": "arn:aws:iam::0:policy/no"}),
            "NoSuchEntity",
        ),
        (
            "DetachRolePolicy",
            json!({"RoleName": "r", "PolicyArn": "arn:aws:iam::0:policy/no"}),
            "NoSuchEntity",
        ),
        (
            "DeleteRolePolicy",
            json!({"RoleName": "r", "PolicyName": "no"}),
            "NoSuchEntity",
        ),
        (
            "GetPolicyVersion",
            json!({"PolicyArn": arn, "VersionId": "v9"}),
            "NoSuchEntity",
        ),
        (
            "CreateRole",
            json!({"RoleName": "x", "AssumeRolePolicyDocument": "{"}),
            "MalformedPolicyDocument",
        ),
        ("DeleteRole", json!({"RoleName": "none"}), "NoSuchEntity"),
    ] {
        assert_eq!(call(operation, input).await.unwrap_err().code, code, "{operation}");
    }
    call("CreateInstanceProfile", json!({"InstanceProfileName": "i"}))
        .await
        .unwrap();
    let both = json!({"InstanceProfileName": "i", "RoleName": "r"});
    call("AddRoleToInstanceProfile", both.clone()).await.unwrap();
    let profile = call("GetInstanceProfile", json!({"InstanceProfileName": "i"}))
        .await
        .unwrap();
    assert_eq!(profile["InstanceProfile"]["Roles"][0]["RoleName"], "r");
    for (operation, input) in [
        ("RemoveRoleFromInstanceProfile", both),
        ("DeleteInstanceProfile", json!({"InstanceProfileName": "i"})),
        ("DetachRolePolicy", json!({"RoleName": "r", "PolicyArn": arn})),
        ("DetachRolePolicy", json!({"RoleName": "r", "PolicyArn": of_aws})),
        ("DeletePolicyVersion", json!({"PolicyArn": arn, "VersionId": "v1"})),
        ("DeletePolicy", json!({"PolicyArn": arn})),
        ("DeleteRolePolicy", json!({"RoleName": "r", "PolicyName": "inline"})),
        ("UntagRole", json!({"RoleName": "r", "TagKeys": ["a"]})),
        ("UpdateRole", json!({"RoleName": "r", "Description": "d"})),
    ] {
        call(operation, input)
            .await
            .unwrap_or_else(|error| panic!("{operation}: {error}"));
    }
    let role = call("GetRole", json!({"RoleName": "r"})).await.unwrap()["Role"].clone();
    assert_eq!((&role["Description"], &role["Tags"]), (&json!("d"), &Value::Null));
    call("DeleteRole", json!({"RoleName": "r"})).await.unwrap();
}

#[tokio::test]
async fn an_api_call_keeps_the_tags_that_a_role_has_from_its_stack() {
    let (cx, _folder) = context_with(vec![super::service()]);
    let document: Value = serde_json::from_str(&trust(json!({"AWS": "*"}))).unwrap();
    let role = json!({"RoleName": "r", "AssumeRolePolicyDocument": document});
    create(&cx, "AWS::IAM::Role", "R", role).await.unwrap();
    let inline = json!({"RoleName": "r", "PolicyName": "inline", "PolicyDocument": allow("s3:GetObject")});
    cx.call("iam", "PutRolePolicy", inline).await.unwrap();
    let tags = cx.call("iam", "ListRoleTags", json!({"RoleName": "r"})).await.unwrap();
    assert_eq!(tags["Tags"], json!([{"Key": "team", "Value": "blue"}]));
}

#[tokio::test]
async fn users_groups_and_access_keys_can_be_declared() {
    let (cx, _folder) = context_with(vec![super::service()]);
    create(&cx, "AWS::IAM::Group", "G", json!({"GroupName": "g"}))
        .await
        .unwrap();
    let user = create(&cx, "AWS::IAM::User", "U", json!({"Groups": ["g"]}))
        .await
        .unwrap();
    let key = create(&cx, "AWS::IAM::AccessKey", "K", json!({"UserName": user.physical_id}))
        .await
        .unwrap();
    assert_eq!(key.attributes["SecretAccessKey"].as_str().unwrap().len(), 40);
    assert!(
        create(&cx, "AWS::IAM::User", "V", json!({"Groups": ["no"]}))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_user_in_a_group_is_renamed_and_deleted_last() {
    let (cx, _folder) = context_with(vec![super::service()]);
    let call = async |operation: &'static str, input: Value| cx.call("iam", operation, input).await;
    let user = call(
        "CreateUser",
        json!({"UserName": "u", "Tags": [{"Key": "a", "Value": "b"}]}),
    );
    assert!(
        user.await.unwrap()["User"]["UserId"]
            .as_str()
            .unwrap()
            .starts_with("AIDA")
    );
    call("CreateGroup", json!({"GroupName": "g"})).await.unwrap();
    let both = json!({"UserName": "u", "GroupName": "g"});
    call("AddUserToGroup", both).await.unwrap();
    let policy = json!({"UserName": "u", "PolicyName": "p", "PolicyDocument": allow("s3:*")});
    call("PutUserPolicy", policy).await.unwrap();
    let key = call("CreateAccessKey", json!({"UserName": "u"})).await.unwrap()["AccessKey"].clone();
    call(
        "UpdateUser",
        json!({"UserName": "u", "NewUserName": "v", "NewPath": "/team/"}),
    )
    .await
    .unwrap();
    let group = call("GetGroup", json!({"GroupName": "g"})).await.unwrap();
    assert_eq!(group["Users"][0]["Arn"], "arn:aws:iam::000000000000:user/team/v");
    let keys = call("ListAccessKeys", json!({"UserName": "v"})).await.unwrap();
    assert_eq!(keys["AccessKeyMetadata"][0]["AccessKeyId"], key["AccessKeyId"]);
    let details = call("GetAccountAuthorizationDetails", json!({"Filter": ["User"]}))
        .await
        .unwrap();
    assert_eq!(details["UserDetailList"][0]["GroupList"], json!(["g"]));
    for (operation, input, code) in [
        ("CreateUser", json!({"UserName": "V"}), "EntityAlreadyExists"),
        ("CreateUser", json!({"UserName": "w", "Path": "no"}), "ValidationError"),
        ("GetUser", json!({"UserName": "u"}), "NoSuchEntity"),
        ("DeleteGroup", json!({"GroupName": "g"}), "DeleteConflict"),
        ("DeleteUser", json!({"UserName": "v"}), "DeleteConflict"),
        (
            "AddUserToGroup",
            json!({"UserName": "v", "GroupName": "no"}),
            "NoSuchEntity",
        ),
        ("DeleteAccountPasswordPolicy", json!({}), "NoSuchEntity"),
    ] {
        assert_eq!(call(operation, input).await.unwrap_err().code, code, "{operation}");
    }
    for (operation, input) in [
        ("RemoveUserFromGroup", json!({"UserName": "v", "GroupName": "g"})),
        ("DeleteUserPolicy", json!({"UserName": "v", "PolicyName": "p"})),
        (
            "DeleteAccessKey",
            json!({"UserName": "v", "AccessKeyId": key["AccessKeyId"]}),
        ),
        ("DeleteUser", json!({"UserName": "v"})),
        ("DeleteGroup", json!({"GroupName": "g"})),
    ] {
        call(operation, input)
            .await
            .unwrap_or_else(|error| panic!("{operation}: {error}"));
    }
}

#[tokio::test]
async fn a_policy_is_refused_with_the_first_of_its_violations() {
    let (cx, _folder) = context_with(vec![super::service()]);
    let bucket = "arn:aws:s3:::bucket";
    for (statement, message) in [
        (json!([]), "Syntax errors in policy."),
        (
            json!({"Effect": "Allow", "Action": "s3:Get", "NotAction": "s3:Put", "Resource": bucket}),
            "Syntax errors in policy.",
        ),
        (
            json!({"Effect": "allow", "Action": "s3:Get", "Resource": bucket}),
            "The policy failed legacy parsing",
        ),
        (
            json!({"Effect": "Allow", "Resource": bucket}),
            "Policy statement must contain actions.",
        ),
        (
            json!({"Effect": "Allow", "Action": "s3:Get"}),
            "Policy statement must contain resources.",
        ),
        (
            json!({"Effect": "Allow", "Action": "s3:a:b", "Resource": "bucket"}),
            "Resource bucket must be in ARN format or \"*\".",
        ),
        (
            json!({"Effect": "Allow", "Action": "s3:a:b", "Resource": bucket}),
            "Actions/Condition can contain only one colon.",
        ),
        (
            json!({"Effect": "Allow", "Action": "s3:Get", "Resource": "arn:other:s3:::bucket"}),
            "Partition \"other\" is not valid for resource \"arn:other:s3:::bucket\".",
        ),
        (
            json!({"Effect": "Allow", "Action": "s3:Get", "Resource": bucket, "Condition": {"Unknown": {"a": "b"}}}),
            "Syntax errors in policy.",
        ),
    ] {
        let document = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
        let input = json!({"PolicyName": "p", "PolicyDocument": document});
        let error = cx.call("iam", "CreatePolicy", input).await.unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.message.as_str()),
            ("MalformedPolicyDocument", message)
        );
    }
}

#[tokio::test]
async fn a_role_is_assumed_if_its_trust_policy_allows_the_account() {
    let (cx, _folder) = context_with(vec![super::service(), crate::service::sts::service()]);
    for (name, principal) in [
        ("open", json!({"AWS": "arn:aws:iam::000000000000:root"})),
        ("tasks", json!({"Service": "ecs-tasks.amazonaws.com"})),
    ] {
        let role = json!({"RoleName": name, "AssumeRolePolicyDocument": trust(principal)});
        cx.call("iam", "CreateRole", role).await.unwrap();
    }
    // As the roles of the AWS CDK: by this account, and for nobody else.
    let mut document: Value = serde_json::from_str(&trust(json!({"AWS": "000000000000"}))).unwrap();
    document["Statement"][0]["Condition"] = json!({"Null": {"sts:ExternalId": "true"}});
    let role = json!({"RoleName": "cdk", "AssumeRolePolicyDocument": document.to_string()});
    cx.call("iam", "CreateRole", role).await.unwrap();
    let assume = async |name: &str, seconds: &str| {
        let role = format!("arn:aws:iam::000000000000:role/{name}");
        let input = json!({"RoleArn": role, "RoleSessionName": "session", "DurationSeconds": seconds});
        cx.call("sts", "AssumeRole", input).await
    };
    let assumed = assume("open", "900").await.unwrap();
    assert_eq!(
        assumed["AssumedRoleUser"]["Arn"],
        "arn:aws:sts::000000000000:assumed-role/open/session"
    );
    assert!(assumed["Credentials"]["SessionToken"].is_string());
    assert_eq!(assume("tasks", "900").await.unwrap_err().code, "AccessDenied");
    assert_eq!(assume("none", "900").await.unwrap_err().code, "AccessDenied");
    assert_eq!(assume("open", "60").await.unwrap_err().code, "ValidationError");
    assert!(assume("cdk", "900").await.is_ok());
    let external =
        json!({"RoleArn": "arn:aws:iam::000000000000:role/cdk", "RoleSessionName": "session", "ExternalId": "id"});
    let refused = cx.call("sts", "AssumeRole", external).await.unwrap_err();
    assert_eq!(refused.code, "AccessDenied");
}
