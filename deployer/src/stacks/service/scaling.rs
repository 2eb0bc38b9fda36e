//! Scaling on CPU, and the alarms of a service.

use serde_json::{Value, json};

use super::Parts;
use super::ingress::Target;
use crate::template::{Handle, Resource, sub};

pub fn add(parts: &mut Parts, service: &Handle, cluster: &Value, public: Option<&Target>) {
    scaling(parts, service, cluster);
    if parts.service.alarms {
        alarms(parts, service, cluster, public);
    }
}

fn scaling(parts: &mut Parts, service: &Handle, cluster: &Value) {
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
    parts.template.add(
        "CpuScaling",
        Resource::new("AWS::ApplicationAutoScaling::ScalingPolicy")
            .with("PolicyName", "cpu")
            .with("PolicyType", "TargetTrackingScaling")
            .with("ScalingTargetId", target.reference())
            .with(
                "TargetTrackingScalingPolicyConfiguration",
                json!({
                    "PredefinedMetricSpecification": { "PredefinedMetricType": "ECSServiceAverageCPUUtilization" },
                    "TargetValue": scaling.cpu_percent,
                    "ScaleInCooldown": 300,
                    "ScaleOutCooldown": 60,
                }),
            ),
    );
}

fn alarms(parts: &mut Parts, service: &Handle, cluster: &Value, public: Option<&Target>) {
    let of_service = json!([
        { "Name": "ClusterName", "Value": cluster },
        { "Name": "ServiceName", "Value": service.attribute("Name") },
    ]);
    let cpu = alarm(
        "CPU has been over 85 % for 15 minutes",
        "AWS/ECS",
        "CPUUtilization",
        of_service.clone(),
        85,
    );
    parts.template.add(
        "CpuAlarm",
        cpu.with("Statistic", "Average")
            .with("Period", 300)
            .with("EvaluationPeriods", 3),
    );
    let memory = alarm(
        "Memory has been over 85 % for 15 minutes",
        "AWS/ECS",
        "MemoryUtilization",
        of_service,
        85,
    );
    parts.template.add(
        "MemoryAlarm",
        memory
            .with("Statistic", "Average")
            .with("Period", 300)
            .with("EvaluationPeriods", 3),
    );
    let Some(public) = public else { return };
    let balancer = parts.output_of(
        "LoadBalancerFullName",
        "String",
        "The load balancer's name in metrics",
        "platform",
    );
    let of_group = json!([
        { "Name": "LoadBalancer", "Value": balancer },
        { "Name": "TargetGroup", "Value": public.group.attribute("TargetGroupFullName") },
    ]);
    let errors = alarm(
        "More than 10 answers of 5xx in 5 minutes",
        "AWS/ApplicationELB",
        "HTTPCode_Target_5XX_Count",
        of_group.clone(),
        10,
    );
    parts.template.add(
        "ServerErrorAlarm",
        errors
            .with("Statistic", "Sum")
            .with("Period", 300)
            .with("EvaluationPeriods", 1),
    );
    let unhealthy = alarm(
        "A target has been unhealthy for 5 minutes",
        "AWS/ApplicationELB",
        "UnHealthyHostCount",
        of_group,
        0,
    );
    parts.template.add(
        "UnhealthyTargetAlarm",
        unhealthy
            .with("Statistic", "Maximum")
            .with("Period", 60)
            .with("EvaluationPeriods", 5),
    );
}

fn alarm(words: &str, namespace: &str, metric: &str, dimensions: Value, threshold: u32) -> Resource {
    Resource::new("AWS::CloudWatch::Alarm")
        .with("AlarmDescription", words)
        .with("Namespace", namespace)
        .with("MetricName", metric)
        .with("Dimensions", dimensions)
        .with("ComparisonOperator", "GreaterThanThreshold")
        .with("Threshold", threshold)
        .with("TreatMissingData", "notBreaching")
}
