//! The two roles of a service: what ECS needs to start its tasks, and what the code itself may do.

use serde_json::{Value, json};

use super::Parts;
use crate::manifest::KafkaSecurity;
use crate::stacks::{iam, links, messaging};
use cfn::template::{Handle, Resource, sub};

/// For the code: only what its links ask of AWS, which for plain Kafka is nothing.
pub fn task(parts: &mut Parts) -> Handle {
    let role = Resource::new("AWS::IAM::Role").with("AssumeRolePolicyDocument", iam::trust("ecs-tasks.amazonaws.com"));
    let statements = kafka_statements(parts);
    let role = match statements.is_empty() {
        true => role,
        false => role.with("Policies", json!([iam::policy("links", statements)])),
    };
    parts.template.add("TaskRole", role)
}

/// For ECS: pull this image, write this log, read these secrets.
pub fn execution(parts: &mut Parts, logs: &Handle, secrets: &[(String, Value)]) -> Handle {
    let mut statements = pull(parts);
    statements.push(iam::allow(
        &["logs:CreateLogStream", "logs:PutLogEvents"],
        logs.attribute("Arn"),
    ));
    let mut readable: Vec<Value> = secrets.iter().map(|(_, arn)| arn.clone()).collect();
    if let Some(([_, _, credentials], _)) = parts.database() {
        readable.push(credentials);
    }
    if !readable.is_empty() {
        statements.push(iam::allow(&["secretsmanager:GetSecretValue"], readable.into()));
        if let Some(key) = parts.key() {
            statements.push(iam::decrypt(&key, "secretsmanager"));
        }
    }
    let role = Resource::new("AWS::IAM::Role")
        .with("AssumeRolePolicyDocument", iam::trust("ecs-tasks.amazonaws.com"))
        .with("Policies", json!([iam::policy("start-tasks", statements)]));
    parts.template.add("ExecutionRole", role)
}

/// What pulling the image asks of ECR; nothing when it lies in another registry.
fn pull(parts: &Parts) -> Vec<Value> {
    let repository = match &parts.service.image {
        None => Some(format!(
            "arn:${{AWS::Partition}}:ecr:${{AWS::Region}}:${{AWS::AccountId}}:repository/{}/{}",
            parts.manifest.prefix(),
            parts.service.name
        )),
        Some(image) => repository_of(image),
    };
    let Some(repository) = repository else {
        return Vec::new();
    };
    vec![
        // the action knows no resource (Amazon ECR: actions, resources and condition keys)
        iam::allow(&["ecr:GetAuthorizationToken"], "*".into()),
        iam::allow(
            &[
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ],
            sub(&repository, []),
        ),
    ]
}

/// The ARN of the repository of `ACCOUNT.dkr.ecr.REGION.…/NAME:TAG`; none when it is no private ECR repository.
fn repository_of(image: &str) -> Option<String> {
    let image: oci_spec::distribution::Reference = image.parse().ok()?;
    let (account, rest) = image.registry().split_once(".dkr.ecr.")?;
    let region = rest.split('.').next()?;
    let name = image.repository();
    Some(format!(
        "arn:${{AWS::Partition}}:ecr:{region}:{account}:repository/{name}"
    ))
}

/// Topics and groups by name, inside this very cluster (Amazon MSK: IAM access control, semantics of actions).
fn kafka_statements(parts: &mut Parts) -> Vec<Value> {
    let (manifest, service) = (parts.manifest, parts.service);
    let uses_iam = manifest
        .kafka
        .as_ref()
        .is_some_and(|kafka| kafka.security == KafkaSecurity::MskIam);
    if !uses_iam || !service.uses_kafka() || !links::has_cluster(manifest) {
        return Vec::new();
    }
    let cluster = parts.output_of(messaging::CLUSTER, "String", "The Kafka cluster", "messaging");
    // arn:…:cluster/NAME/UUID
    let uuid = json!({ "Fn::Select": [2, { "Fn::Split": ["/", cluster.clone()] }] });
    let inside = |kind: &str, name: &str| {
        let arn = format!(
            "arn:${{AWS::Partition}}:kafka:${{AWS::Region}}:${{AWS::AccountId}}:{kind}/{}/${{Uuid}}/{name}",
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
            topics(&service.publishes),
        ));
    }
    if !service.consumes.is_empty() {
        statements.push(iam::allow(
            &["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"],
            topics(&service.consumes),
        ));
        statements.push(iam::allow(
            &["kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup"],
            inside("group", &service.name),
        ));
    }
    statements.insert(0, iam::allow(&of_cluster, cluster));
    statements
}
