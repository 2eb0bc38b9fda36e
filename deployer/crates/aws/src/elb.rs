//! Elastic Load Balancing: target health, listeners, rules.

use aws_sdk_elasticloadbalancingv2::types::TargetHealthDescription;

use crate::error::{Error, Result};
use crate::session::Session;

/// A listener of a load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The ARN of the listener.
    pub arn: String,
    /// The port on which it listens.
    pub port: i32,
}

/// A rule of a listener, except its default rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerRule {
    /// The ARN of the rule.
    pub arn: String,
    /// The priority, from 1; the lowest number is evaluated first.
    pub priority: String,
    /// The values of all its conditions.
    pub conditions: Vec<String>,
}

/// Returns the health states of the targets of a target group.
///
/// # Errors
/// The request fails.
pub async fn target_states(aws: &Session, group: &str) -> Result<Vec<String>> {
    let request = aws.elb.describe_target_health().target_group_arn(group);
    let response = request.send().await?;
    let state = |target: &TargetHealthDescription| Some(target.target_health()?.state()?.as_str().to_owned());
    Ok(response.target_health_descriptions().iter().filter_map(state).collect())
}

/// Returns the target groups of a rule, by ARN, with their weights; none if the rule does not exist.
///
/// # Errors
/// The request fails.
pub async fn weights(aws: &Session, rule: &str) -> Result<Vec<(String, i32)>> {
    let response = match aws.elb.describe_rules().rule_arns(rule).send().await {
        Ok(response) => response,
        Err(error) => match Error::from(error) {
            error if error.is_not_found() => return Ok(Vec::new()),
            error => return Err(error),
        },
    };
    let actions = response.rules().iter().flat_map(|rule| rule.actions());
    let groups = actions
        .filter_map(|action| action.forward_config())
        .flat_map(|forward| forward.target_groups());
    let weights = groups.filter_map(|group| Some((group.target_group_arn()?.to_owned(), group.weight().unwrap_or(1))));
    Ok(weights.collect())
}

/// Returns the number of Application Load Balancers in the region.
///
/// # Errors
/// The request fails.
pub async fn application_load_balancers(aws: &Session) -> Result<usize> {
    let pages = aws.elb.describe_load_balancers().into_paginator().items().send();
    let all = pages.collect::<Result<Vec<_>, _>>().await?;
    let kinds = all.iter().filter_map(|one| one.r#type());
    Ok(kinds.filter(|kind| kind.as_str() == "application").count())
}

/// Returns the listeners of a load balancer.
///
/// # Errors
/// The request fails.
pub async fn listeners(aws: &Session, load_balancer: &str) -> Result<Vec<Listener>> {
    let request = aws.elb.describe_listeners().load_balancer_arn(load_balancer);
    let pages = request.into_paginator().items().send();
    let listeners = pages.collect::<Result<Vec<_>, _>>().await?;
    let found = listeners.iter().map(|listener| Listener {
        arn: listener.listener_arn().unwrap_or_default().to_owned(),
        port: listener.port().unwrap_or_default(),
    });
    Ok(found.collect())
}

/// Returns the rules of a listener without its default rule.
///
/// # Errors
/// The request fails.
pub async fn rules(aws: &Session, listener: &str) -> Result<Vec<ListenerRule>> {
    let request = aws.elb.describe_rules().listener_arn(listener);
    let pages = request.into_paginator().items().send();
    let rules = pages.collect::<Result<Vec<_>, _>>().await?;
    let own = rules.iter().filter(|rule| !rule.is_default().unwrap_or_default());
    let found = own.map(|rule| {
        let conditions = rule.conditions().iter().flat_map(|condition| condition.values());
        ListenerRule {
            arn: rule.rule_arn().unwrap_or_default().to_owned(),
            priority: rule.priority().unwrap_or("?").to_owned(),
            conditions: conditions.cloned().collect(),
        }
    });
    Ok(found.collect())
}
