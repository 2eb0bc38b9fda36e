//! Target groups and listener rule of the service behind the load balancer.

use serde_json::{Value, json};

use super::{Builder, roles};
use cfn::template::{Handle, Resource};

/// The port of targets that are registered without one. ECS registers each task with its container's port, so that this one is
/// never used; it is constant because another value replaces the target group (Elastic Load Balancing API: `CreateTargetGroup`,
/// "used unless you specify a port override when registering the target").
const DEFAULT_PORT: u16 = 80;

/// The service's place behind the load balancer.
pub struct Target {
    pub rule: Handle,
    /// The target group; of a service whose rollouts shift requests the two between which they move.
    pub groups: Vec<Handle>,
    /// The service's `LoadBalancers` property.
    pub load_balancers: Value,
}

/// Adds the target group and its rule, and what ECS needs to shift requests between two groups (Amazon ECS Developer Guide:
/// "Application Load Balancer resources for blue/green, linear, and canary deployments").
pub fn target(builder: &mut Builder) -> Target {
    let service = builder.service;
    let port = service.http_port().map_or(80, |port| port.number);
    let group = target_group(builder, "TargetGroup");
    let mut registered =
        json!({ "ContainerName": service.name, "ContainerPort": port, "TargetGroupArn": group.reference() });
    let (groups, action) = if service.rollout.is_shifting() {
        let alternate = target_group(builder, "AlternateTargetGroup");
        // ECS moves these weights; the rule must stay as it is in the template, because CloudFormation would reset them
        // (aws/aws-cdk 36649). No key of the manifest changes it.
        let weights = json!([
            { "TargetGroupArn": group.reference(), "Weight": 100 },
            { "TargetGroupArn": alternate.reference(), "Weight": 0 },
        ]);
        let action = json!({ "Type": "forward", "ForwardConfig": { "TargetGroups": weights } });
        (vec![group, alternate], action)
    } else {
        let action = json!({ "Type": "forward", "TargetGroupArn": group.reference() });
        (vec![group], action)
    };
    let listener = builder.output_of("ListenerArn", "String", "The public listener", "platform");
    let rule = builder.template.add(
        "ListenerRule",
        Resource::new("AWS::ElasticLoadBalancingV2::ListenerRule")
            .with("ListenerArn", listener)
            .with("Priority", 100)
            .with(
                "Conditions",
                json!([{ "Field": "path-pattern", "PathPatternConfig": { "Values": ["/*"] } }]),
            )
            .with("Actions", json!([action])),
    );
    if let [_, alternate] = groups.as_slice() {
        registered["AdvancedConfiguration"] = json!({
            "AlternateTargetGroupArn": alternate.reference(),
            "ProductionListenerRule": rule.reference(),
            "RoleArn": roles::traffic_shift(builder).attribute("Arn"),
        });
    }
    Target {
        rule,
        groups,
        load_balancers: json!([registered]),
    }
}

fn target_group(builder: &mut Builder, logical_id: &str) -> Handle {
    let vpc = builder.output_of("VpcId", "AWS::EC2::VPC::Id", "The VPC", "network");
    let service = builder.service;
    builder.template.add(
        logical_id,
        Resource::new("AWS::ElasticLoadBalancingV2::TargetGroup")
            .with("TargetType", "ip")
            .with("Protocol", "HTTP")
            .with("Port", DEFAULT_PORT)
            .with("VpcId", vpc)
            .with("HealthCheckPath", service.health_path.clone())
            .with_some("HealthCheckPort", service.health_port.map(|port| port.to_string()))
            .with("HealthCheckIntervalSeconds", 10)
            .with("HealthCheckTimeoutSeconds", 5)
            .with("HealthyThresholdCount", 2)
            .with("UnhealthyThresholdCount", 3)
            .with("Matcher", json!({ "HttpCode": "200" }))
            // The maximum duration of a request. ECS sends SIGTERM after it, and the service then drains.
            .with(
                "TargetGroupAttributes",
                json!([{ "Key": "deregistration_delay.timeout_seconds", "Value": "30" }]),
            )
            .skip_check(
                "CKV_AWS_378",
                "the target checks the token itself; TLS ends at the load balancer, and only its security group reaches the port",
            ),
    )
}
