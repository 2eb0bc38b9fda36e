//! The metrics of `PutMetricData`, in memory: the newest 100,000 datapoints, which are gone after a restart.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::records::{iso, now, page, scalar, texts};
use crate::service::Call;
use crate::service::input::only;
use crate::{AwsError, Context};

const MAX_DATAPOINTS: usize = 100_000;
/// The number of datapoints that one call may carry.
const MAX_DATA: usize = 1000;
/// The number of datapoints that one answer may have.
const MAX_STATISTICS: i64 = 1440;
pub const STATISTICS: [&str; 5] = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"];

#[derive(Default)]
struct Datapoints(Mutex<VecDeque<Datapoint>>);

struct Datapoint {
    metric: Metric,
    /// Milliseconds since 1970.
    at: i64,
    sum: f64,
    count: f64,
    minimum: f64,
    maximum: f64,
    unit: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Metric {
    pub namespace: String,
    pub name: String,
    /// Sorted by name.
    pub dimensions: Vec<(String, String)>,
}

/// `PutMetricData`.
pub fn put(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(call, "InvalidParameterValue", &["Namespace", "MetricData"])?;
    let namespace = call.required("Namespace")?;
    if namespace.is_empty() || namespace.starts_with("AWS/") {
        return Err(invalid("The value AWS/ for parameter Namespace is invalid."));
    }
    let data = call.list("MetricData");
    if data.is_empty() || data.len() > MAX_DATA {
        return Err(invalid(format!("MetricData must have 1 to {MAX_DATA} elements.")));
    }
    let read = data.iter().enumerate().map(|(at, datum)| {
        check_values(datum, at + 1)?;
        datapoints(&namespace, datum)
    });
    let read = read.collect::<Result<Vec<_>, _>>()?;
    let all = cx.extension::<Datapoints>();
    let mut all = all.0.lock();
    all.extend(read.into_iter().flatten());
    let surplus = all.len().saturating_sub(MAX_DATAPOINTS);
    all.drain(..surplus);
    Ok(json!({}))
}

/// Checks that the `place`th element of `MetricData` has its values in one way. The texts are recorded on AWS (LocalStack's tests of
/// invalid metric data).
fn check_values(datum: &Value, place: usize) -> Result<(), AwsError> {
    let exclusive = |other: &str| {
        format!(
            "The parameters MetricData.member.{place}.Value and MetricData.member.{place}.{other} are mutually exclusive and you have specified both."
        )
    };
    let has = |member: &str| datum.get(member).is_some();
    if has("Value") && has("Values") {
        return Err(invalid(exclusive("Values")));
    }
    if has("Value") && has("StatisticValues") {
        return Err(AwsError::new(
            "InvalidParameterCombination",
            exclusive("StatisticValues"),
        ));
    }
    let length = |member: &str| datum.get(member).and_then(Value::as_array).map(Vec::len);
    if has("Counts") && length("Counts") != length("Values") {
        return Err(invalid(format!(
            "The parameters MetricData.member.{place}.Values and MetricData.member.{place}.Counts must be of the same size."
        )));
    }
    let value = datum.get("Value");
    if value.is_some_and(|value| number(Some(value)).is_none()) {
        let text = value.and_then(scalar).unwrap_or_else(|| "NaN".into());
        return Err(invalid(format!(
            "The value {text} for parameter MetricData.member.{place}.Value is invalid."
        )));
    }
    Ok(())
}

/// Reads one element of `MetricData`, which has one value, several, or statistics of many.
fn datapoints(namespace: &str, datum: &Value) -> Result<Vec<Datapoint>, AwsError> {
    const MEMBERS: [&str; 9] = [
        "MetricName",
        "Dimensions",
        "Timestamp",
        "Value",
        "Values",
        "Counts",
        "StatisticValues",
        "Unit",
        "StorageResolution",
    ];
    let members = datum.as_object().into_iter().flat_map(Map::keys);
    if let Some(other) = members.into_iter().find(|member| !MEMBERS.contains(&member.as_str())) {
        return Err(invalid(format!(
            "The parameter {other} of MetricData is not supported."
        )));
    }
    let name = datum.get("MetricName").and_then(scalar).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| invalid("The parameter MetricData.member.N.MetricName is required."))?;
    let at = match datum.get("Timestamp") {
        None => now(),
        Some(value) => milliseconds(value).ok_or_else(|| invalid("Timestamp is not valid."))?,
    };
    let unit = datum.get("Unit").and_then(scalar).unwrap_or_else(|| "None".into());
    let metric = Metric {
        namespace: namespace.to_owned(),
        name,
        dimensions: dimensions(datum),
    };
    let one = |value: f64, count: f64| Datapoint {
        metric: metric.clone(),
        at,
        sum: value * count,
        count,
        minimum: value,
        maximum: value,
        unit: unit.clone(),
    };
    let missing = || invalid("The parameter MetricData.member.N.Value, Values or StatisticValues is required.");
    if let Some(statistics) = datum.get("StatisticValues") {
        let member = |name: &str| number(statistics.get(name)).ok_or_else(missing);
        return Ok(vec![Datapoint {
            sum: member("Sum")?,
            count: member("SampleCount")?,
            minimum: member("Minimum")?,
            maximum: member("Maximum")?,
            ..one(0.0, 0.0)
        }]);
    }
    if let Some(value) = datum.get("Value") {
        return Ok(vec![one(number(Some(value)).ok_or_else(missing)?, 1.0)]);
    }
    let values = texts(datum.get("Values"));
    let counts = texts(datum.get("Counts"));
    let parsed = values.iter().enumerate().map(|(n, value)| {
        let count = counts.get(n).map_or(Some(1.0), |count| count.parse().ok());
        Some(one(value.parse().ok()?, count?))
    });
    let parsed: Option<Vec<Datapoint>> = parsed.collect();
    parsed.filter(|all| !all.is_empty()).ok_or_else(missing)
}

