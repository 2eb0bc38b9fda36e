//! Targets of target groups.

use serde_json::{Value, json};

use super::action::load_balancers_of;
use super::model::{self, TARGET_GROUPS, text};
use super::sync;
use crate::records::{Record, WriteLock};
use crate::runtime::load_balancer::LoadBalancers;
use crate::service::Call;
use crate::{AwsError, Context};

pub fn register(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    change(cx, call, |all, target| {
        if !all.contains(&target) {
            all.push(target);
        }
    })
}

pub fn deregister(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    change(cx, call, |all, target| all.retain(|t| *t != target))
}

fn change(cx: &Context, call: &Call, each: impl Fn(&mut Vec<(String, u16)>, (String, u16))) -> Result<Value, AwsError> {
    {
        let lock = cx.shared::<WriteLock>();
        let _guard = lock.lock();
        let mut record = model::target_group(cx, &call.required("TargetGroupArn")?)?;
        let mut all = model::targets(&record);
        for target in requested_targets(&record, call)? {
            each(&mut all, target);
        }
        let registered: Vec<Value> = all
            .into_iter()
            .map(|(id, port)| json!({"Id": id, "Port": port}))
            .collect();
        record.computed.insert("Targets".into(), registered.into());
        TARGET_GROUPS.put(cx, &record)?;
    }
    sync::apply(cx)?;
    Ok(json!({}))
}

/// Returns the targets that a call names, with the group's port where it names none.
fn requested_targets(record: &Record, call: &Call) -> Result<Vec<(String, u16)>, AwsError> {
    let port = model::port(record);
    let mut found = Vec::new();
    for target in call.list("Targets") {
        let id = text(&target, "Id").ok_or_else(|| AwsError::validation("A target must have an Id"))?;
        if id.parse::<std::net::IpAddr>().is_err() {
            return Err(AwsError::new(
                "InvalidTarget",
                format!("The IP address '{id}' is not valid"),
            ));
        }
        let port = text(&target, "Port").and_then(|p| p.parse().ok()).or(port);
        found.push((
            id,
            port.ok_or_else(|| AwsError::validation("A target must have a Port"))?,
        ));
    }
    Ok(found)
}

pub fn health(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = model::target_group(cx, &call.required("TargetGroupArn")?)?;
    let only = requested_targets(&record, call)?;
    let used = !load_balancers_of(cx, &record.id)?.is_empty();
    let group = cx.extension::<LoadBalancers>().target_group(&record.id);
    let mut shown = Vec::new();
    for target in group.map(|g| g.targets()).unwrap_or_default() {
        let (id, port) = (target.address.ip().to_string(), target.address.port());
        if !only.is_empty() && !only.contains(&(id.clone(), port)) {
            continue;
        }
        let health = target.health();
        let mut state = json!({"State": health.state});
        if !used && health.state != "draining" {
            state = json!({
                "State": "unused", "Reason": "Target.NotInUse",
                "Description": "Target group is not configured to receive traffic from the load balancer",
            });
        } else if let Some(reason) = health.reason {
            state["Reason"] = reason.into();
            state["Description"] = health.description.unwrap_or_default().into();
        }
        shown.push(json!({
            "Target": {"Id": id, "Port": port, "AvailabilityZone": format!("{}a", cx.region())},
            "HealthCheckPort": record.text("HealthCheckPort").filter(|p| p != "traffic-port").unwrap_or(port.to_string()),
            "TargetHealth": state,
        }));
    }
    Ok(json!({"TargetHealthDescriptions": shown}))
}
