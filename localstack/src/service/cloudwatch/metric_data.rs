//! `GetMetricData`: statistics of metrics, and expressions of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::expression;
use super::metrics::{Metric, Query, STATISTICS, aggregate, dimensions, milliseconds};
use crate::records::{iso, scalar};
use crate::service::Call;
use crate::service::input::only;
use crate::{AwsError, Context};

/// The number of queries that one call may have.
const MAX_QUERIES: usize = 500;

pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(
        call,
        "ValidationError",
        &[
            "MetricDataQueries",
            "StartTime",
            "EndTime",
            "ScanBy",
            "MaxDatapoints",
            "LabelOptions",
        ],
    )?;
    let queries = call.list("MetricDataQueries");
    if queries.len() > MAX_QUERIES {
        return Err(AwsError::validation(format!(
            "MetricDataQueries must have at most {MAX_QUERIES} elements."
        )));
    }
    let time = |member: &str| {
        let value = call.input.get(member).and_then(milliseconds);
        value.ok_or_else(|| AwsError::validation(format!("The parameter {member} is required.")))
    };
    let (start, end) = (time("StartTime")?, time("EndTime")?);
    // Milliseconds do not count.
    if start / 1000 == end / 1000 {
        let message = "The parameter StartTime must not equal parameter EndTime.";
        return Err(AwsError::validation(message));
    }
    if start > end {
        return Err(AwsError::validation(
            "The parameter EndTime must be greater than StartTime.",
        ));
    }
    let newest_first = call.text("ScanBy").as_deref() != Some("TimestampAscending");
    let mut series: BTreeMap<String, BTreeMap<i64, f64>> = BTreeMap::new();
    for (at, query) in queries.iter().enumerate() {
        if let Some(statistic) = query.get("MetricStat") {
            series.insert(id(query), values(cx, statistic, start, end)?);
        } else if query.get("Expression").is_none() {
            return Err(AwsError::validation(format!(
                "The parameter MetricDataQueries.member.{}.MetricStat is required.\n",
                at + 1
            )));
        }
    }
    // Expressions may name others in any order.
    let mut open: Vec<&Value> = queries
        .iter()
        .filter(|query| query.get("Expression").is_some())
        .collect();
    while !open.is_empty() {
        let before = open.len();
        let mut failed = None;
        let mut rest = Vec::new();
        for query in open {
            let text = query.get("Expression").and_then(scalar).unwrap_or_default();
            match expression::evaluate(&text, &series) {
                Ok(result) => {
                    series.insert(id(query), result);
                }
                Err(error) => {
                    failed = Some(error);
                    rest.push(query);
                }
            }
        }
        open = rest;
        if let (Some(error), true) = (failed, open.len() == before) {
            return Err(error);
        }
    }
    let shown = queries.iter().filter(|query| {
        let returns = query.get("ReturnData").and_then(scalar);
        returns.is_none_or(|flag| flag != "false")
    });
    let shown = shown.map(|query| {
        let found = series.get(&id(query)).cloned().unwrap_or_default();
        let mut points: Vec<(i64, f64)> = found.into_iter().collect();
        if newest_first {
            points.reverse();
        }
        json!({
            "Id": id(query), "Label": label(query), "StatusCode": "Complete",
            "Timestamps": points.iter().map(|(at, _)| iso(*at)).collect::<Vec<_>>(),
            "Values": points.iter().map(|(_, value)| *value).collect::<Vec<_>>(),
        })
    });
    Ok(json!({"MetricDataResults": shown.collect::<Vec<_>>(), "Messages": []}))
}

fn id(query: &Value) -> String {
    query.get("Id").and_then(scalar).unwrap_or_default()
}

/// Returns the label of a query: its own, or one of the metric and its statistic, or its id.
fn label(query: &Value) -> String {
    let of = |pointer: &str| query.pointer(pointer).and_then(scalar);
    let of_metric = || {
        let name = of("/MetricStat/Metric/MetricName")?;
        Some(format!("{name} {}", of("/MetricStat/Stat")?))
    };
    of("/Label").or_else(of_metric).unwrap_or_else(|| id(query))
}

fn values(cx: &Context, statistic: &Value, start: i64, end: i64) -> Result<BTreeMap<i64, f64>, AwsError> {
    let of = |pointer: &str| statistic.pointer(pointer).and_then(scalar);
    let name = of("/Stat").unwrap_or_default();
    if !STATISTICS.contains(&name.as_str()) {
        return Err(AwsError::validation(format!(
            "The embedded endpoint has the statistics {}, not {name}.",
            STATISTICS.join(", ")
        )));
    }
    let period = of("/Period")
        .and_then(|period| period.parse().ok())
        .filter(|period| *period > 0);
    let query = Query {
        metric: Metric {
            namespace: of("/Metric/Namespace").unwrap_or_default(),
            name: of("/Metric/MetricName").unwrap_or_default(),
            dimensions: dimensions(&statistic["Metric"]),
        },
        range: start..end,
        period: period.ok_or_else(|| AwsError::validation("The parameter Period must be greater than 0."))?,
        unit: of("/Unit"),
    };
    let found = aggregate(cx, &query).into_iter();
    Ok(found.map(|(at, values)| (at, values.statistic(&name))).collect())
}
