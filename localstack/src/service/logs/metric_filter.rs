//! Metric filters: kept and checked, with patterns that are the ones of `FilterLogEvents`; no metrics are collected here.

use serde_json::{Value, json};

use super::group::GROUPS;
use super::pattern::Pattern;
use super::{invalid, missing};
use crate::records::{Record, RecordType, Records, page, texts};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Schema};

const FILTERS: Records = Records("logs.metric-filters");

pub struct MetricFilter;

impl RecordType for MetricFilter {
    const TYPE: &'static str = "AWS::Logs::MetricFilter";
    const RECORDS: Records = FILTERS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "ApplyOnTransformedLogs",
                "EmitSystemFieldDimensions",
                "FieldSelectionCriteria",
                "FilterName",
                "FilterPattern",
                "LogGroupName",
                "MetricTransformations",
            ],
            required: &["FilterPattern", "LogGroupName", "MetricTransformations"],
            create_only: &["FilterName", "LogGroupName"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        let group = record.text("LogGroupName").unwrap_or_default();
        if GROUPS.get(cx, &group)?.is_none() {
            return Err(missing("group"));
        }
        record.id = record.text("FilterName").unwrap_or_else(|| desired.generated_name(512));
        check(&record)?;
        Ok(record)
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(record)
    }
}

/// The pattern can be read, and there is one metric to make of it (`PutMetricFilter`).
fn check(record: &Record) -> Result<(), AwsError> {
    Pattern::parse(&record.text("FilterPattern").unwrap_or_default())?;
    let metrics = record.properties.get("MetricTransformations").and_then(Value::as_array);
    let Some([metric]) = metrics.map(Vec::as_slice) else {
        return Err(invalid("MetricTransformations must have exactly one element."));
    };
    match ["MetricName", "MetricNamespace", "MetricValue"]
        .iter()
        .find(|member| metric[**member].is_null())
    {
        Some(member) => Err(invalid(format!("MetricTransformations: {member} is missing."))),
        None => Ok(()),
    }
}

/// How many filters a group has.
pub fn count(cx: &Context, group: &str) -> usize {
    let found = FILTERS.list(cx).unwrap_or_default();
    found.iter().filter(|filter| filter.has("LogGroupName", group)).count()
}

/// A group's filters go with it.
pub fn forget_group(cx: &Context, group: &str) -> Result<(), AwsError> {
    for filter in FILTERS.list(cx)?.iter().filter(|f| f.has("LogGroupName", group)) {
        FILTERS.delete(cx, &filter.id)?;
    }
    Ok(())
}

/// `DescribeMetricFilters`.
pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (group, prefix) = (
        call.text("logGroupName"),
        call.text("filterNamePrefix").unwrap_or_default(),
    );
    let mut found = FILTERS.list(cx)?;
    found.retain(|f| f.id.starts_with(&prefix) && group.as_ref().is_none_or(|g| f.has("LogGroupName", g)));
    let limit = call.integer("limit").unwrap_or(50).clamp(1, 50) as usize;
    let (found, next) = page(found, limit, call.text("nextToken").as_deref())?;
    let shown: Vec<Value> = found.iter().map(description).collect();
    Ok(super::group::with_token(json!({"metricFilters": shown}), next))
}

fn description(filter: &Record) -> Value {
    let transformations = filter.properties.get("MetricTransformations").and_then(Value::as_array);
    let lower = |metric: &Value| {
        let mut shown = json!({
            "metricName": metric["MetricName"], "metricNamespace": metric["MetricNamespace"],
            "metricValue": metric["MetricValue"],
        });
        for (from, to) in [("DefaultValue", "defaultValue"), ("Unit", "unit")] {
            if !metric[from].is_null() {
                shown[to] = metric[from].clone();
            }
        }
        shown
    };
    json!({
        "filterName": filter.id, "filterPattern": filter.text("FilterPattern"),
        "logGroupName": filter.text("LogGroupName"), "creationTime": filter.created,
        "metricTransformations": transformations.into_iter().flatten().map(lower).collect::<Vec<_>>(),
    })
}

/// `TestMetricFilter`: which of the sample messages the pattern takes.
pub fn test(call: &Call) -> Result<Value, AwsError> {
    let pattern = Pattern::parse(&call.required("filterPattern")?)?;
    let messages = texts(call.input.get("logEventMessages"));
    let taken = messages
        .iter()
        .enumerate()
        .filter(|(_, message)| pattern.matches(message));
    let matches: Vec<Value> = taken
        .map(|(n, message)| json!({"eventNumber": n + 1, "eventMessage": message, "extractedValues": {}}))
        .collect();
    Ok(json!({"matches": matches}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{context_with, create};

    #[tokio::test]
    async fn a_filter_takes_the_lines_that_have_its_number() {
        let (cx, _folder) = context_with(vec![super::super::service()]);
        create(
            &cx,
            "AWS::Logs::LogGroup",
            "Group",
            json!({"LogGroupName": "/ecs/shop"}),
        )
        .await
        .unwrap();
        let pattern = "{ $.fields.outbox_oldest_age_seconds = * }";
        let metric = json!({"MetricName": "Age", "MetricNamespace": "shop", "MetricValue": "$.fields.outbox_oldest_age_seconds"});
        let filter = |metrics: Value| json!({"LogGroupName": "/ecs/shop", "FilterPattern": pattern, "MetricTransformations": metrics});
        assert!(
            create(&cx, "AWS::Logs::MetricFilter", "Bad", filter(json!([])))
                .await
                .is_err()
        );
        create(&cx, "AWS::Logs::MetricFilter", "Age", filter(json!([metric])))
            .await
            .unwrap();
        assert_eq!(count(&cx, "/ecs/shop"), 1);
        let lines = [
            r#"{"message":"measured","fields":{"outbox_oldest_age_seconds":12.5}}"#,
            r#"{"message":"other","fields":{"colour":"red"}}"#,
        ];
        let call = Call {
            operation: "TestMetricFilter".into(),
            input: json!({"filterPattern": pattern, "logEventMessages": lines}),
            region: "us-east-1".into(),
        };
        assert_eq!(test(&call).unwrap()["matches"][0]["eventNumber"], 1);
        assert_eq!(test(&call).unwrap()["matches"].as_array().unwrap().len(), 1);
    }
}
