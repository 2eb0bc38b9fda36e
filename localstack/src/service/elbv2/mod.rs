//! Elastic Load Balancing v2: application load balancers, target groups, listeners and rules.

mod action;
mod api;
mod attribute_kind;
mod attribute_table;
mod attributes;
mod condition_limits;
mod describe;
mod listener;
mod load_balancer;
mod model;
mod modify;
mod proxy_settings;
mod rule;
mod stickiness;
mod sync;
mod synced_type;
mod target_group;
mod targets;
mod tls;
mod weights;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use attribute_kind::Kind;
pub(crate) use weights::set_weights;

use crate::records::record_type;
use crate::runtime;
use crate::service::{Call, Service};
use crate::{AwsError, Context, ResourceType};

/// Returns the Elastic Load Balancing service.
pub fn service() -> Arc<dyn Service> {
    Arc::new(Elb)
}

struct Elb;

#[async_trait]
impl Service for Elb {
    fn name(&self) -> &'static str {
        "elasticloadbalancing"
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![
            synced_type::synced(record_type::<load_balancer::LoadBalancer>()),
            synced_type::synced(record_type::<target_group::TargetGroup>()),
            synced_type::synced(record_type::<listener::Listener>()),
            synced_type::synced(record_type::<rule::ListenerRule>()),
        ]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "DescribeLoadBalancers" => describe::load_balancers(cx, &call).await,
            "DescribeTargetGroups" => describe::target_groups(cx, &call),
            "DescribeListeners" => describe::listeners(cx, &call),
            "DescribeRules" => describe::rules(cx, &call),
            "DescribeTags" => describe::tags(cx, &call),
            "DescribeLoadBalancerAttributes" => attributes::describe(cx, &call, Kind::LoadBalancer),
            "DescribeTargetGroupAttributes" => attributes::describe(cx, &call, Kind::TargetGroup),
            "DescribeListenerAttributes" => attributes::describe(cx, &call, Kind::Listener),
            // No load balancer here has a reservation.
            "DescribeCapacityReservation" => {
                model::load_balancer(cx, &call.required("LoadBalancerArn")?)?;
                Ok(json!({"CapacityReservationState": []}))
            }
            "CreateLoadBalancer" => api::create_load_balancer(cx, &call).await,
            "CreateTargetGroup" => api::create_target_group(cx, &call).await,
            "CreateListener" => api::create_listener(cx, &call).await,
            "CreateRule" => api::create_rule(cx, &call).await,
            "DeleteTargetGroup" => api::delete_target_group(cx, &call).await,
            "DeleteListener" => api::delete_listener(cx, &call).await,
            "DeleteRule" => api::delete_rule(cx, &call).await,
            "SetRulePriorities" => api::set_rule_priorities(cx, &call),
            "SetSecurityGroups" => api::set_security_groups(cx, &call).await,
            "SetSubnets" => api::set_subnets(cx, &call).await,
            "AddTags" => api::add_tags(cx, &call),
            "RemoveTags" => api::remove_tags(cx, &call),
            "DescribeTargetHealth" => targets::health(cx, &call),
            "RegisterTargets" => targets::register(cx, &call),
            "DeregisterTargets" => targets::deregister(cx, &call),
            "DeleteLoadBalancer" => modify::delete_load_balancer(cx, &call),
            "ModifyTargetGroup" => modify::target_group(cx, &call),
            "ModifyTargetGroupAttributes" => attributes::modify(cx, &call, Kind::TargetGroup),
            "ModifyLoadBalancerAttributes" => attributes::modify(cx, &call, Kind::LoadBalancer),
            "ModifyListenerAttributes" => attributes::modify(cx, &call, Kind::Listener),
            "ModifyListener" => modify::listener(cx, &call),
            "ModifyRule" => modify::rule(cx, &call),
            other => Err(AwsError::not_implemented("elasticloadbalancing", other)),
        }
    }

    async fn start(&self, cx: &Context) -> anyhow::Result<()> {
        sync::apply(cx)?;
        Ok(())
    }

    async fn stop(&self, cx: &Context) {
        runtime::load_balancer::close(cx);
    }
}
