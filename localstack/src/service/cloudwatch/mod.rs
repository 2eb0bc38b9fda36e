//! Amazon CloudWatch: alarms and dashboards are stored only. The metrics are those of `PutMetricData`, kept in memory, and the usage
//! of Fargate. No metric is evaluated, so that an alarm changes its state by `SetAlarmState` alone.

mod alarm_rules;
mod expression;
mod metric_data;
mod metrics;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use alarm_rules::check;

use super::ecs::fargate::{Class, running_vcpus};
use super::input::retag;
use crate::records::{Record, RecordType, Records, WriteLock, iso, now, page, record_type, scalar, texts};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Resource, ResourceType, Schema, Service};

const ALARMS: Records = Records("cloudwatch.alarms");
const DASHBOARDS: Records = Records("cloudwatch.dashboards");
/// Computed values of an alarm: the times of its last changes, in milliseconds since 1970.
const CHANGED: &str = "Changed";
const STATE_CHANGED: &str = "StateChanged";
const STATE_REASON: &str = "Unchecked: Initial alarm creation";

/// Returns the CloudWatch service.
pub fn service() -> Arc<dyn Service> {
    Arc::new(CloudWatch)
}

struct CloudWatch;

#[async_trait]
impl Service for CloudWatch {
    fn name(&self) -> &'static str {
        "monitoring"
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![record_type::<Alarm>(), record_type::<Dashboard>()]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "DescribeAlarms" => alarms(cx, &call),
            "SetAlarmState" => set_state(cx, &call),
            "ListDashboards" => dashboards(cx, &call),
            "GetDashboard" => {
                let name = call.required("DashboardName")?;
                let missing = || AwsError::new("ResourceNotFound", format!("Dashboard {name} does not exist"));
                let found = DASHBOARDS.get(cx, &name)?.ok_or_else(|| missing().with_status(404))?;
                Ok(json!({
                    "DashboardName": name, "DashboardArn": dashboard_arn(cx, &name), "DashboardBody": body(&found),
                }))
            }
            "GetMetricStatistics" => match call.text("Namespace").as_deref() {
                Some("AWS/Usage") => usage(cx, &call),
                _ => metrics::statistics(cx, &call),
            },
            "GetMetricData" => metric_data::get(cx, &call),
            "DescribeAlarmsForMetric" => alarms_for_metric(cx, &call),
            "PutMetricData" => metrics::put(cx, &call),
            "ListMetrics" => metrics::list(cx, &call),
            "PutMetricAlarm" => write::put_alarm(cx, &call).await,
            "DeleteAlarms" => write::delete_alarms(cx, &call).await,
            "EnableAlarmActions" | "DisableAlarmActions" => write::enable_actions(cx, &call).await,
            "PutDashboard" => write::put_dashboard(cx, &call).await,
            "DeleteDashboards" => write::delete_dashboards(cx, &call).await,
            "TagResource" | "UntagResource" => {
                let alarm = tagged(cx, &call)?;
                retag(cx, ALARMS, &alarm.id, &call.input["Tags"], &call.input["TagKeys"])?;
                Ok(json!({}))
            }
            "ListTagsForResource" => Ok(json!({"Tags": tagged(cx, &call)?.tag_list()})),
            other => Err(AwsError::not_implemented("monitoring", other)),
        }
    }
}

/// Returns the alarm whose tags a call reads or changes.
fn tagged(cx: &Context, call: &Call) -> Result<Record, AwsError> {
    let arn = call.required("ResourceARN")?;
    let name = arn.split_once(":alarm:").map_or("", |(_, name)| name);
    let missing = || AwsError::new("ResourceNotFoundException", format!("{arn} does not exist")).with_status(404);
    ALARMS.get(cx, name)?.ok_or_else(missing)
}

/// Returns the vCPUs of Fargate as the only datapoint, if any task runs ("AWS Fargate usage metrics").
///
/// # Errors
/// `NotImplemented` for any other metric.
fn usage(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let dimension = |name: &str| {
        let dimensions = call.list("Dimensions");
        let found = dimensions.iter().find(|one| one["Name"] == name);
        found.and_then(|one| one["Value"].as_str().map(str::to_owned))
    };
    let (namespace, metric) = (call.required("Namespace")?, call.required("MetricName")?);
    let subject = ["Service", "Resource", "Class"].map(|name| dimension(name).unwrap_or_default());
    let class = match [namespace.as_str(), &metric, &subject[0], &subject[1], &subject[2]] {
        ["AWS/Usage", "ResourceCount", "Fargate", "vCPU", "Standard/OnDemand"] => Class::OnDemand,
        ["AWS/Usage", "ResourceCount", "Fargate", "vCPU", "Standard/Spot"] => Class::Spot,
        _ => {
            let operation = format!("GetMetricStatistics for {namespace} {metric} {}", subject.join(" "));
            return Err(AwsError::not_implemented("monitoring", operation.trim_end()));
        }
    };
    let vcpus = running_vcpus(cx, class)?;
    let mut datapoints = Vec::new();
    if vcpus > 0.0 {
        let mut datapoint = json!({"Timestamp": iso(now()), "Unit": "None"});
        for statistic in texts(call.input.get("Statistics")) {
            datapoint[statistic.as_str()] = if statistic == "SampleCount" { 1.0 } else { vcpus }.into();
        }
        datapoints.push(datapoint);
    }
    Ok(json!({"Label": metric, "Datapoints": datapoints}))
}

