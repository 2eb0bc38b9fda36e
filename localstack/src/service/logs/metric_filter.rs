//! `AWS::Logs::MetricFilter`: stored and checked; no metrics are collected. Patterns are those of `FilterLogEvents`.

use serde_json::{Value, json};

use super::invalid;
use super::model::{self, with_token};
use super::pattern::Pattern;
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
        model::group(cx, &record.text("LogGroupName").unwrap_or_default())?;
        record.id = record.text("FilterName").unwrap_or_else(|| desired.generated_name(512));
        check(&record)?;
        Ok(record)
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(record)
    }
}

/// Checks that the pattern is valid and that there is exactly one metric (`PutMetricFilter`).
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

/// Counts the filters of a group.
pub fn count(cx: &Context, group: &str) -> usize {
    let found = FILTERS.list(cx).unwrap_or_default();
    found.iter().filter(|filter| filter.has("LogGroupName", group)).count()
}

/// Deletes the filters of a group that is being deleted.
pub fn delete_all(cx: &Context, group: &str) -> Result<(), AwsError> {
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
    let limit = call.limit("limit", 50, 1..=50);
    let (found, next) = page(found, limit, call.text("nextToken").as_deref())?;
    let shown: Vec<Value> = found.iter().map(description).collect();
    Ok(with_token(json!({"metricFilters": shown}), next))
}

fn description(filter: &Record) -> Value {
    let transformations = filter.properties.get("MetricTransformations").and_then(Value::as_array);
    let transformation = |metric: &Value| {
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
        "metricTransformations": transformations.into_iter().flatten().map(transformation).collect::<Vec<_>>(),
    })
}

/// `TestMetricFilter`: returns the sample messages that match the pattern.
pub fn test(call: &Call) -> Result<Value, AwsError> {
    let pattern = Pattern::parse(&call.required("filterPattern")?)?;
    let messages = texts(call.input.get("logEventMessages"));
    let matching = messages
        .iter()
        .enumerate()
        .filter(|(_, message)| pattern.matches(message));
    let matches: Vec<Value> = matching
        .map(|(n, message)| json!({"eventNumber": n + 1, "eventMessage": message, "extractedValues": {}}))
        .collect();
    Ok(json!({"matches": matches}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{context_with, create, error_code};

    #[tokio::test]
    async fn a_filter_matches_the_lines_with_its_field() {
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
        let error = create(&cx, "AWS::Logs::MetricFilter", "Bad", filter(json!([]))).await;
        assert_eq!(error_code(&error.unwrap_err()), Some("InvalidParameterException"));
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