/// `ListMetrics`.
pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    const MEMBERS: [&str; 5] = ["Namespace", "MetricName", "Dimensions", "NextToken", "RecentlyActive"];
    only(call, "InvalidParameterValue", &MEMBERS)?;
    let (namespace, name) = (call.text("Namespace"), call.text("MetricName"));
    let filters = call.list("Dimensions");
    let matches = |metric: &Metric| {
        let has = |filter: &Value| {
            metric.dimensions.iter().any(|(name, value)| {
                filter["Name"] == *name && filter.get("Value").and_then(Value::as_str).is_none_or(|v| v == value)
            })
        };
        namespace
            .as_ref()
            .is_none_or(|namespace| *namespace == metric.namespace)
            && name.as_ref().is_none_or(|name| *name == metric.name)
            && filters.iter().all(has)
    };
    let all = cx.extension::<Datapoints>();
    let found: BTreeSet<Metric> = all.0.lock().iter().map(|point| point.metric.clone()).collect();
    let shown = found.into_iter().filter(matches).map(|metric| {
        let dimensions = metric
            .dimensions
            .iter()
            .map(|(name, value)| json!({"Name": name, "Value": value}));
        json!({
            "Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": dimensions.collect::<Vec<_>>(),
        })
    });
    let (shown, next) = page(shown.collect(), 500, call.text("NextToken").as_deref())
        .map_err(|_| invalid("Request parameter NextToken is invalid"))?;
    let mut response: Value = json!({"Metrics": shown});
    if let Some(next) = next {
        response["NextToken"] = next.into();
    }
    Ok(response)
}

