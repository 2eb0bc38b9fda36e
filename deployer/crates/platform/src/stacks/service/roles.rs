//! The two roles of a service: the execution role, with which ECS starts its tasks, and the task role of its code.

use serde_json::{Value, json};

use super::Builder;
use crate::manifest::{KafkaSecurity, Permission, SecretSource, Service};
use crate::stacks::{iam, links, messaging};
use cfn::template::{Handle, Resource, sub};

/// Adds the task role: the permissions that the service's links require.
pub fn task(builder: &mut Builder) -> Handle {
    let role = Resource::new("AWS::IAM::Role").with("AssumeRolePolicyDocument", iam::trust("ecs-tasks.amazonaws.com"));
    let mut links = kafka_statements(builder);
    links.extend(database_statements(builder));
    let own = own_statements(builder.service);
    let policies: Vec<Value> = [("links", links), ("permissions", own)]
        .into_iter()
        .filter(|(_, statements)| !statements.is_empty())
        .map(|(name, statements)| iam::policy(name, &statements))
        .collect();
    let role = if policies.is_empty() {
        role
    } else {
        role.with("Policies", policies)
    };
    builder.template.add("TaskRole", role)
}

/// Returns the statements to read the secret of the service's database: RDS rotates the password every seven days, and a
/// running task reads the new one (Amazon RDS User Guide: "Password management with Amazon RDS and AWS Secrets Manager").
fn database_statements(builder: &mut Builder) -> Vec<Value> {
    let Some(([_, _, credentials], _)) = builder.database() else {
        return Vec::new();
    };
    let key = builder.key().map(|key| iam::decrypt(&key, "secretsmanager"));
    let read = iam::allow(&["secretsmanager:GetSecretValue"], &credentials);
    std::iter::once(read).chain(key).collect()
}

/// Returns the statements of the manifest's `permissions`.
fn own_statements(service: &Service) -> Vec<Value> {
    let statement = |permission: &Permission| {
        let actions: Vec<&str> = permission.actions.iter().map(String::as_str).collect();
        let reference = |arn: &String| {
            if arn.contains("${") {
                sub(arn, [])
            } else {
                arn.clone().into()
            }
        };
        let arns: Value = permission.resources.iter().map(reference).collect();
        iam::allow(&actions, &arns)
    };
    service.permissions.iter().map(statement).collect()
}

/// Returns the statements to read the existing secrets (Amazon ECS Developer Guide: "Pass sensitive data to an Amazon ECS container",
/// required IAM permissions).
fn existing_secrets(service: &Service) -> Vec<Value> {
    let mut statements = Vec::new();
    for secret in &service.existing_secrets {
        let (action, arn, through) = match &secret.source {
            SecretSource::SecretsManager { arn, .. } => {
                ("secretsmanager:GetSecretValue", arn.clone().into(), "secretsmanager")
            }
            SecretSource::Parameter { name } => ("ssm:GetParameters", parameter_arn(name), "ssm"),
        };
        statements.push(iam::allow(&[action], &arn));
        if let Some(key) = &secret.kms_key {
            statements.push(iam::decrypt(&key.clone().into(), through));
        }
    }
    statements
}

/// Returns the ARN of a parameter in the deployment's account and region.
pub fn parameter_arn(name: &str) -> Value {
    let slash = if name.starts_with('/') { "" } else { "/" };
    let arn = format!("arn:${{AWS::Partition}}:ssm:${{AWS::Region}}:${{AWS::AccountId}}:parameter{slash}{name}");
    sub(&arn, [])
}

