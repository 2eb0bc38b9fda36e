//! Where alarms go, and what an alarm is.

use serde_json::{Value, json};

use super::inputs::Inputs;
use super::{Stack, kms, name_of};
use crate::manifest::Manifest;
use cfn::template::{Resource, Template, sub};

const SHORT: &str = "alarms";
const OUTPUT: &str = "AlarmTopicArn";

/// The topic that alarms are published to; none where nothing is watched.
pub fn stack(manifest: &Manifest) -> Option<Stack> {
    let alarms = manifest.alarms.as_ref()?;
    let mut template = Template::new(format!("{}: where alarms go", manifest.prefix()));
    let mut inputs = Inputs::default();
    let key = kms::arn(manifest, &mut template, &mut inputs);
    let topic = Resource::new("AWS::SNS::Topic")
        .with("DisplayName", manifest.prefix())
        .with_some("KmsMasterKeyId", key.clone());
    let topic = match key {
        Some(_) => topic,
        None => topic.waiving(
            "CKV_AWS_26",
            "CloudWatch cannot publish to a topic under AWS's own key; environments with customer_key encrypt it",
        ),
    };
    let topic = template.add("AlarmTopic", topic);
    template.add(
        "AlarmTopicPolicy",
        Resource::new("AWS::SNS::TopicPolicy")
            .with("Topics", vec![topic.reference()])
            .with("PolicyDocument", policy(topic.reference())),
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
    template.output(OUTPUT, "The topic of all alarms", topic.reference());
    Some(Stack {
        name: name_of(manifest, SHORT),
        short: SHORT.into(),
        template: template.to_json(),
        parameters: inputs.parameters,
        depends_on: inputs.depends_on,
    })
}

/// CloudWatch alarms of this account may publish, in the clear nobody.
fn policy(topic: Value) -> Value {
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
                "Resource": topic.clone(),
                "Condition": { "ArnLike": { "aws:SourceArn": alarms } },
            },
            {
                "Sid": "NothingInTheClear",
                "Effect": "Deny",
                "Principal": { "AWS": "*" },
                "Action": "sns:Publish",
                "Resource": topic,
                "Condition": { "Bool": { "aws:SecureTransport": "false" } },
            },
        ],
    })
}

/// The topic's ARN as a parameter of another stack, where there is one.
pub fn topic(manifest: &Manifest, template: &mut Template, inputs: &mut Inputs) -> Option<Value> {
    let parameter = (OUTPUT, "String", "The topic of all alarms");
    manifest
        .alarms
        .is_some()
        .then(|| inputs.take(manifest, template, parameter, SHORT))
}

/// One alarm: what is measured, and from when on somebody is told.
#[derive(Debug, Clone)]
pub struct Alarm {
    /// What it means, in words for whoever is woken.
    pub words: String,
    pub namespace: String,
    pub metric: &'static str,
    /// `[{ "Name": …, "Value": … }]`.
    pub dimensions: Value,
    /// `Average`, `Maximum`, `Minimum`, `Sum`, or a percentile such as `p99`.
    pub statistic: &'static str,
    /// It rings beyond this value, for `Side::Above` above it.
    pub threshold: f64,
    pub side: Side,
    /// Seconds of one period, and how many in a row.
    pub period: u32,
    pub periods: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Above,
    #[allow(dead_code, reason = "for what runs out, such as free storage")]
    Below,
}

impl Alarm {
    /// The resource; it publishes to `topic` when it rings and when it is over. Missing data is no reason to ring.
    pub fn resource(self, topic: &Value) -> Resource {
        let statistic = match self.statistic.starts_with('p') {
            true => "ExtendedStatistic",
            false => "Statistic",
        };
        declared(&self.words, topic)
            .with("Namespace", self.namespace)
            .with("MetricName", self.metric)
            .with("Dimensions", self.dimensions)
            .with(statistic, self.statistic)
            .with("Period", self.period)
            .with("EvaluationPeriods", self.periods)
            .with("Threshold", self.threshold)
            .with(
                "ComparisonOperator",
                match self.side {
                    Side::Above => "GreaterThanThreshold",
                    Side::Below => "LessThanThreshold",
                },
            )
    }
}

/// An alarm over an expression: `metrics` as CloudWatch's `MetricDataQuery` takes them; it rings above 0.
pub fn over_expression(words: &str, metrics: Value, periods: u32, topic: &Value) -> Resource {
    declared(words, topic)
        .with("Metrics", metrics)
        .with("EvaluationPeriods", periods)
        .with("Threshold", 0)
        .with("ComparisonOperator", "GreaterThanThreshold")
}

fn declared(words: &str, topic: &Value) -> Resource {
    Resource::new("AWS::CloudWatch::Alarm")
        .with("AlarmDescription", words)
        .with("TreatMissingData", "notBreaching")
        .with("AlarmActions", json!([topic]))
        .with("OKActions", json!([topic]))
}
