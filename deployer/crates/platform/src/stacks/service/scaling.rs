//! How many tasks there are: between bounds, by CPU, and by requests where the load balancer counts them.

use serde_json::{Value, json};

use super::Parts;
use super::ingress::Target;
use cfn::template::{Handle, Resource, sub};

pub fn add(parts: &mut Parts, service: &Handle, cluster: &Value, public: Option<&Target>) {
    let Some(scaling) = parts.service.scaling else { return };
    let id = sub(
        "service/${Cluster}/${Name}",
        [("Cluster", cluster.clone()), ("Name", service.attribute("Name"))],
    );
    let target = parts.template.add(
        "ScalableTarget",
        Resource::new("AWS::ApplicationAutoScaling::ScalableTarget")
            .with("ServiceNamespace", "ecs")
            .with("ScalableDimension", "ecs:service:DesiredCount")
            .with("ResourceId", id)
            .with("MinCapacity", scaling.minimum)
            .with("MaxCapacity", scaling.maximum),
    );
    let cpu = json!({ "PredefinedMetricType": "ECSServiceAverageCPUUtilization" });
    parts
        .template
        .add("CpuScaling", policy("cpu", &target, cpu, scaling.cpu_percent.into()));
    if let (Some(public), Some(requests)) = (public, scaling.requests_per_target) {
        let label = sub(
            "${Balancer}/${Group}",
            [
                ("Balancer", parts.load_balancer_name()),
                ("Group", public.group.attribute("TargetGroupFullName")),
            ],
        );
        let metric = json!({ "PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label });
        let requests = policy("requests", &target, metric, requests).after(&public.rule);
        parts.template.add("RequestScaling", requests);
    }
}

/// Follows a metric: quickly up, slowly down.
fn policy(name: &str, target: &Handle, metric: Value, value: u32) -> Resource {
    Resource::new("AWS::ApplicationAutoScaling::ScalingPolicy")
        .with("PolicyName", name)
        .with("PolicyType", "TargetTrackingScaling")
        .with("ScalingTargetId", target.reference())
        .with(
            "TargetTrackingScalingPolicyConfiguration",
            json!({
                "PredefinedMetricSpecification": metric,
                "TargetValue": value,
                "ScaleInCooldown": 300,
                "ScaleOutCooldown": 60,
            }),
        )
}
