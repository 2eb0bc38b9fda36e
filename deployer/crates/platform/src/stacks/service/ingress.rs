//! The service behind the load balancer: target group and listener rule.

use serde_json::{Value, json};

use super::Parts;
use cfn::template::{Handle, Resource};

pub struct Target {
    pub rule: Handle,
    pub group: Handle,
    /// The service's `LoadBalancers` property.
    pub load_balancers: Value,
}

pub fn target(parts: &mut Parts) -> Target {
    let vpc = parts.output_of("VpcId", "AWS::EC2::VPC::Id", "The VPC", "network");
    let listener = parts.output_of("ListenerArn", "String", "The public listener", "platform");
    let service = parts.service;
    let port = service.http_port().map_or(80, |port| port.number);
    let group = parts.template.add(
        "TargetGroup",
        Resource::new("AWS::ElasticLoadBalancingV2::TargetGroup")
            .with("TargetType", "ip")
            .with("Protocol", "HTTP")
            .with("Port", port)
            .with("VpcId", vpc)
            .with("HealthCheckPath", service.health_path.clone())
            .with("HealthCheckIntervalSeconds", 10)
            .with("HealthCheckTimeoutSeconds", 5)
            .with("HealthyThresholdCount", 2)
            .with("UnhealthyThresholdCount", 3)
            .with("Matcher", json!({ "HttpCode": "200" }))
            // as long as a request may take; ECS sends SIGTERM only after it, and the service then has its own drain
            .with(
                "TargetGroupAttributes",
                json!([{ "Key": "deregistration_delay.timeout_seconds", "Value": "30" }]),
            )
            .waiving(
                "CKV_AWS_378",
                "the target checks the token itself; TLS ends at the load balancer, and only its security group reaches the port",
            ),
    );
    let rule = parts.template.add(
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
