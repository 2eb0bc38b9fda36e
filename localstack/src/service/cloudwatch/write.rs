//! Writes of alarms and dashboards, with the rules of their resource types.

use serde_json::{Map, Value, json};

use super::{ALARMS, Alarm, DASHBOARDS, Dashboard};
use crate::records::{RecordType, texts};
use crate::service::Call;
use crate::service::input::{only, properties};
use crate::{AwsError, Context};

/// `PutMetricAlarm`: creates an alarm, or replaces its configuration. Its tags and its state stay.
pub async fn put_alarm(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(call, "InvalidParameterValue", Alarm::schema().properties)?;
    let name = call.required("AlarmName")?;
    let names: Vec<(&str, &str)> = Alarm::schema().properties.iter().map(|name| (*name, *name)).collect();
    let mut desired = properties(&call.input, &names);
    if ALARMS.get(cx, &name)?.is_none() {
        cx.create_resource(Alarm::TYPE, Value::Object(desired)).await?;
        return Ok(json!({}));
    }
    desired.shift_remove("Tags");
    cx.update_resource(Alarm::TYPE, &name, |properties| {
        if let Some(tags) = properties.shift_remove("Tags") {
            desired.insert("Tags".into(), tags);
        }
        *properties = desired;
        Ok(())
    })
    .await?;
    Ok(json!({}))
}

/// `DeleteAlarms`: all of them, or none if one does not exist.
pub async fn delete_alarms(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let names = texts(call.input.get("AlarmNames"));
    for name in &names {
        if ALARMS.get(cx, name)?.is_none() {
            let message = format!("Alarm {name} does not exist");
            return Err(AwsError::new("ResourceNotFound", message).with_status(404));
        }
    }
    for name in &names {
        cx.delete_resource(Alarm::TYPE, name).await?;
    }
    Ok(json!({}))
}

/// `EnableAlarmActions` and `DisableAlarmActions`, which pass over alarms that do not exist.
pub async fn enable_actions(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let enabled = call.operation == "EnableAlarmActions";
    for name in texts(call.input.get("AlarmNames")) {
        let set = |properties: &mut Map<String, Value>| {
            properties.insert("ActionsEnabled".into(), enabled.into());
            Ok(())
        };
        cx.update_resource(Alarm::TYPE, &name, set).await?;
    }
    Ok(json!({}))
}

/// `PutDashboard`: creates a dashboard, or replaces its body.
pub async fn put_dashboard(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(call, "InvalidParameterInput", &["DashboardName", "DashboardBody"])?;
    let (name, body) = (call.required("DashboardName")?, call.required("DashboardBody")?);
    if DASHBOARDS.get(cx, &name)?.is_none() {
        let desired = json!({"DashboardName": name, "DashboardBody": body});
        cx.create_resource(Dashboard::TYPE, desired).await?;
    } else {
        let set = |properties: &mut Map<String, Value>| {
            properties.insert("DashboardBody".into(), body.into());
            Ok(())
        };
        cx.update_resource(Dashboard::TYPE, &name, set).await?;
    }
    Ok(json!({"DashboardValidationMessages": []}))
}

/// `DeleteDashboards`: all of them, or none if one does not exist.
pub async fn delete_dashboards(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let names = texts(call.input.get("DashboardNames"));
    if names.is_empty() {
        let message = "The parameter DashboardNames must have at least one name.";
        return Err(AwsError::new("InvalidParameterValue", message));
    }
    for name in &names {
        if DASHBOARDS.get(cx, name)?.is_none() {
            let message = format!("Dashboard {name} does not exist");
            return Err(AwsError::new("ResourceNotFound", message).with_status(404));
        }
    }
    for name in &names {
        cx.delete_resource(Dashboard::TYPE, name).await?;
    }
    Ok(json!({}))
}