/// Adds the execution role: pull this image, write this log, read these secrets.
pub fn execution(builder: &mut Builder, logs: &Handle, secrets: &[(String, Value)]) -> Handle {
    let mut statements = pull(builder);
    statements.push(iam::allow(
        &["logs:CreateLogStream", "logs:PutLogEvents"],
        &logs.attribute("Arn"),
    ));
    let mut readable: Vec<Value> = secrets.iter().map(|(_, arn)| arn.clone()).collect();
    if let Some(([_, _, credentials], _)) = builder.database() {
        readable.push(credentials);
    }
    if !readable.is_empty() {
        statements.push(iam::allow(&["secretsmanager:GetSecretValue"], &readable.into()));
        if let Some(key) = builder.key() {
            statements.push(iam::decrypt(&key, "secretsmanager"));
        }
    }
    statements.extend(existing_secrets(builder.service));
    let role = Resource::new("AWS::IAM::Role")
        .with("AssumeRolePolicyDocument", iam::trust("ecs-tasks.amazonaws.com"))
        .with("Policies", json!([iam::policy("start-tasks", &statements)]));
    builder.template.add("ExecutionRole", role)
}

/// Adds the role with which ECS moves requests between two target groups. AWS's policy is taken whole, so that it follows what
/// ECS needs (Amazon ECS Developer Guide: "Amazon ECS infrastructure IAM role for load balancers").
pub fn traffic_shift(builder: &mut Builder) -> Handle {
    let policy = "arn:${AWS::Partition}:iam::aws:policy/AmazonECSInfrastructureRolePolicyForLoadBalancers";
    // AWS documents this trust without a condition on the account, and not whether ECS would pass one.
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": { "Service": "ecs.amazonaws.com" }, "Action": "sts:AssumeRole",
        }],
    });
    let role = Resource::new("AWS::IAM::Role")
        .with("AssumeRolePolicyDocument", trust)
        .with("ManagedPolicyArns", json!([sub(policy, [])]));
    builder.template.add("TrafficShiftRole", role)
}

/// Returns the statements to pull the image from ECR; none for another registry.
fn pull(builder: &Builder) -> Vec<Value> {
    let repository = match &builder.service.image {
        None => Some(format!(
            "arn:${{AWS::Partition}}:ecr:${{AWS::Region}}:${{AWS::AccountId}}:repository/{}/{}",
            builder.manifest.prefix(),
            builder.service.name
        )),
        Some(image) => repository_of(image),
    };
    let Some(repository) = repository else {
        return Vec::new();
    };
    vec![
        // The action has no resource (Amazon ECR: actions, resources and condition keys).
        iam::allow(&["ecr:GetAuthorizationToken"], &"*".into()),
        iam::allow(
            &[
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ],
            &sub(&repository, []),
        ),
    ]
}

/// Returns the ARN of the repository of `ACCOUNT.dkr.ecr.REGION.…/NAME:TAG`; `None` for another registry.
fn repository_of(image: &str) -> Option<String> {
    let image: oci_spec::distribution::Reference = image.parse().ok()?;
    let (account, rest) = image.registry().split_once(".dkr.ecr.")?;
    let region = rest.split('.').next()?;
    let name = image.repository();
    Some(format!(
        "arn:${{AWS::Partition}}:ecr:{region}:{account}:repository/{name}"
    ))
}

