//! What a service is watched for, and how its own numbers come to CloudWatch.

use serde_json::{Value, json};

use super::Parts;
use super::ingress::Target;
use crate::manifest::Service;
use crate::stacks::alarms::{Alarm, Side, over_expression};
use cfn::template::{Handle, Resource};

/// The metrics of a service's own log lines are under `<project>-<env>/<service>`.
pub fn namespace(prefix: &str, service: &str) -> String {
    format!("{prefix}/{service}")
}

/// A number that the services' kit writes to the log once a minute, as field of a line, and what is told of it.
struct Measure {
    field: &'static str,
    metric: &'static str,
    words: &'static str,
    threshold: f64,
}

/// The metrics' names.
pub const OUTBOX_AGE: &str = "OutboxOldestAgeSeconds";
pub const CONSUMER_LAG: &str = "KafkaConsumerLag";

const OUTBOX: Measure = Measure {
    field: "outbox_oldest_age_seconds",
    metric: OUTBOX_AGE,
    words: "An event has waited to be published for more than 5 minutes: is Kafka there?",
    threshold: 300.0,
};
const LAG: Measure = Measure {
    field: "kafka_consumer_lag",
    metric: CONSUMER_LAG,
    words: "More than 1000 messages wait to be handled by one task: is it stuck, or are there too few?",
    threshold: 1000.0,
};

/// Metric filters always, since they cost nothing without lines; alarms where the service is watched.
pub fn add(parts: &mut Parts, logs: &Handle, service: &Handle, cluster: &Value, public: Option<&Target>) {
    let topic = parts.alarm_topic();
    for measure in measures(parts.service) {
        from_log(parts, logs, measure, topic.as_ref());
    }
    let Some(topic) = topic else { return };
    tasks(parts, service, cluster, &topic);
    if let Some(public) = public {
        door(parts, public, &topic);
    }
}

/// A service that stores and publishes has an outbox; one that consumes publishes dead letters, without one.
pub fn has_outbox(service: &Service) -> bool {
    service.database.is_some() && service.consumes.is_empty() && !service.publishes.is_empty()
}

fn measures(service: &Service) -> Vec<&'static Measure> {
    let outbox = has_outbox(service).then_some(&OUTBOX);
    outbox
        .into_iter()
        .chain((!service.consumes.is_empty()).then_some(&LAG))
        .collect()
}

fn from_log(parts: &mut Parts, logs: &Handle, measure: &Measure, topic: Option<&Value>) {
    let namespace = namespace(&parts.manifest.prefix(), &parts.service.name);
    parts.template.add(
        format!("{}Filter", measure.metric),
        Resource::new("AWS::Logs::MetricFilter")
            .with("LogGroupName", logs.reference())
            .with("FilterPattern", format!("{{ $.fields.{} = * }}", measure.field))
            .with(
                "MetricTransformations",
                json!([{ "MetricNamespace": namespace, "MetricName": measure.metric,
                         "MetricValue": format!("$.fields.{}", measure.field) }]),
            ),
    );
    let Some(topic) = topic else { return };
    let alarm = Alarm {
        words: measure.words.into(),
        namespace,
        metric: measure.metric,
        dimensions: json!([]),
        statistic: "Maximum",
        threshold: measure.threshold,
        side: Side::Above,
        period: 60,
        periods: 5,
    };
    parts
        .template
        .add(format!("{}Alarm", measure.metric), alarm.resource(topic));
}

/// CPU, memory, and fewer tasks than there should be.
fn tasks(parts: &mut Parts, service: &Handle, cluster: &Value, topic: &Value) {
    let dimensions = json!([
        { "Name": "ClusterName", "Value": cluster },
        { "Name": "ServiceName", "Value": service.attribute("Name") },
    ]);
    for (id, metric, what) in [
        ("CpuAlarm", "CPUUtilization", "CPU"),
        ("MemoryAlarm", "MemoryUtilization", "Memory"),
    ] {
        let alarm = Alarm {
            words: format!("{what} has been over 85 % for 15 minutes"),
            namespace: "AWS/ECS".into(),
            metric,
            dimensions: dimensions.clone(),
            statistic: "Average",
            threshold: 85.0,
            side: Side::Above,
            period: 300,
            periods: 3,
        };
        parts.template.add(id, alarm.resource(topic));
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
    let words = "Fewer tasks have run than should for 10 minutes: `deployer status` tells why they stop";
    parts
        .template
        .add("MissingTasksAlarm", over_expression(words, metrics, 10, topic));
}

/// What the load balancer sees of the service that it forwards to.
fn door(parts: &mut Parts, public: &Target, topic: &Value) {
    let balancer = parts.load_balancer_name();
    let of_balancer = json!([{ "Name": "LoadBalancer", "Value": balancer }]);
    let of_group = json!([
        { "Name": "LoadBalancer", "Value": balancer },
        { "Name": "TargetGroup", "Value": public.group.attribute("TargetGroupFullName") },
    ]);
    let door = |words: &str, metric, dimensions: &Value, statistic, threshold, (period, periods)| Alarm {
        words: words.into(),
        namespace: "AWS/ApplicationELB".into(),
        metric,
        dimensions: dimensions.clone(),
        statistic,
        threshold,
        side: Side::Above,
        period,
        periods,
    };
    let alarms = [
        (
            "ServerErrorAlarm",
            door(
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
            door(
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
            door(
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
            door(
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
        parts.template.add(id, alarm.resource(topic));
    }
}
