//! Automatic scaling of a service: by CPU, and by requests if the service is behind the load balancer.

use serde_json::{Value, json};

use super::Builder;
use super::ingress::Target;
use cfn::template::{Handle, Resource, sub};

/// Adds the scalable target and its policies.
pub fn add(builder: &mut Builder, service: &Handle, cluster: &Value, public: Option<&Target>) {
    let Some(scaling) = builder.service.scaling else { return };
    let id = sub(
        "service/${Cluster}/${Name}",
        [("Cluster", cluster.clone()), ("Name", service.attribute("Name"))],
    );
    let target = builder.template.add(
        "ScalableTarget",
        Resource::new("AWS::ApplicationAutoScaling::ScalableTarget")
            .with("ServiceNamespace", "ecs")
            .with("ScalableDimension", "ecs:service:DesiredCount")
            .with("ResourceId", id)
            .with("MinCapacity", scaling.minimum)
            .with("MaxCapacity", scaling.maximum),
    );
    let cpu = json!({ "PredefinedMetricType": "ECSServiceAverageCPUUtilization" });
    builder
        .template
        .add("CpuScaling", policy("cpu", &target, &cpu, scaling.cpu_percent.into()));
    if let (Some(public), Some(requests)) = (public, scaling.requests_per_target) {
        let label = sub(
            "${Balancer}/${Group}",
            [
                ("Balancer", builder.load_balancer_name()),
                ("Group", public.group.attribute("TargetGroupFullName")),
            ],
        );
        let metric = json!({ "PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label });
        let requests = policy("requests", &target, &metric, requests).depends_on(&public.rule);
        builder.template.add("RequestScaling", requests);
    }
}

/// Returns a target tracking policy that scales out quickly and in slowly.
fn policy(name: &str, target: &Handle, metric: &Value, value: u32) -> Resource {
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
