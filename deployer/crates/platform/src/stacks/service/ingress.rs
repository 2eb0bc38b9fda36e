//! Target group and listener rule of the service behind the load balancer.

use serde_json::{Value, json};

use super::Builder;
use cfn::template::{Handle, Resource};

/// The port of targets that are registered without one. ECS registers each task with its container's port, so that this one is
/// never used; it is constant because another value replaces the target group (Elastic Load Balancing API: `CreateTargetGroup`,
/// "used unless you specify a port override when registering the target").
const DEFAULT_PORT: u16 = 80;

/// The service's place behind the load balancer.
pub struct Target {
    pub rule: Handle,
    pub group: Handle,
    /// The service's `LoadBalancers` property.
    pub load_balancers: Value,
}

/// Adds the target group and its rule.
pub fn target(builder: &mut Builder) -> Target {
    let vpc = builder.output_of("VpcId", "AWS::EC2::VPC::Id", "The VPC", "network");
    let listener = builder.output_of("ListenerArn", "String", "The public listener", "platform");
    let service = builder.service;
    let port = service.http_port().map_or(80, |port| port.number);
    let group = builder.template.add(
        "TargetGroup",
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
    );
    let rule = builder.template.add(
        "ListenerRule",
        Resource::new("AWS::ElasticLoadBalancingV2::ListenerRule")
            .with("ListenerArn", listener)
            .with("Priority", 100)
            .with(
                "Conditions",
                json!([{ "Field": "path-pattern", "PathPatternConfig": { "Values": ["/*"] } }]),
            )
            .with(
                "Actions",
                json!([{ "Type": "forward", "TargetGroupArn": group.reference() }]),
            ),
    );
    let load_balancers =
        json!([{ "ContainerName": service.name, "ContainerPort": port, "TargetGroupArn": group.reference() }]);
    Target {
        rule,
        group,
        load_balancers,
    }
}
