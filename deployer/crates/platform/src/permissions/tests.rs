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
    let statements = statements(&plan_of("prod").1, Principal::Caller, Some("eu-central-1"));
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
    assert_eq!((regional("Rds"), regional("IamRoles")), (Some("eu-central-1"), None));
}

#[test]
fn roles_are_passed_only_to_the_services_that_assume_them() {
    let statements = statements(&plan_of("dev").1, Principal::Caller, None);
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
    let statements = statements(&plan_of("prod").1, Principal::Caller, Some("us-east-1"));
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

fn plan_with(change: impl FnOnce(&mut crate::manifest::Account)) -> Plan {
    let (mut manifest, _) = plan_of("prod");
    change(&mut manifest.account);
    crate::stacks::plan(&manifest)
}

fn statement<'a>(statements: &'a [Value], action: &str) -> &'a Value {
    let found = statements
        .iter()
        .find(|one| actions(std::slice::from_ref(*one)).contains(action));
    found.unwrap_or_else(|| panic!("{action} is missing"))
}

#[test]
fn what_services_do_in_the_callers_name_is_allowed_for_every_resource_of_the_templates() {
    for environment in ["dev", "prod"] {
        let (_, plan) = plan_of(environment);
        let statements = statements(&plan, Principal::Caller, Some("eu-central-1"));
        let allowed = actions(&statements);
        for resource in resources_of(&plan) {
            for row in FORWARDED.iter().filter(|row| applies(row, resource)) {
                for action in row.actions {
                    assert!(
                        allowed.contains(*action),
                        "{}: {action} ({})",
                        row.resource_type,
                        row.source
                    );
                }
            }
        }
    }
}

#[test]
fn a_secret_under_a_customer_key_is_encrypted_and_decrypted_through_secrets_manager_alone() {
    let (_, plan) = plan_of("prod");
    let has_key = |kind: &str, path: &str| {
        resources_of(&plan).any(|one| one["Type"] == kind && one["Properties"].pointer(path).is_some())
    };
    assert!(has_key("AWS::SecretsManager::Secret", "/KmsKeyId"));
    assert!(has_key("AWS::RDS::DBInstance", "/MasterUserSecret/KmsKeyId"));
    let statements = statements(&plan, Principal::Caller, Some("eu-central-1"));
    for action in ["kms:Decrypt", "kms:GenerateDataKey"] {
        let via = &statement(&statements, action)["Condition"]["StringLike"]["kms:ViaService"];
        assert_eq!(via, "secretsmanager.eu-central-1.amazonaws.com");
    }
}

