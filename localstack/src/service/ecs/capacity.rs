//! Capacity providers: which ones a cluster has, and which of them a service asks for.
//!
//! Here all of them are this machine; what is checked is what Amazon ECS checks.

use serde_json::{Value, json};

use super::model::Wish;
use super::shape::{list, text};
use super::{cluster, invalid};
use crate::records::{Records, texts};
use crate::{AwsError, Context};

/// What `AWS::ECS::ClusterCapacityProviderAssociations` keeps.
pub const ASSOCIATIONS: Records = Records("ecs.capacity-providers");

/// The strategy that a service or task asks for, once it is known to fit its cluster; `None` when it asks for none.
pub fn strategy(cx: &Context, input: &Value) -> Result<Option<Value>, AwsError> {
    let wanted = list(input, "capacityProviderStrategy");
    if wanted.is_empty() {
        return Ok(None);
    }
    if input.get("launchType").is_some() {
        return Err(invalid(
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.",
        ));
    }
    let known = of_cluster(cx, text(input, "cluster"))?;
    for item in wanted {
        let provider = text(item, "capacityProvider").unwrap_or_default();
        if !known.iter().any(|name| name == provider) {
            return Err(invalid(format!(
                "The specified capacity provider strategy contains the capacity provider {provider} that is not \
                 associated with the cluster. Associate the capacity provider with the cluster and try again."
            )));
        }
    }
    Ok(Some(json!(wanted)))
}

/// The providers of a cluster, by its own property or by an association.
fn of_cluster(cx: &Context, name: Option<&str>) -> Result<Vec<String>, AwsError> {
    let record = cluster::named(cx, name)?;
    let mut known = texts(record.properties.get("CapacityProviders"));
    if let Some(more) = ASSOCIATIONS.get(cx, &record.id)? {
        known.extend(texts(more.properties.get("CapacityProviders")));
    }
    Ok(known)
}

/// The launch type that a service shows: none beside a strategy.
pub fn launch_type(wish: &Wish) -> Option<&str> {
    wish.capacity.is_null().then_some(wish.launch_type.as_str())
}

/// The provider that a task of this strategy runs on: the one of the greatest weight.
pub fn provider(strategy: &Value) -> Option<&str> {
    let items = strategy.as_array()?;
    let weight = |item: &&Value| super::shape::whole(item.get("weight")).unwrap_or(0);
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
        let of = |provider: &str| json!({"cluster": "shop", "capacityProviderStrategy": [{"capacityProvider": provider, "weight": 1}]});
        let spot = strategy(&cx, &of("FARGATE_SPOT")).unwrap().unwrap();
        assert_eq!(provider(&spot), Some("FARGATE_SPOT"));
        assert!(
            strategy(&cx, &of("FARGATE"))
                .unwrap_err()
                .message
                .contains("not associated")
        );
        let mut both = of("FARGATE_SPOT");
        both["launchType"] = "FARGATE".into();
        assert!(strategy(&cx, &both).unwrap_err().message.contains("both a launch type"));
        assert!(strategy(&cx, &json!({"cluster": "shop"})).unwrap().is_none());
    }
}
