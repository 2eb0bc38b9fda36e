//! Capacity providers of clusters, and capacity provider strategies of services and tasks.
//!
//! All providers are this machine. Strategies are checked as Amazon ECS checks them.

use serde_json::{Value, json};

use super::error::invalid_parameter;
use super::members::{list, text};
use super::model::{self, CAPACITY_PROVIDER_ASSOCIATIONS};
use super::spec::ServiceSpec;
use crate::records::texts;
use crate::service::Call;
use crate::{AwsError, Context};

/// Returns the capacity provider strategy that a service or a task asks for, or `None` if it asks for none.
///
/// # Errors
/// `InvalidParameterException` for a strategy beside a launch type, and for a provider that the cluster does not have.
pub fn strategy(cx: &Context, input: &Value) -> Result<Option<Value>, AwsError> {
    let strategy = list(input, "capacityProviderStrategy");
    if strategy.is_empty() {
        return Ok(None);
    }
    if input.get("launchType").is_some() {
        return Err(invalid_parameter(
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.",
        ));
    }
    let known = of_cluster(cx, text(input, "cluster"))?;
    for item in strategy {
        let provider = text(item, "capacityProvider").unwrap_or_default();
        if !known.iter().any(|name| name == provider) {
            return Err(invalid_parameter(format!(
                "The specified capacity provider strategy contains the capacity provider {provider} that is not \
                 associated with the cluster. Associate the capacity provider with the cluster and try again."
            )));
        }
    }
    Ok(Some(json!(strategy)))
}

/// The capacity providers of Fargate, which every account has.
pub const FARGATE: [&str; 2] = ["FARGATE", "FARGATE_SPOT"];

/// `DescribeCapacityProviders`.
pub fn describe(cx: &Context, call: &Call) -> Value {
    let names = call.texts("capacityProviders");
    let short = |name: &String| name.rsplit('/').next().unwrap_or_default().to_owned();
    let asked: Vec<String> = names.iter().map(short).collect();
    let found = FARGATE
        .iter()
        .filter(|name| asked.is_empty() || asked.iter().any(|one| one == *name));
    let found: Vec<Value> = found
        .map(|name| {
            json!({
                "capacityProviderArn": cx.arn("ecs", &format!("capacity-provider/{name}")), "name": name,
                "status": "ACTIVE", "tags": [],
            })
        })
        .collect();
    let missing = asked.iter().filter(|name| !FARGATE.contains(&name.as_str()));
    let failures: Vec<Value> = missing
        .map(|name| json!({"arn": cx.arn("ecs", &format!("capacity-provider/{name}")), "reason": "MISSING"}))
        .collect();
    json!({"capacityProviders": found, "failures": failures})
}

/// Checks the providers of a cluster and its default strategy.
///
/// # Errors
/// `InvalidParameterException` for a provider that the endpoint does not have, or that the cluster does not name.
pub fn check(providers: &[String], strategy: &[Value], member: &str) -> Result<(), AwsError> {
    if let Some(other) = providers.iter().find(|name| !FARGATE.contains(&name.as_str())) {
        return Err(invalid_parameter(format!(
            "The specified capacity provider {other} was not found: the embedded endpoint has {} only.",
            FARGATE.join(" and ")
        )));
    }
    let used = |item: &Value| {
        item.get(member)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .unwrap_or_default()
    };
    match strategy.iter().map(used).find(|name| !providers.contains(name)) {
        None => Ok(()),
        Some(name) => Err(invalid_parameter(format!(
            "The default capacity provider strategy contains the capacity provider {name} that is not associated with the \
             cluster."
        ))),
    }
}

/// Returns the providers of a cluster, from its own property and from associations.
fn of_cluster(cx: &Context, name: Option<&str>) -> Result<Vec<String>, AwsError> {
    let record = model::cluster(cx, name)?;
    let mut known = texts(record.properties.get("CapacityProviders"));
    if let Some(more) = CAPACITY_PROVIDER_ASSOCIATIONS.get(cx, &record.id)? {
        known.extend(texts(more.properties.get("CapacityProviders")));
    }
    Ok(known)
}

/// Returns the launch type that a service's description shows: none beside a strategy.
pub fn launch_type(spec: &ServiceSpec) -> Option<&str> {
    spec.capacity_strategy.is_null().then_some(spec.launch_type.as_str())
}

/// Returns the provider that a task of this strategy runs on: the one with the greatest weight.
pub fn provider(strategy: &Value) -> Option<&str> {
    let items = strategy.as_array()?;
    let weight = |item: &&Value| super::members::integer(item.get("weight")).unwrap_or(0);
    text(items.iter().max_by_key(weight)?, "capacityProvider")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{context_with, create};

    #[tokio::test]
    async fn a_strategy_names_providers_of_the_cluster_and_no_launch_type() {
        let (cx, _folder) = context_with(vec![crate::service::ecs::service()]);
        let properties = json!({"ClusterName": "shop", "CapacityProviders": ["FARGATE_SPOT"]});
        create(&cx, "AWS::ECS::Cluster", "Cluster", properties).await.unwrap();
        let input = |provider: &str| {
            let strategy = json!([{"capacityProvider": provider, "weight": 1}]);
            json!({"cluster": "shop", "capacityProviderStrategy": strategy})
        };
        let spot = strategy(&cx, &input("FARGATE_SPOT")).unwrap().unwrap();
        assert_eq!(provider(&spot), Some("FARGATE_SPOT"));
        assert!(strategy(&cx, &json!({"cluster": "shop"})).unwrap().is_none());

        let mut both = input("FARGATE_SPOT");
        both["launchType"] = "FARGATE".into();
        let errors = [input("FARGATE"), both].map(|input| strategy(&cx, &input).unwrap_err().to_string());
        insta::assert_snapshot!(errors.join("\n"), @r"
        InvalidParameterException: The specified capacity provider strategy contains the capacity provider FARGATE that is not associated with the cluster. Associate the capacity provider with the cluster and try again.
        InvalidParameterException: Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.
        ");
    }
}