#[test]
fn a_service_creates_its_own_linked_role_and_no_other() {
    let statements = statements(&plan_of("prod").1, Principal::Caller, None);
    let linked = statement(&statements, "iam:CreateServiceLinkedRole");
    let services = linked["Condition"]["StringEquals"]["iam:AWSServiceName"].to_string();
    insta::assert_snapshot!(services, @r#"["delivery.logs.amazonaws.com","ecs.amazonaws.com","ecs.application-autoscaling.amazonaws.com","elasticloadbalancing.amazonaws.com","kafka.amazonaws.com","kafka.application-autoscaling.amazonaws.com","rds.amazonaws.com"]"#);
}

/// Actions that can give rights to others, or that reach what belongs to another platform.
#[test]
fn actions_are_limited_to_the_names_of_the_environment() {
    let plan = plan_with(|account| account.id = Some("111122223333".into()));
    let statements = statements(&plan, Principal::Caller, Some("eu-central-1"));
    for (action, arn) in [
        (
            "cloudformation:ExecuteChangeSet",
            "arn:aws:cloudformation:eu-central-1:111122223333:stack/shop-prod-*/*",
        ),
        (
            "cloudwatch:PutDashboard",
            "arn:aws:cloudwatch::111122223333:dashboard/shop-prod*",
        ),
        (
            "cloudwatch:PutMetricAlarm",
            "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:shop-prod-*",
        ),
        (
            "ecr:PutImage",
            "arn:aws:ecr:eu-central-1:111122223333:repository/shop-prod/*",
        ),
        (
            "ecs:UpdateService",
            "arn:aws:ecs:eu-central-1:111122223333:cluster/shop-prod",
        ),
        ("iam:CreateRole", "arn:aws:iam::111122223333:role/shop-prod-*"),
        ("iam:PassRole", "arn:aws:iam::111122223333:role/shop-prod-*"),
        (
            "logs:DeleteLogGroup",
            "arn:aws:logs:eu-central-1:111122223333:log-group:/ecs/shop-prod/*",
        ),
        ("s3:PutBucketPolicy", "arn:aws:s3:::shop-prod-*"),
        ("sns:CreateTopic", "arn:aws:sns:eu-central-1:111122223333:shop-prod-*"),
        (
            "ssm:PutParameter",
            "arn:aws:ssm:eu-central-1:111122223333:parameter/deployer/shop-prod",
        ),
    ] {
        let resources = &statement(&statements, action)["Resource"];
        assert_eq!(resources.get(0).unwrap_or(resources), arn, "{action}");
    }
    let values = &statement(&statements, "secretsmanager:GetSecretValue")["Condition"]["StringLike"];
    assert_eq!(values["aws:ResourceTag/aws:cloudformation:stack-name"], "shop-prod-*");
    let topics = statement(&statements, "kafka-cluster:CreateTopic");
    assert_eq!(topics["Condition"], Value::Null);
}

#[test]
fn the_permissions_boundary_is_on_every_role_and_a_condition_of_its_policies() {
    let boundary = "arn:aws:iam::111122223333:policy/boundary";
    let plan = plan_with(|account| account.permissions_boundary = Some(boundary.into()));
    let roles: Vec<&Value> = resources_of(&plan)
        .filter(|one| one["Type"] == "AWS::IAM::Role")
        .collect();
    assert!(!roles.is_empty());
    for role in roles {
        assert_eq!(role["Properties"]["PermissionsBoundary"], boundary);
    }
    let statements = statements(&plan, Principal::Caller, None);
    for action in BOUNDED {
        let condition = &statement(&statements, &format!("iam:{action}"))["Condition"]["StringEquals"];
        assert_eq!(condition["iam:PermissionsBoundary"], boundary, "{action}");
    }
    assert!(!actions(&statements).contains("iam:DeleteRolePermissionsBoundary"));
}

#[test]
fn with_a_role_for_cloudformation_the_caller_creates_no_resource_and_passes_that_role_alone() {
    let role = "arn:aws:iam::111122223333:role/cloudformation";
    let plan = plan_with(|account| account.cloudformation_role = Some(role.into()));
    let caller = statements(&plan, Principal::Caller, None);
    assert!(!actions(&caller).contains("rds:CreateDBInstance"));
    assert!(!actions(&caller).contains("iam:CreateRole"));
    assert!(actions(&caller).contains("cloudformation:CreateChangeSet"));
    let pass = statement(&caller, "iam:PassRole");
    assert_eq!(pass["Resource"], role);
    assert_eq!(
        pass["Condition"]["StringEquals"]["iam:PassedToService"],
        serde_json::json!(["cloudformation.amazonaws.com"])
    );
    let service = actions(&statements(&plan, Principal::CloudFormationRole, None));
    assert!(service.contains("rds:CreateDBInstance") && service.contains("iam:CreateRole"));
    assert!(!service.contains("cloudformation:CreateChangeSet"));
}

/// CloudFormation reads a large template with the caller's rights, whatever role it works with (AWS CloudFormation User Guide: "AWS
/// CloudFormation service role"; the role makes "calls to resources in a stack").
#[test]
fn only_the_caller_may_use_the_bucket_of_templates() {
    let templates = "arn:aws:s3:::deployer-templates-*-eu-central-1/*";
    let of_stacks = "arn:aws:s3:::shop-prod-*";
    let buckets = |plan: &Plan, principal| -> Vec<String> {
        let statements = statements(plan, principal, Some("eu-central-1"));
        let all = statement(&statements, "s3:CreateBucket")["Resource"]
            .as_array()
            .cloned();
        all.into_iter()
            .flatten()
            .filter_map(|arn| arn.as_str().map(str::to_owned))
            .collect()
    };
    let has = |all: &[String], arn: &str| all.iter().any(|one| one == arn);
    let alone = buckets(&plan_of("prod").1, Principal::Caller);
    assert!(has(&alone, templates) && has(&alone, of_stacks));
    let role = "arn:aws:iam::111122223333:role/cloudformation";
    let plan = plan_with(|account| account.cloudformation_role = Some(role.into()));
    let caller = buckets(&plan, Principal::Caller);
    assert!(has(&caller, templates) && !has(&caller, of_stacks));
    let service = buckets(&plan, Principal::CloudFormationRole);
    assert!(!has(&service, templates) && has(&service, of_stacks));
}

#[test]
fn an_action_is_one_of_iam() {
    for environment in ["dev", "prod"] {
        let statements = statements(&plan_of(environment).1, Principal::Caller, None);
        for action in actions(&statements) {
            let name = action.split_once(':').expect("a service and a name").1;
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{action}");
        }
    }
}

#[test]
fn in_an_existing_network_no_part_of_one_may_be_created_or_deleted() {
    let (mut manifest, plan) = plan_of("prod");
    let of = |plan: &Plan| actions(&statements(plan, Principal::Caller, Some("eu-central-1")));
    let before = of(&plan);
    crate::testing::move_to_existing_network(&mut manifest);
    let after = of(&crate::stacks::plan(&manifest));
    for part in ["Vpc", "Subnet", "NatGateway", "InternetGateway", "RouteTable", "Route"] {
        for action in [format!("ec2:Create{part}"), format!("ec2:Delete{part}")] {
            assert!(before.contains(&action), "{action}");
            assert!(!after.contains(&action), "{action}");
        }
    }
    for action in [
        "ec2:CreateSecurityGroup",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcAttribute",
        "ec2:DescribeVpcEndpoints",
    ] {
        assert!(after.contains(action), "{action}");
    }
}
