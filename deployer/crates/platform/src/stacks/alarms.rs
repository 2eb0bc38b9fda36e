//! The topic of alarms, and the alarm resource.

use serde_json::{Value, json};

use super::inputs::Inputs;
use super::{Stack, kms, name_of};
use crate::manifest::Manifest;
use cfn::template::{Resource, Template, sub};

const STACK: &str = "alarms";
const OUTPUT: &str = "AlarmTopicArn";

/// Returns the stack of the topic that alarms publish to; `None` without alarms.
pub fn stack(manifest: &Manifest) -> Option<Stack> {
    let alarms = manifest.alarms.as_ref()?;
    let mut template = Template::new(format!("{}: the topic of alarms", manifest.prefix()));
    let mut inputs = Inputs::default();
    let key = kms::arn(manifest, &mut template, &mut inputs);
    let topic = Resource::new("AWS::SNS::Topic")
        .with("DisplayName", manifest.prefix())
        .with_some("KmsMasterKeyId", key.clone());
    let topic = match key {
        Some(_) => topic,
        None => topic.skip_check(
            "CKV_AWS_26",
            "CloudWatch cannot publish to a topic under an AWS managed key; environments with customer_key encrypt it",
        ),
    };
    let topic = template.add("AlarmTopic", topic);
    template.add(
        "AlarmTopicPolicy",
        Resource::new("AWS::SNS::TopicPolicy")
            .with("Topics", vec![topic.reference()])
            .with("PolicyDocument", policy(&topic.reference())),
    );
    if let Some(address) = &alarms.email {
        template.add(
            "AlarmEmail",
            Resource::new("AWS::SNS::Subscription")
                .with("TopicArn", topic.reference())
                .with("Protocol", "email")
                .with("Endpoint", address.clone()),
        );
    }
    template.output(OUTPUT, "ARN of the topic of alarms", topic.reference());
    Some(Stack {
        name: name_of(manifest, STACK),
        short_name: STACK.into(),
        template: template.to_json(),
        parameters: inputs.parameters,
        depends_on: inputs.depends_on,
    })
}

/// Allows alarms of this account to publish, and denies requests without TLS.
fn policy(topic: &Value) -> Value {
    let alarms = sub(
        "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*",
        [],
    );
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AlarmsOfThisAccount",
                "Effect": "Allow",
                "Principal": { "Service": "cloudwatch.amazonaws.com" },
                "Action": "sns:Publish",
                "Resource": topic,
                "Condition": { "ArnLike": { "aws:SourceArn": alarms } },
            },
            {
                "Sid": "DenyWithoutTls",
                "Effect": "Deny",
                "Principal": { "AWS": "*" },
                "Action": "sns:Publish",
                "Resource": topic,
                "Condition": { "Bool": { "aws:SecureTransport": "false" } },
            },
        ],
    })
}

/// Returns the topic's ARN as a parameter of another stack; `None` without alarms.
pub fn topic(manifest: &Manifest, template: &mut Template, inputs: &mut Inputs) -> Option<Value> {
    let parameter = (OUTPUT, "String", "ARN of the topic of alarms");
    manifest
        .alarms
        .is_some()
        .then(|| inputs.output(manifest, template, parameter, STACK))
}

/// An alarm on one metric.
#[derive(Debug, Clone)]
pub struct Alarm {
    /// Description for the recipient of the notification.
    pub description: String,
    /// The metric's namespace.
    pub namespace: String,
    /// The metric's name.
    pub metric: &'static str,
    /// `[{ "Name": …, "Value": … }]`.
    pub dimensions: Value,
    /// `Average`, `Maximum`, `Minimum`, `Sum`, or a percentile such as `p99`.
    pub statistic: &'static str,
    /// The value that the statistic must not exceed, or fall below.
    pub threshold: f64,
    /// The comparison with the threshold.
    pub comparison: Comparison,
    /// Seconds of one period.
    pub period: u32,
    /// Consecutive periods beyond the threshold.
    pub periods: u32,
}

/// The side of the threshold on which an alarm is raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// For usage and errors.
    Above,
    /// For reserves, such as free storage.
    Below,
}

impl Alarm {
    /// Returns the resource, which publishes to `topic` when it is raised and when it ends. Missing data does not raise it.
    pub fn resource(self, topic: Option<&Value>) -> Resource {
        let statistic = if self.statistic.starts_with('p') {
            "ExtendedStatistic"
        } else {
            "Statistic"
        };
        alarm(&self.description, topic)
            .with("Namespace", self.namespace)
            .with("MetricName", self.metric)
            .with("Dimensions", self.dimensions)
            .with(statistic, self.statistic)
            .with("Period", self.period)
            .with("EvaluationPeriods", self.periods)
            .with("Threshold", self.threshold)
            .with(
                "ComparisonOperator",
                match self.comparison {
                    Comparison::Above => "GreaterThanThreshold",
                    Comparison::Below => "LessThanThreshold",
                },
            )
    }
}

/// Returns an alarm on an expression above 0; `metrics` are CloudWatch's `MetricDataQuery` objects.
pub fn on_expression(description: &str, metrics: Value, periods: u32, topic: &Value) -> Resource {
    alarm(description, Some(topic))
        .with("Metrics", metrics)
        .with("EvaluationPeriods", periods)
        .with("Threshold", 0)
        .with("ComparisonOperator", "GreaterThanThreshold")
}

fn alarm(description: &str, topic: Option<&Value>) -> Resource {
    let actions = topic.map(|topic| json!([topic]));
    Resource::new("AWS::CloudWatch::Alarm")
        .with("AlarmDescription", description)
        .with("TreatMissingData", "notBreaching")
        .with_some("AlarmActions", actions.clone())
        .with_some("OKActions", actions)
}
