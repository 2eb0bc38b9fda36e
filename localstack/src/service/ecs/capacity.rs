//! Capacity providers of clusters, and capacity provider strategies of services and tasks.
//!
//! All providers are this machine. Strategies are checked as Amazon ECS checks them.

use serde_json::{Value, json};

use super::error::invalid_parameter;
use super::members::{list, text};
use super::model::{self, CAPACITY_PROVIDER_ASSOCIATIONS};
use super::spec::ServiceSpec;
use crate::records::texts;
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