/// `GetMetricStatistics`: one datapoint for each period with values.
pub fn statistics(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    const MEMBERS: [&str; 8] = [
        "Namespace",
        "MetricName",
        "Dimensions",
        "StartTime",
        "EndTime",
        "Period",
        "Statistics",
        "Unit",
    ];
    only(call, "InvalidParameterValue", &MEMBERS)?;
    let metric = Metric {
        namespace: call.required("Namespace")?,
        name: call.required("MetricName")?,
        dimensions: dimensions(&call.input),
    };
    let time = |member: &str| {
        let value = call.input.get(member).and_then(milliseconds);
        value.ok_or_else(|| invalid(format!("The parameter {member} is required.")))
    };
    let (start, end) = (time("StartTime")?, time("EndTime")?);
    let period = call.integer("Period").filter(|period| *period > 0);
    let period = period.ok_or_else(|| invalid("The parameter Period must be greater than 0."))?;
    let asked = texts(call.input.get("Statistics"));
    if asked.is_empty() {
        let message = "Must specify either Statistics or ExtendedStatistics";
        return Err(AwsError::new("InvalidParameterCombination", message));
    }
    if start / 1000 >= end / 1000 {
        return Err(invalid(
            "The parameter StartTime must be less than the parameter EndTime.",
        ));
    }
    if let Some(unknown) = asked.iter().find(|one| !STATISTICS.contains(&one.as_str())) {
        return Err(invalid(format!(
            "The parameter Statistics cannot be {unknown}. Use {}.",
            STATISTICS.join(", ")
        )));
    }
    let datapoints = (end - start) / 1000 / period;
    if datapoints > MAX_STATISTICS {
        let message = format!(
            "You have requested up to {datapoints} datapoints, which exceeds the limit of {MAX_STATISTICS}. You may reduce the datapoints requested by increasing Period, or decreasing the time range."
        );
        return Err(AwsError::new("InvalidParameterCombination", message));
    }
    let name = metric.name.clone();
    let query = Query {
        metric,
        range: start..end,
        period,
        unit: call.text("Unit"),
    };
    let shown = aggregate(cx, &query).into_iter().map(|(at, values)| {
        let mut shown = json!({"Timestamp": iso(at), "Unit": values.unit});
        for statistic in &asked {
            shown[statistic.as_str()] = values.statistic(statistic).into();
        }
        shown
    });
    Ok(json!({"Label": name, "Datapoints": shown.collect::<Vec<_>>()}))
}

/// The values of one metric in a time.
pub struct Query {
    pub metric: Metric,
    /// Milliseconds since 1970.
    pub range: Range<i64>,
    /// Seconds.
    pub period: i64,
    pub unit: Option<String>,
}

/// The statistics of one period.
pub struct Values {
    sum: f64,
    count: f64,
    minimum: f64,
    maximum: f64,
    unit: String,
}

impl Values {
    /// Returns one of [`STATISTICS`].
    pub fn statistic(&self, name: &str) -> f64 {
        match name {
            "Sum" => self.sum,
            "SampleCount" => self.count,
            "Minimum" => self.minimum,
            "Maximum" => self.maximum,
            _ => self.sum / self.count.max(f64::MIN_POSITIVE),
        }
    }
}

/// Returns the statistics of each period that has values, by its start. The first period starts at the beginning of the range, rounded
/// down to a second.
pub fn aggregate(cx: &Context, query: &Query) -> BTreeMap<i64, Values> {
    let (start, period) = (query.range.start / 1000 * 1000, query.period * 1000);
    let range = start..query.range.end;
    let mut periods = BTreeMap::new();
    let all = cx.extension::<Datapoints>();
    let all = all.0.lock();
    let of_metric = |point: &&Datapoint| {
        point.metric == query.metric
            && range.contains(&point.at)
            && query.unit.as_ref().is_none_or(|unit| *unit == point.unit)
    };
    for point in all.iter().filter(of_metric) {
        let begin = start + (point.at - start) / period * period;
        let values = periods.entry(begin).or_insert_with(|| Values {
            sum: 0.0,
            count: 0.0,
            minimum: f64::INFINITY,
            maximum: f64::NEG_INFINITY,
            unit: point.unit.clone(),
        });
        values.sum += point.sum;
        values.count += point.count;
        values.minimum = values.minimum.min(point.minimum);
        values.maximum = values.maximum.max(point.maximum);
    }
    periods
}

pub fn dimensions(value: &Value) -> Vec<(String, String)> {
    let list = value.get("Dimensions").and_then(Value::as_array);
    let pairs = list.into_iter().flatten();
    let pairs = pairs.filter_map(|one| Some((scalar(one.get("Name")?)?, scalar(one.get("Value")?)?)));
    let mut pairs: Vec<(String, String)> = pairs.collect();
    pairs.sort();
    pairs
}

fn number(value: Option<&Value>) -> Option<f64> {
    value
        .and_then(scalar)?
        .parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())
}

/// Returns a time in milliseconds since 1970, from a text of RFC 3339 or from seconds.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates at the ends of time")]
pub fn milliseconds(value: &Value) -> Option<i64> {
    let text = scalar(value)?;
    if let Ok(seconds) = text.parse::<f64>() {
        return Some((seconds * 1000.0) as i64);
    }
    let time = OffsetDateTime::parse(&text, &Rfc3339).ok()?;
    Some(time.unix_timestamp() * 1000 + i64::from(time.millisecond()))
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterValue", message)
}
