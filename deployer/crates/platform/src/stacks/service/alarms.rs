//! Alarms of a service, and metrics from its log.

use serde_json::{Value, json};

use super::Builder;
use super::ingress::Target;
use crate::manifest::Service;
use crate::stacks::alarms::{Alarm, Comparison, on_expression};
use crate::stacks::links;
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
    /// `TreatMissingData` of the alarm.
    missing: &'static str,
}

/// The age of the oldest event in the outbox.
pub const OUTBOX_AGE: &str = "OutboxOldestAgeSeconds";
/// The messages that wait for the consumer group.
pub const CONSUMER_LAG: &str = "KafkaConsumerLag";

const OUTBOX: LogMetric = LogMetric {
    field: "outbox_oldest_age_seconds",
    metric: OUTBOX_AGE,
    description: "The oldest event of the outbox has waited for more than 5 minutes; check the brokers",
    threshold: 300.0,
    missing: "notBreaching",
};
const LAG: LogMetric = LogMetric {
    field: "kafka_consumer_lag",
    metric: CONSUMER_LAG,
    description: "More than 1000 messages wait, or how many is unknown; check the log and the brokers, or run more tasks",
    threshold: 1000.0,
    // A consumer that cannot ask the brokers logs no lag.
    missing: "breaching",
};

/// Adds metric filters, which are free without log lines, and alarms if the service has them.
pub fn add(builder: &mut Builder, logs: &Handle, service: &Handle, cluster: &Value, public: Option<&Target>) {
    let topic = builder.alarm_topic();
    // The messaging stack has an alarm on the lag that MSK measures, which a consumer that is dead cannot silence.
    let measured_by_msk = links::has_cluster(builder.manifest).then_some(CONSUMER_LAG);
    for metric in metrics(builder.service) {
        let topic = topic.as_ref().filter(|_| measured_by_msk != Some(metric.metric));
        from_log(builder, logs, metric, topic);
    }
    let Some(topic) = topic else { return };
    tasks(builder, service, cluster, &topic);
    if let Some(public) = public {
        load_balancer(builder, public, &topic);
    }
}

/// Returns true for a service that stores and publishes. The dead letters of a topic that it consumes need no outbox.
pub fn has_outbox(service: &Service) -> bool {
    let is_dead_letters = |topic: &String| {
        service
            .consumes
            .iter()
            .any(|consumed| *topic == format!("{consumed}.dlq"))
    };
    service.database.is_some() && !service.publishes.iter().all(is_dead_letters)
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
    builder.template.add(
        format!("{}Alarm", metric.metric),
        alarm.resource(Some(topic)).with("TreatMissingData", metric.missing),
    );
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
        builder.template.add(id, alarm.resource(Some(topic)));
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
    let description = "Fewer tasks than desired have run for 10 minutes; `deployer status` shows why they stop";
    builder
        .template
        .add("MissingTasksAlarm", on_expression(description, metrics, 10, topic));
}

/// Adds the alarms on which a rollout is rolled back: on errors of the service behind the load balancer. A rollout that shifts
/// requests has them in every environment, for both target groups, and looks at unhealthy targets too.
pub fn of_rollout(builder: &mut Builder, public: &Target) -> Vec<Handle> {
    let topic = builder.alarm_topic();
    let is_shifting = builder.service.rollout.is_shifting();
    if topic.is_none() && !is_shifting {
        return Vec::new();
    }
    let mut stopping = Vec::new();
    for (prefix, dimensions) in dimensions_of_groups(builder, public) {
        let errors = if is_shifting {
            // Within one minute, so that the first step ends before its time.
            of_load_balancer(
                "More than 5 responses of 5xx in a minute",
                "HTTPCode_Target_5XX_Count",
                &dimensions,
                ("Sum", 5.0),
                (60, 1),
            )
        } else {
            of_load_balancer(
                "More than 10 responses of 5xx in 5 minutes",
                "HTTPCode_Target_5XX_Count",
                &dimensions,
                ("Sum", 10.0),
                (300, 1),
            )
        };
        let id = format!("{prefix}ServerErrorAlarm");
        stopping.push(builder.template.add(id, errors.resource(topic.as_ref())));
        if is_shifting {
            let id = format!("{prefix}UnhealthyTargetAlarm");
            stopping.push(
                builder
                    .template
                    .add(id, unhealthy(&dimensions).resource(topic.as_ref())),
            );
        }
    }
    stopping
}

/// Returns the prefix of the logical IDs and the metrics' dimensions of each target group.
fn dimensions_of_groups(builder: &mut Builder, public: &Target) -> Vec<(&'static str, Value)> {
    let groups = ["", "Alternate"].into_iter().zip(&public.groups);
    let dimensions = groups.map(|(prefix, group)| {
        let dimensions = json!([
            { "Name": "LoadBalancer", "Value": builder.load_balancer_name() },
            { "Name": "TargetGroup", "Value": group.attribute("TargetGroupFullName") },
        ]);
        (prefix, dimensions)
    });
    dimensions.collect()
}

fn unhealthy(dimensions: &Value) -> Alarm {
    of_load_balancer(
        "A target has been unhealthy for 5 minutes",
        "UnHealthyHostCount",
        dimensions,
        ("Maximum", 0.0),
        (60, 5),
    )
}

/// Returns an alarm on a metric of the load balancer.
fn of_load_balancer(
    description: &str,
    metric: &'static str,
    dimensions: &Value,
    (statistic, threshold): (&'static str, f64),
    (period, periods): (u32, u32),
) -> Alarm {
    Alarm {
        description: description.into(),
        namespace: "AWS/ApplicationELB".into(),
        metric,
        dimensions: dimensions.clone(),
        statistic,
        threshold,
        comparison: Comparison::Above,
        period,
        periods,
    }
}

/// Adds alarms on what the load balancer measures of the service, besides those of rollouts.
fn load_balancer(builder: &mut Builder, public: &Target, topic: &Value) {
    let of_balancer = json!([{ "Name": "LoadBalancer", "Value": builder.load_balancer_name() }]);
    let unanswered = of_load_balancer(
        "The load balancer itself returned 5xx more than 10 times in 5 minutes; no target accepted the request",
        "HTTPCode_ELB_5XX_Count",
        &of_balancer,
        ("Sum", 10.0),
        (300, 1),
    );
    builder
        .template
        .add("UnansweredAlarm", unanswered.resource(Some(topic)));
    for (prefix, dimensions) in dimensions_of_groups(builder, public) {
        let latency = of_load_balancer(
            "One request in a hundred has taken more than 2 seconds for 15 minutes",
            "TargetResponseTime",
            &dimensions,
            ("p99", 2.0),
            (300, 3),
        );
        let id = format!("{prefix}LatencyAlarm");
        builder.template.add(id, latency.resource(Some(topic)));
        if !builder.service.rollout.is_shifting() {
            let id = format!("{prefix}UnhealthyTargetAlarm");
            builder.template.add(id, unhealthy(&dimensions).resource(Some(topic)));
        }
    }
}
