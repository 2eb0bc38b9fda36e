//! The rules of an alarm's members.

use crate::AwsError;
use crate::records::Record;

/// Checks that an alarm is about either one metric or an expression over several.
pub fn check(alarm: &Record) -> Result<(), AwsError> {
    const OPERATORS: [&str; 7] = [
        "GreaterThanOrEqualToThreshold",
        "GreaterThanThreshold",
        "LessThanThreshold",
        "LessThanOrEqualToThreshold",
        "LessThanLowerOrGreaterThanUpperThreshold",
        "LessThanLowerThreshold",
        "GreaterThanUpperThreshold",
    ];
    let operator = alarm.text("ComparisonOperator").unwrap_or_default();
    if !OPERATORS.contains(&operator.as_str()) {
        return Err(AwsError::validation(format!(
            "ComparisonOperator must be one of {}.",
            OPERATORS.join(", ")
        )));
    }
    check_percentile(alarm)?;
    let has = |property: &str| alarm.properties.contains_key(property);
    let single =
        has("MetricName") && has("Namespace") && has("Period") && (has("Statistic") || has("ExtendedStatistic"));
    match (has("Metrics"), single) {
        (true, _) if has("MetricName") => Err(AwsError::validation(
            "An alarm cannot have both Metrics and MetricName.",
        )),
        (true, _) | (false, true) => Ok(()),
        (false, false) => Err(AwsError::validation(
            "An alarm must have Metrics, or MetricName, Namespace, Period and a statistic.",
        )),
    }
}

/// Checks the members of an alarm on a percentile (`PutMetricAlarm`).
fn check_percentile(alarm: &Record) -> Result<(), AwsError> {
    let statistic = alarm.text("ExtendedStatistic");
    let is_known = |text: &String| {
        let digits = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        text.len() > digits.len() && (digits.starts_with('(') || digits.parse::<f64>().is_ok()) || text == "IQM"
    };
    if let Some(other) = statistic.filter(|text| !is_known(text)) {
        let message = format!("The value {other} for parameter ExtendedStatistic is not supported.");
        return Err(AwsError::new("InvalidParameterValue", message));
    }
    match alarm.text("EvaluateLowSampleCountPercentile").as_deref() {
        None | Some("evaluate" | "ignore") => Ok(()),
        Some(other) => Err(AwsError::validation(format!(
            "Option {other} is not supported. Supported options for parameter EvaluateLowSampleCountPercentile are evaluate and ignore."
        ))),
    }
}