struct Alarm;

impl RecordType for Alarm {
    const TYPE: &'static str = "AWS::CloudWatch::Alarm";
    const RECORDS: Records = ALARMS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "AlarmName",
                "AlarmDescription",
                "ActionsEnabled",
                "AlarmActions",
                "OKActions",
                "InsufficientDataActions",
                "ComparisonOperator",
                "DatapointsToAlarm",
                "Dimensions",
                "EvaluateLowSampleCountPercentile",
                "EvaluationPeriods",
                "ExtendedStatistic",
                "MetricName",
                "Metrics",
                "Namespace",
                "Period",
                "Statistic",
                "Threshold",
                "ThresholdMetricId",
                "TreatMissingData",
                "Unit",
                "Tags",
            ],
            required: &["ComparisonOperator", "EvaluationPeriods"],
            create_only: &["AlarmName"],
            attributes: &["Arn"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        record.id = record.text("AlarmName").unwrap_or_else(|| desired.generated_name(255));
        if ALARMS.get(cx, &record.id)?.is_some() {
            return Err(AwsError::new("AlreadyExists", format!("{} already exists", record.id)));
        }
        check(&record)?;
        Ok(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Arn", alarm_arn(cx, &record.id))
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        record.computed.insert(CHANGED.into(), now().into());
        check(record)
    }
}

struct Dashboard;

impl RecordType for Dashboard {
    const TYPE: &'static str = "AWS::CloudWatch::Dashboard";
    const RECORDS: Records = DASHBOARDS;

