//! The resource types of a plan that an endpoint does not support.

use std::collections::BTreeSet;

use aws::cloudformation::{TemplateKey, upload_template, validate_template};
use aws::{Endpoint, EndpointKind, Session};
use futures::future::try_join_all;
use platform::stacks::{Plan, Stack};
use serde_json::Value;

use super::Result;

/// The name of the service behind a type in LocalStack's health document.
const SERVICES: [(&str, &str); 12] = [
    ("AWS::ApplicationAutoScaling::", "application-autoscaling"),
    ("AWS::CloudWatch::", "cloudwatch"),
    ("AWS::EC2::", "ec2"),
    ("AWS::ECR::", "ecr"),
    ("AWS::ECS::", "ecs"),
    ("AWS::ElasticLoadBalancingV2::", "elbv2"),
    ("AWS::IAM::", "iam"),
    ("AWS::Logs::", "logs"),
    ("AWS::MSK::", "kafka"),
    ("AWS::RDS::", "rds"),
    ("AWS::SecretsManager::", "secretsmanager"),
    ("AWS::ServiceDiscovery::", "servicediscovery"),
];

/// Returns the unsupported types, before anything is created. [`super::unbacked`] finds those of an endpoint that accepts every type.
pub async fn unsupported_types(aws: &Session, plan: &Plan) -> Result<BTreeSet<String>> {
    let mut types = unlisted_types(aws.endpoint(), plan);
    let platform = format!("{}-{}", plan.project, plan.environment);
    let rejected = plan.stacks.iter().map(|stack| rejected_types(aws, &platform, stack));
    types.extend(try_join_all(rejected).await?.into_iter().flatten());
    Ok(types)
}

/// Returns the types of services that LocalStack's image or license does not have.
pub fn unlisted_types(endpoint: &Endpoint, plan: &Plan) -> BTreeSet<String> {
    if endpoint.kind != EndpointKind::LocalStack {
        return BTreeSet::new();
    }
    let is_unlisted = |resource_type: &&str| {
        let service = SERVICES.iter().find(|(prefix, _)| resource_type.starts_with(prefix));
        service.is_some_and(|(_, name)| endpoint.lists(name) == Some(false))
    };
    let types = plan.stacks.iter().flat_map(|stack| types(&stack.template));
    types.filter(is_unlisted).map(str::to_owned).collect()
}

/// Returns the types that the endpoint rejects when it validates a template.
async fn rejected_types(aws: &Session, platform: &str, stack: &Stack) -> Result<Vec<String>> {
    let key = TemplateKey {
        platform,
        stack: &stack.name,
    };
    let uploaded = upload_template(aws, key, &stack.template.to_string()).await?;
    match validate_template(aws, uploaded).await {
        Ok(()) => Ok(Vec::new()),
        // An endpoint that cannot validate a template may still create a change set.
        Err(aws::Error::Service { message, .. }) => Ok(unrecognized_types(&message)),
        Err(aws::Error::InvalidResponse { .. } | aws::Error::NoResponse { .. } | aws::Error::Unsupported { .. }) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads the types of `Template format error: Unrecognized resource types: [A, B]`, CloudFormation's message.
fn unrecognized_types(message: &str) -> Vec<String> {
    let list = message.split_once("Unrecognized resource types: [");
    let list = list.and_then(|(_, rest)| rest.split_once(']'));
    let names = list.map_or("", |(names, _)| names).split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn types(template: &Value) -> impl Iterator<Item = &str> {
    let resources = template["Resources"].as_object().into_iter().flatten();
    resources.filter_map(|(_, resource)| resource["Type"].as_str())
}
