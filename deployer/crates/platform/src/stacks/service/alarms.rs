//! Alarms of a service, and metrics from its log.

use serde_json::{Value, json};

use super::Builder;
use super::ingress::Target;
use crate::manifest::Service;
use crate::stacks::alarms::{Alarm, Comparison, on_expression};
use cfn::template::{Handle, Resource};

/// Returns the namespace of the metrics from a service's log: `<project>-<env>/<service>`.
pub fn namespace(prefix: &str, service: &str) -> String {
    format!("{prefix}/{service}")
}

/// A number that the services' kit logs once a minute as a field, and its alarm.
struct LogMetric {
    field: &'static str,
    metric: &'static str,
    description: &'static str,
    threshold: f64,
}

/// The age of the oldest event in the outbox.
pub const OUTBOX_AGE: &str = "OutboxOldestAgeSeconds";
/// The messages that wait for one task.
pub const CONSUMER_LAG: &str = "KafkaConsumerLag";

const OUTBOX: LogMetric = LogMetric {
    field: "outbox_oldest_age_seconds",
    metric: OUTBOX_AGE,
    description: "An event has waited to be published for more than 5 minutes: is Kafka there?",
    threshold: 300.0,
};
const LAG: LogMetric = LogMetric {
    field: "kafka_consumer_lag",
    metric: CONSUMER_LAG,
    description: "More than 1000 messages wait to be handled by one task: is it stuck, or are there too few?",
    threshold: 1000.0,
};

/// Adds metric filters, which are free without log lines, and alarms if the service has them.
pub fn add(builder: &mut Builder, logs: &Handle, service: &Handle, cluster: &Value, public: Option<&Target>) {
    let topic = builder.alarm_topic();
    for metric in metrics(builder.service) {
        from_log(builder, logs, metric, topic.as_ref());
    }
    let Some(topic) = topic else { return };
    tasks(builder, service, cluster, &topic);
    if let Some(public) = public {
        load_balancer(builder, public, &topic);
    }
}

/// Returns true for a service that stores and publishes. One that consumes publishes dead letters alone, without an outbox.
pub fn has_outbox(service: &Service) -> bool {
    service.database.is_some() && service.consumes.is_empty() && !service.publishes.is_empty()
}

fn metrics(service: &Service) -> Vec<&'static LogMetric> {
    let outbox = has_outbox(service).then_some(&OUTBOX);
    outbox
        .into_iter()
        .chain((!service.consumes.is_empty()).then_some(&LAG))
        .collect()
}

fn from_log(builder: &mut Builder, logs: &Handle, metric: &LogMetric, topic: Option<&Value>) {
    let namespace = namespace(&builder.manifest.prefix(), &builder.service.name);
    builder.template.add(
        format!("{}Filter", metric.metric),
        Resource::new("AWS::Logs::MetricFilter")
            .with("LogGroupName", logs.reference())
            .with("FilterPattern", format!("{{ $.fields.{} = * }}", metric.field))
            .with(
                "MetricTransformations",
                json!([{ "MetricNamespace": namespace, "MetricName": metric.metric,
                         "MetricValue": format!("$.fields.{}", metric.field) }]),
            ),
    );
    let Some(topic) = topic else { return };
    let alarm = Alarm {
        description: metric.description.into(),
        namespace,
        metric: metric.metric,
        dimensions: json!([]),
        statistic: "Maximum",
        threshold: metric.threshold,
        comparison: Comparison::Above,
        period: 60,
        periods: 5,
    };
    builder
        .template
        .add(format!("{}Alarm", metric.metric), alarm.resource(topic));
}

/// Adds alarms on CPU, memory, and fewer tasks than desired.
fn tasks(builder: &mut Builder, service: &Handle, cluster: &Value, topic: &Value) {
    let dimensions = json!([
        { "Name": "ClusterName", "Value": cluster },
        { "Name": "ServiceName", "Value": service.attribute("Name") },
    ]);
    for (id, metric, name) in [
        ("CpuAlarm", "CPUUtilization", "CPU"),
        ("MemoryAlarm", "MemoryUtilization", "Memory"),
    ] {
        let alarm = Alarm {
            description: format!("{name} has been over 85 % for 15 minutes"),
            namespace: "AWS/ECS".into(),
            metric,
            dimensions: dimensions.clone(),
            statistic: "Average",
            threshold: 85.0,
            comparison: Comparison::Above,
            period: 300,
            periods: 3,
        };
        builder.template.add(id, alarm.resource(topic));
    }
    let count = |id: &str, metric: &str| {
        json!({ "Id": id, "ReturnData": false, "MetricStat": {
            "Metric": { "Namespace": "ECS/ContainerInsights", "MetricName": metric, "Dimensions": dimensions },
            "Period": 60, "Stat": "Average" } })
    };
    let metrics = json!([
        { "Id": "missing", "Expression": "desired - running", "Label": "Tasks that do not run" },
        count("desired", "DesiredTaskCount"),
        count("running", "RunningTaskCount"),
    ]);
    let description = "Fewer tasks have run than should for 10 minutes: `deployer status` tells why they stop";
    builder
        .template
        .add("MissingTasksAlarm", on_expression(description, metrics, 10, topic));
}

/// Adds alarms on what the load balancer measures of the service.
fn load_balancer(builder: &mut Builder, public: &Target, topic: &Value) {
    let balancer = builder.load_balancer_name();
    let of_balancer = json!([{ "Name": "LoadBalancer", "Value": balancer }]);
    let of_group = json!([
        { "Name": "LoadBalancer", "Value": balancer },
        { "Name": "TargetGroup", "Value": public.group.attribute("TargetGroupFullName") },
    ]);
    let alarm = |description: &str, metric, dimensions: &Value, statistic, threshold, (period, periods)| Alarm {
        description: description.into(),
        namespace: "AWS/ApplicationELB".into(),
        metric,
        dimensions: dimensions.clone(),
        statistic,
        threshold,
        comparison: Comparison::Above,
        period,
        periods,
    };
    let alarms = [
        (
            "ServerErrorAlarm",
            alarm(
                "More than 10 answers of 5xx in 5 minutes",
                "HTTPCode_Target_5XX_Count",
                &of_group,
                "Sum",
                10.0,
                (300, 1),
            ),
        ),
        (
            "UnansweredAlarm",
            alarm(
                "The load balancer itself answered 5xx more than 10 times in 5 minutes: no target took the request",
                "HTTPCode_ELB_5XX_Count",
                &of_balancer,
                "Sum",
                10.0,
                (300, 1),
            ),
        ),
        (
            "LatencyAlarm",
            alarm(
                "One request in a hundred has taken more than 2 seconds for 15 minutes",
                "TargetResponseTime",
                &of_group,
                "p99",
                2.0,
                (300, 3),
            ),
        ),
        (
            "UnhealthyTargetAlarm",
            alarm(
                "A target has been unhealthy for 5 minutes",
                "UnHealthyHostCount",
                &of_group,
                "Maximum",
                0.0,
                (60, 5),
            ),
        ),
    ];
    for (id, alarm) in alarms {
        builder.template.add(id, alarm.resource(topic));
    }
}
