//! Which resource types of a plan an endpoint does not know.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use serde_json::Value;

use super::identity::{Identity, Kind};
use crate::cloudformation::handover::{self, Label};
use crate::error::{Error, Result};
use crate::stacks::{Plan, Stack};
use crate::target::Aws;

/// The name that LocalStack's health document has for the service behind a type.
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

/// Asks before anything is made. An endpoint that accepts whatever it is given is found out afterwards, by
/// [`super::hollow`].
pub async fn unknown(aws: &Aws, plan: &Plan) -> Result<BTreeSet<String>> {
    let mut unknown = unlisted(&aws.endpoint, plan);
    let platform = format!("{}-{}", plan.project, plan.environment);
    let refused = try_join_all(plan.stacks.iter().map(|stack| refused(aws, &platform, stack))).await?;
    unknown.extend(refused.into_iter().flatten());
    Ok(unknown)
}

/// The types of services that LocalStack's image or plan does not have.
pub fn unlisted(endpoint: &Identity, plan: &Plan) -> BTreeSet<String> {
    if endpoint.kind != Kind::LocalStack {
        return BTreeSet::new();
    }
    let is_missing = |kind: &&str| {
        let service = SERVICES.iter().find(|(begin, _)| kind.starts_with(begin));
        service.is_some_and(|(_, name)| endpoint.lists(name) == Some(false))
    };
    let types = plan.stacks.iter().flat_map(|stack| types(&stack.template));
    types.filter(is_missing).map(str::to_owned).collect()
}

/// The types that the endpoint names when it is asked whether a template is valid.
async fn refused(aws: &Aws, platform: &str, stack: &Stack) -> Result<Vec<String>> {
    let label = Label {
        platform,
        stack: &stack.name,
    };
    let sent = handover::send(aws, label, &stack.template.to_string()).await?;
    match handover::validate(aws, sent).await {
        Ok(()) => Ok(Vec::new()),
        Err(Error::Aws { message, .. }) if named(&message).is_some() => Ok(named(&message).unwrap_or_default()),
        // Who cannot say, says nothing: the change set will.
        Err(Error::Aws { .. } | Error::Unsupported { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// `Template format error: Unrecognized resource types: [A, B]`, as CloudFormation and its better imitations say it.
pub fn named(message: &str) -> Option<Vec<String>> {
    let (_, list) = message.split_once("Unrecognized resource types: [")?;
    let (list, _) = list.split_once(']')?;
    Some(list.split(',').map(|name| name.trim().to_owned()).collect())
}

fn types(template: &Value) -> impl Iterator<Item = &str> {
    let resources = template["Resources"].as_object().into_iter().flatten();
    resources.filter_map(|(_, resource)| resource["Type"].as_str())
}
