//! Elastic Load Balancing v2: application load balancers, target groups, listeners and rules.

mod applied;
mod describe;
mod listener;
mod load_balancer;
mod modify;
mod rule;
mod target_group;
mod targets;
mod tls;
mod wanted;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::records::{Record, record_type, scalar};
use crate::runtime;
use crate::service::{Call, Service};
use crate::{AwsError, Context, ResourceType};

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
            record_type::<load_balancer::LoadBalancer>(),
            applied::applied(record_type::<target_group::TargetGroup>()),
            applied::applied(record_type::<listener::Listener>()),
            applied::applied(record_type::<rule::ListenerRule>()),
        ]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "DescribeLoadBalancers" => describe::load_balancers(cx, &call),
            "DescribeTargetGroups" => describe::target_groups(cx, &call),
            "DescribeListeners" => describe::listeners(cx, &call),
            "DescribeRules" => describe::rules(cx, &call),
            "DescribeTags" => describe::tags(cx, &call),
            "DescribeLoadBalancerAttributes" => describe::attributes(cx, &call, "LoadBalancer"),
            "DescribeTargetGroupAttributes" => describe::attributes(cx, &call, "TargetGroup"),
            "DescribeTargetHealth" => targets::health(cx, &call),
            "RegisterTargets" => targets::register(cx, &call),
            "DeregisterTargets" => targets::deregister(cx, &call),
            "ModifyTargetGroup" => modify::target_group(cx, &call),
            "ModifyTargetGroupAttributes" => modify::attributes(cx, &call, "TargetGroup"),
            "ModifyLoadBalancerAttributes" => modify::attributes(cx, &call, "LoadBalancer"),
            "ModifyListener" => modify::listener(cx, &call),
            "ModifyRule" => modify::rule(cx, &call),
            other => Err(AwsError::not_implemented("elasticloadbalancing", other)),
        }
    }

    async fn start(&self, cx: &Context) -> anyhow::Result<()> {
        wanted::apply(cx)?;
        Ok(())
    }

    async fn stop(&self, cx: &Context) {
        runtime::load_balancer::close(cx);
    }
}

/// The last part of an ARN: 16 hexadecimal digits.
fn suffix() -> String {
    format!("{:016x}", rand::random::<u64>())
}

fn refused(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationError", message)
}

fn whole(record: &Record, property: &str) -> Option<i64> {
    record.text(property)?.parse().ok()
}

/// A member's text, whatever scalar it is.
fn text(value: &Value, member: &str) -> Option<String> {
    value.get(member).and_then(scalar)
}

fn attribute(record: &Record, property: &str, key: &str) -> Option<String> {
    let list = record.properties.get(property)?.as_array()?;
    list.iter()
        .find(|a| text(a, "Key").as_deref() == Some(key))
        .and_then(|a| text(a, "Value"))
}
