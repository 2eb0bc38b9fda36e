//! `AWS::Logs::MetricFilter`: stored and checked; no metrics are collected. Patterns are those of `FilterLogEvents`.

use serde_json::{Map, Value, json};

use super::model::{self, check_group_name, with_token};
use super::pattern::Pattern;
use super::{check_name, invalid, page};
use crate::records::{Record, RecordType, Records, texts};
use crate::service::Call;
use crate::service::input::{only, properties};
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
        let name = record.text("FilterName").unwrap_or_else(|| desired.generated_name(512));
        let group = record.text("LogGroupName").unwrap_or_default();
        check_filter_name("filterName", &name)?;
        record.properties.insert("FilterName".into(), name.clone().into());
        // A name is unique in its group only; the ID of a second filter of this name has the group's name too.
        record.id = match FILTERS.get(cx, &name)? {
            None => name,
            Some(_) => format!("{group}:{name}"),
        };
        check(&record)?;
        Ok(record)
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        let name = record.id.rsplit(':').next().unwrap_or_default().to_owned();
        record.properties.entry("FilterName").or_insert_with(|| name.into());
        check(record)
    }
}

/// The members of a transformation, which begin with a capital in a template.
const TRANSFORMATION: [(&str, &str); 5] = [
    ("metricName", "MetricName"),
    ("metricNamespace", "MetricNamespace"),
    ("metricValue", "MetricValue"),
    ("defaultValue", "DefaultValue"),
    ("unit", "Unit"),
];

/// `PutMetricFilter`: creates a filter, or replaces the one with this name.
pub async fn put(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let members = ["logGroupName", "filterName", "filterPattern", "metricTransformations"];
    only(call, "InvalidParameterException", &members)?;
    let name = call.required("filterName")?;
    check_filter_name("filterName", &name)?;
    check_group_name(&call.required("logGroupName")?)?;
    check_pattern(&call.text("filterPattern").unwrap_or_default())?;
    if call.list("metricTransformations").len() != 1 {
        return Err(invalid("metricTransformations must have exactly one element."));
    }
    let group = model::group_of(cx, call)?.id;
    let mut transformations = Vec::new();
    for given in call.list("metricTransformations") {
        let given_members = given.as_object().into_iter().flat_map(Map::keys);
        if let Some(other) = given_members
            .into_iter()
            .find(|member| !TRANSFORMATION.iter().any(|(known, _)| known == member))
        {
            return Err(invalid(format!(
                "The embedded endpoint does not support the member {other} of metricTransformations."
            )));
        }
        transformations.push(Value::Object(properties(&given, &TRANSFORMATION)));
    }
    let desired = json!({
        "FilterName": name, "LogGroupName": group, "FilterPattern": call.text("filterPattern").unwrap_or_default(),
        "MetricTransformations": transformations,
    });
    match find(cx, &group, &name)? {
        None => drop(cx.create_resource(MetricFilter::TYPE, desired).await?),
        Some(existing) => {
            let replace = |properties: &mut Map<String, Value>| {
                properties.extend(desired.as_object().cloned().unwrap_or_default());
                Ok(())
            };
            cx.update_resource(MetricFilter::TYPE, &existing.id, replace).await?;
        }
    }
    Ok(json!({}))
}

fn check_filter_name(member: &str, name: &str) -> Result<(), AwsError> {
    check_name(member, name, "[^:*]*", |c| !":*".contains(c))
}

fn check_pattern(pattern: &str) -> Result<(), AwsError> {
    if pattern.chars().count() > 1024 {
        return Err(invalid("filterPattern must have at most 1024 characters."));
    }
    Pattern::parse(pattern).map(drop)
}

/// `DeleteMetricFilter`.
pub async fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    check_filter_name("filterName", &call.required("filterName")?)?;
    check_group_name(&call.required("logGroupName")?)?;
    let group = model::group_of(cx, call)?.id;
    let missing = || {
        AwsError::new(
            "ResourceNotFoundException",
            "The specified metric filter does not exist.",
        )
    };
    let found = find(cx, &group, &call.required("filterName")?)?.ok_or_else(missing)?;
    cx.delete_resource(MetricFilter::TYPE, &found.id).await?;
    Ok(json!({}))
}

fn find(cx: &Context, group: &str, name: &str) -> Result<Option<Record>, AwsError> {
    FILTERS.find(cx, |filter| {
        filter.has("LogGroupName", group) && self::name(filter) == name
    })
}

fn name(filter: &Record) -> String {
    filter.text("FilterName").unwrap_or_else(|| filter.id.clone())
}

/// Checks that the pattern is valid and that there is exactly one metric (`PutMetricFilter`).
fn check(record: &Record) -> Result<(), AwsError> {
    check_pattern(&record.text("FilterPattern").unwrap_or_default())?;
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
    let metric = [("metricName", "MetricName"), ("metricNamespace", "MetricNamespace")];
    if !prefix.is_empty() {
        check_filter_name("filterNamePrefix", &prefix)?;
    }
    for (member, _) in metric {
        if call.text(member).is_some_and(|text| text.chars().count() > 255) {
            return Err(invalid(format!("{member} must have at most 255 characters.")));
        }
    }
    if call.text("metricName").is_some() != call.text("metricNamespace").is_some() {
        return Err(invalid("metricName and metricNamespace must be given together."));
    }
    let mut found = FILTERS.list(cx)?;
    if let Some(group) = &group {
        check_group_name(group)?;
        model::group(cx, group)?;
    }
    let is_of_metric = |filter: &Record| {
        let transformations = filter.properties.get("MetricTransformations").and_then(Value::as_array);
        let same = |one: &Value| {
            let matches =
                |(member, property): &(&str, &str)| call.text(member).is_none_or(|text| one[*property] == *text);
            metric.iter().all(matches)
        };
        transformations.into_iter().flatten().any(same)
    };
    found.retain(|f| name(f).starts_with(&prefix) && group.as_ref().is_none_or(|g| f.has("LogGroupName", g)));
    found.retain(is_of_metric);
    let limit = super::limit(call, 50, 50)?;
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
        "filterName": name(filter), "filterPattern": filter.text("FilterPattern"),
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
