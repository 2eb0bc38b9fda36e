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
    let cpu = ("PredefinedMetricSpecification", &cpu);
    builder
        .template
        .add("CpuScaling", policy("cpu", &target, cpu, scaling.cpu_percent.into()));
    if let (Some(public), Some(requests)) = (public, scaling.requests_per_target) {
        let metric = match public.groups.as_slice() {
            [group] => ("PredefinedMetricSpecification", &requests_of(builder, group)),
            groups => ("CustomizedMetricSpecification", &requests_of_all(builder, groups)),
        };
        let requests = policy("requests", &target, metric, requests).depends_on(&public.rule);
        builder.template.add("RequestScaling", requests);
    }
}

fn requests_of(builder: &mut Builder, group: &Handle) -> Value {
    let label = sub(
        "${Balancer}/${Group}",
        [
            ("Balancer", builder.load_balancer_name()),
            ("Group", group.attribute("TargetGroupFullName")),
        ],
    );
    json!({ "PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label })
}

/// Returns the requests per minute and target of all groups: rollouts move them from one to the other, and the predefined metric
/// is of one group. Both groups have as many targets while requests move, so that the sum is that of one group.
fn requests_of_all(builder: &mut Builder, groups: &[Handle]) -> Value {
    let mut metrics = Vec::new();
    let mut terms = Vec::new();
    for (n, group) in groups.iter().enumerate() {
        let id = format!("group{n}");
        let dimensions = json!([
            { "Name": "LoadBalancer", "Value": builder.load_balancer_name() },
            { "Name": "TargetGroup", "Value": group.attribute("TargetGroupFullName") },
        ]);
        let metric = json!({
            "Namespace": "AWS/ApplicationELB", "MetricName": "RequestCountPerTarget", "Dimensions": dimensions });
        metrics.push(json!({ "Id": id, "ReturnData": false, "MetricStat": { "Metric": metric, "Stat": "Sum" } }));
        terms.push(format!("FILL({id}, 0)"));
    }
    metrics.push(json!({ "Id": "requests", "Expression": terms.join(" + "), "ReturnData": true }));
    json!({ "Metrics": metrics })
}

/// Returns a target tracking policy that scales out quickly and in slowly.
fn policy(name: &str, target: &Handle, (specification, metric): (&str, &Value), value: u32) -> Resource {
    Resource::new("AWS::ApplicationAutoScaling::ScalingPolicy")
        .with("PolicyName", name)
        .with("PolicyType", "TargetTrackingScaling")
        .with("ScalingTargetId", target.reference())
        .with(
            "TargetTrackingScalingPolicyConfiguration",
            json!({
                specification: metric,
                "TargetValue": value,
                "ScaleInCooldown": 300,
                "ScaleOutCooldown": 60,
            }),
        )
}
