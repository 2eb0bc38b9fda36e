//! The two roles of a service: the execution role, with which ECS starts its tasks, and the task role of its code.

use serde_json::{Value, json};

use super::Builder;
use crate::manifest::KafkaSecurity;
use crate::stacks::{iam, links, messaging};
use cfn::template::{Handle, Resource, sub};

/// Adds the task role: the permissions that the service's links require.
pub fn task(builder: &mut Builder) -> Handle {
    let role = Resource::new("AWS::IAM::Role").with("AssumeRolePolicyDocument", iam::trust("ecs-tasks.amazonaws.com"));
    let mut statements = kafka_statements(builder);
    statements.extend(database_statements(builder));
    let role = if statements.is_empty() {
        role
    } else {
        role.with("Policies", json!([iam::policy("links", &statements)]))
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
    let role = Resource::new("AWS::IAM::Role")
        .with("AssumeRolePolicyDocument", iam::trust("ecs-tasks.amazonaws.com"))
        .with("Policies", json!([iam::policy("start-tasks", &statements)]));
    builder.template.add("ExecutionRole", role)
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