    fn schema() -> Schema {
        Schema {
            properties: &["DashboardName", "DashboardBody"],
            required: &["DashboardBody"],
            create_only: &["DashboardName"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        record.id = record
            .text("DashboardName")
            .unwrap_or_else(|| desired.generated_name(255));
        if DASHBOARDS.get(cx, &record.id)?.is_some() {
            return Err(AwsError::new("AlreadyExists", format!("{} already exists", record.id)));
        }
        check_body(&record)?;
        Ok(record)
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check_body(record)
    }
}

fn check_body(dashboard: &Record) -> Result<(), AwsError> {
    match serde_json::from_str::<Value>(&body(dashboard)) {
        Ok(Value::Object(_)) => Ok(()),
        _ => Err(AwsError::new(
            "InvalidParameterInput",
            "The field DashboardBody must be a valid JSON object",
        )),
    }
}

fn body(dashboard: &Record) -> String {
    match dashboard.properties.get("DashboardBody") {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

fn alarms(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let names = texts(call.input.get("AlarmNames"));
    let prefix = call.text("AlarmNamePrefix").unwrap_or_default();
    let state = call.text("StateValue");
    let mut found = ALARMS.list(cx)?;
    found.retain(|a| (names.is_empty() || names.contains(&a.id)) && a.id.starts_with(&prefix));
    found.retain(|alarm| state.as_deref().is_none_or(|requested| state_of(alarm) == requested));
    let limit = call.limit("MaxRecords", 50, 1..=100);
    let (found, next) = page(found, limit, call.text("NextToken").as_deref())?;
    let shown: Vec<Value> = found.iter().map(|alarm| description(cx, alarm)).collect();
    let mut response = json!({"MetricAlarms": shown, "CompositeAlarms": []});
    if let Some(token) = next {
        response["NextToken"] = token.into();
    }
    Ok(response)
}

/// `DescribeAlarmsForMetric`: the alarms about one metric alone, with the statistic, period and unit that the call names.
fn alarms_for_metric(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let asked = metrics::dimensions(&call.input);
    let mut found = ALARMS.list(cx)?;
    found.retain(|alarm| {
        let scalars = [
            "Namespace",
            "MetricName",
            "Statistic",
            "ExtendedStatistic",
            "Period",
            "Unit",
        ];
        let same = |member: &&str| call.text(member).is_none_or(|value| alarm.has(member, &value));
        scalars.iter().all(same) && metrics::dimensions(&Value::Object(alarm.properties.clone())) == asked
    });
    let shown: Vec<Value> = found.iter().map(|alarm| description(cx, alarm)).collect();
    Ok(json!({"MetricAlarms": shown}))
}

/// Sets the state until the next call: no metric changes it.
fn set_state(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (name, value) = (call.required("AlarmName")?, call.required("StateValue")?);
    let reason = call.required("StateReason")?;
    if !["OK", "ALARM", "INSUFFICIENT_DATA"].contains(&value.as_str()) {
        return Err(AwsError::validation(format!(
            "StateValue '{value}' is not one of OK, ALARM, INSUFFICIENT_DATA"
        )));
    }
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let missing = || AwsError::new("ResourceNotFound", format!("Alarm {name} does not exist")).with_status(404);
    let mut alarm = ALARMS.get(cx, &name)?.ok_or_else(missing)?;
    alarm.computed.insert("StateValue".into(), value.into());
    alarm.computed.insert("StateReason".into(), reason.into());
    alarm.computed.insert(STATE_CHANGED.into(), now().into());
    ALARMS.put(cx, &alarm)?;
    Ok(json!({}))
}

fn state_of(alarm: &Record) -> String {
    alarm
        .computed("StateValue")
        .unwrap_or_else(|| "INSUFFICIENT_DATA".into())
}

/// Returns those of the named alarms that are raised.
///
/// # Errors
/// The store cannot be read.
pub(crate) fn raised(cx: &Context, names: &[String]) -> Result<Vec<String>, AwsError> {
    let mut found = Vec::new();
    for name in names {
        if ALARMS.get(cx, name)?.is_some_and(|alarm| state_of(&alarm) == "ALARM") {
            found.push(name.clone());
        }
    }
    Ok(found)
}

fn description(cx: &Context, alarm: &Record) -> Value {
    let mut item = alarm.properties.clone();
    for number in ["EvaluationPeriods", "DatapointsToAlarm", "Period"] {
        if let Some(value) = alarm.text(number).and_then(|text| text.parse::<i64>().ok()) {
            item.insert(number.into(), value.into());
        }
    }
    if let Some(threshold) = alarm.text("Threshold").and_then(|text| text.parse::<f64>().ok()) {
        item.insert("Threshold".into(), threshold.into());
    }
    let enabled = item
        .get("ActionsEnabled")
        .and_then(scalar)
        .is_none_or(|flag| flag == "true");
    item.insert("ActionsEnabled".into(), enabled.into());
    for actions in ["AlarmActions", "OKActions", "InsufficientDataActions", "Dimensions"] {
        item.entry(actions).or_insert_with(|| json!([]));
    }
    let changed = alarm
        .computed
        .get(CHANGED)
        .and_then(Value::as_i64)
        .unwrap_or(alarm.created);
    let state_changed = alarm
        .computed
        .get(STATE_CHANGED)
        .and_then(Value::as_i64)
        .unwrap_or(alarm.created);
    item.insert("AlarmConfigurationUpdatedTimestamp".into(), iso(changed).into());
    item.insert("StateUpdatedTimestamp".into(), iso(state_changed).into());
    item.insert("StateTransitionedTimestamp".into(), iso(state_changed).into());
    item.insert("AlarmName".into(), alarm.id.clone().into());
    item.insert("AlarmArn".into(), alarm_arn(cx, &alarm.id).into());
    item.insert("StateValue".into(), state_of(alarm).into());
    let reason = alarm.computed("StateReason").unwrap_or_else(|| STATE_REASON.into());
    item.insert("StateReason".into(), reason.into());
    Value::Object(item)
}

fn dashboards(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let prefix = call.text("DashboardNamePrefix").unwrap_or_default();
    let mut found = DASHBOARDS.list(cx)?;
    found.retain(|dashboard| dashboard.id.starts_with(&prefix));
    let shown = |dashboard: &Record| {
        json!({
            "DashboardName": dashboard.id, "DashboardArn": dashboard_arn(cx, &dashboard.id),
            "LastModified": iso(dashboard.created), "Size": body(dashboard).len(),
        })
    };
    Ok(json!({"DashboardEntries": found.iter().map(shown).collect::<Vec<_>>()}))
}

fn alarm_arn(cx: &Context, name: &str) -> String {
    cx.arn("cloudwatch", &format!("alarm:{name}"))
}

/// Returns a dashboard's ARN, which has no region because dashboards are global.
fn dashboard_arn(cx: &Context, name: &str) -> String {
    format!("arn:aws:cloudwatch::{}:dashboard/{name}", cx.account())
}
