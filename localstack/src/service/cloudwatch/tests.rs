//! Tests of Amazon CloudWatch.

use super::*;
use crate::service::testing::context_with;

#[tokio::test]
async fn alarms_dashboards_and_metrics_are_put_and_read_by_the_api() {
    let (cx, _folder) = context_with(vec![service()]);
    let call = async |operation: &'static str, input: Value| cx.call("monitoring", operation, input).await;
    let alarm = |threshold: &str| {
        json!({
            "AlarmName": "a", "Namespace": "N", "MetricName": "M", "Statistic": "Sum", "Period": "60",
            "EvaluationPeriods": "1", "Threshold": threshold, "ComparisonOperator": "GreaterThanThreshold",
            "Tags": [{"Key": "k", "Value": "v"}],
        })
    };
    for threshold in ["1", "2"] {
        call("PutMetricAlarm", alarm(threshold)).await.unwrap();
    }
    let found = call("DescribeAlarms", json!({})).await.unwrap()["MetricAlarms"][0].clone();
    assert_eq!((&found["Threshold"], &found["AlarmActions"]), (&json!(2.0), &json!([])));
    assert!(found["StateUpdatedTimestamp"].is_string());
    let tags = json!({"ResourceARN": found["AlarmArn"], "TagKeys": ["k"]});
    call("UntagResource", tags.clone()).await.unwrap();
    assert_eq!(call("ListTagsForResource", tags).await.unwrap()["Tags"], json!([]));
    let missing = call("DeleteAlarms", json!({"AlarmNames": ["a", "b"]}))
        .await
        .unwrap_err();
    assert_eq!(missing.code, "ResourceNotFound");
    call("DeleteAlarms", json!({"AlarmNames": ["a"]})).await.unwrap();

    call("PutDashboard", json!({"DashboardName": "d", "DashboardBody": "{}"}))
        .await
        .unwrap();
    let bad = call("PutDashboard", json!({"DashboardName": "d", "DashboardBody": "no"}))
        .await
        .unwrap_err();
    assert_eq!(bad.code, "InvalidParameterInput");
    call("DeleteDashboards", json!({"DashboardNames": ["d"]}))
        .await
        .unwrap();

    let data = json!({"Namespace": "N", "MetricData": [
        {"MetricName": "M", "Value": "1", "Timestamp": 600}, {"MetricName": "M", "Values": [2, 3], "Timestamp": 610},
    ]});
    call("PutMetricData", data).await.unwrap();
    assert_eq!(
        call("ListMetrics", json!({"Namespace": "N"})).await.unwrap()["Metrics"][0]["MetricName"],
        "M"
    );
    let period = json!({
        "Namespace": "N", "MetricName": "M", "StartTime": 540, "EndTime": 700, "Period": "60",
        "Statistics": ["Sum", "Average", "SampleCount"],
    });
    let read = call("GetMetricStatistics", period).await.unwrap()["Datapoints"].clone();
    assert_eq!(read.as_array().unwrap().len(), 1);
    assert_eq!((&read[0]["Sum"], &read[0]["Average"]), (&json!(6.0), &json!(2.0)));
}