/// Returns statements on topics and groups by name, in this cluster alone (Amazon MSK: IAM access control, semantics of
/// actions).
fn kafka_statements(builder: &mut Builder) -> Vec<Value> {
    let (manifest, service) = (builder.manifest, builder.service);
    let uses_iam = manifest
        .kafka
        .as_ref()
        .is_some_and(|kafka| kafka.security == KafkaSecurity::MskIam);
    if !uses_iam || !service.uses_kafka() || !links::has_cluster(manifest) {
        return Vec::new();
    }
    let cluster = builder.output_of(messaging::CLUSTER, "String", "The Kafka cluster", "messaging");
    // arn:…:cluster/NAME/UUID
    let uuid = json!({ "Fn::Select": [2, { "Fn::Split": ["/", cluster.clone()] }] });
    let inside = |resource: &str, name: &str| {
        let arn = format!(
            "arn:${{AWS::Partition}}:kafka:${{AWS::Region}}:${{AWS::AccountId}}:{resource}/{}/${{Uuid}}/{name}",
            manifest.prefix()
        );
        sub(&arn, [("Uuid", uuid.clone())])
    };
    let topics = |names: &[String]| names.iter().map(|name| inside("topic", name)).collect::<Value>();
    let mut of_cluster = vec!["kafka-cluster:Connect"];
    let mut statements = Vec::new();
    if !service.publishes.is_empty() {
        of_cluster.push("kafka-cluster:WriteDataIdempotently");
        statements.push(iam::allow(
            &["kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"],
            &topics(&service.publishes),
        ));
    }
    if !service.consumes.is_empty() {
        statements.push(iam::allow(
            &["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"],
            &topics(&service.consumes),
        ));
        statements.push(iam::allow(
            &["kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup"],
            &inside("group", &service.name),
        ));
    }
    statements.insert(0, iam::allow(&of_cluster, &cluster));
    statements
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::ExistingSecret;
    use crate::testing::plan_of;

    const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:token-a1B2c3";
    const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/1";

    /// Returns the resources of `web`'s stack after a change of the service.
    fn web(change: impl FnOnce(&mut Service)) -> Value {
        let (mut manifest, _) = plan_of("dev");
        let web = manifest.services.iter_mut().find(|service| service.name == "web");
        change(web.expect("the service"));
        let plan = crate::stacks::plan(&manifest);
        plan.stack("web").expect("its stack").template["Resources"].clone()
    }

    fn statements(resources: &Value, role: &str) -> Vec<Value> {
        let policies = resources[role]["Properties"]["Policies"].as_array();
        let documents = policies
            .into_iter()
            .flatten()
            .map(|policy| &policy["PolicyDocument"]["Statement"]);
        documents.filter_map(Value::as_array).flatten().cloned().collect()
    }

    #[test]
    fn the_permissions_of_a_service_are_statements_of_its_task_role() {
        let queue = "arn:aws:sqs:${AWS::Region}:${AWS::AccountId}:mails";
        let resources = web(|web| {
            web.permissions.push(Permission {
                actions: vec!["s3:GetObject".into(), "s3:PutObject".into()],
                resources: vec!["arn:aws:s3:::reports/*".into(), queue.into()],
            });
        });
        let expected = json!({
            "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": ["arn:aws:s3:::reports/*", { "Fn::Sub": queue }],
        });
        assert_eq!(statements(&resources, "TaskRole"), [expected]);
    }

    #[test]
    fn existing_secrets_are_read_by_the_execution_role_and_passed_by_ecs() {
        let secret = |variable: &str, source: SecretSource, kms_key: Option<&str>| ExistingSecret {
            variable: variable.into(),
            source,
            kms_key: kms_key.map(str::to_owned),
        };
        let resources = web(|web| {
            let (arn, json_key) = (SECRET.into(), Some("token".into()));
            let manager = SecretSource::SecretsManager { arn, json_key };
            web.existing_secrets.push(secret("TOKEN", manager, Some(KEY)));
            let name = "/team/password".into();
            web.existing_secrets
                .push(secret("PASSWORD", SecretSource::Parameter { name }, None));
        });
        let parameter = parameter_arn("/team/password");
        let container = &resources["TaskDefinition"]["Properties"]["ContainerDefinitions"][0];
        let secrets = container["Secrets"].as_array().expect("secrets");
        for (variable, from) in [
            ("TOKEN", json!(format!("{SECRET}:token::"))),
            ("PASSWORD", parameter.clone()),
        ] {
            assert!(
                secrets.contains(&json!({ "Name": variable, "ValueFrom": from })),
                "{variable}"
            );
        }
        let statements = statements(&resources, "ExecutionRole");
        for (action, resource) in [
            ("secretsmanager:GetSecretValue", json!(SECRET)),
            ("ssm:GetParameters", parameter),
        ] {
            let expected = json!({ "Effect": "Allow", "Action": [action], "Resource": resource });
            assert!(statements.contains(&expected), "{action}");
        }
        assert!(statements.contains(&iam::decrypt(&json!(KEY), "secretsmanager")));
    }
}
