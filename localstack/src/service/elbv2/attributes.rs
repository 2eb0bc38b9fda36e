//! Attributes of load balancers, target groups and listeners.
//!
//! `idle_timeout.timeout_seconds`, `routing.http2.enabled`, `deletion_protection.enabled` and `deregistration_delay.timeout_seconds` act;
//! the others are stored and shown.

use serde_json::{Value, json};

use super::model::{self, LISTENERS, LOAD_BALANCERS, TARGET_GROUPS, text};
use super::sync;
use crate::records::{Record, Records, WriteLock};
use crate::service::Call;
use crate::{AwsError, Context};

/// AWS's attributes with their defaults (Elastic Load Balancing API, `LoadBalancerAttribute`).
const OF_LOAD_BALANCERS: [(&str, &str); 19] = [
    ("access_logs.s3.enabled", "false"),
    ("access_logs.s3.bucket", ""),
    ("access_logs.s3.prefix", ""),
    ("client_keep_alive.seconds", "3600"),
    ("connection_logs.s3.enabled", "false"),
    ("connection_logs.s3.bucket", ""),
    ("connection_logs.s3.prefix", ""),
    ("deletion_protection.enabled", "false"),
    ("idle_timeout.timeout_seconds", "60"),
    ("load_balancing.cross_zone.enabled", "true"),
    ("routing.http.desync_mitigation_mode", "defensive"),
    ("routing.http.drop_invalid_header_fields.enabled", "false"),
    ("routing.http.preserve_host_header.enabled", "false"),
    ("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false"),
    ("routing.http.xff_client_port.enabled", "false"),
    ("routing.http.xff_header_processing.mode", "append"),
    ("routing.http2.enabled", "true"),
    ("waf.fail_open.enabled", "false"),
    ("zonal_shift.config.enabled", "false"),
];
/// The same of target groups (`TargetGroupAttribute`).
const OF_TARGET_GROUPS: [(&str, &str); 14] = [
    ("deregistration_delay.timeout_seconds", "300"),
    ("load_balancing.algorithm.anomaly_mitigation", "off"),
    ("load_balancing.algorithm.type", "round_robin"),
    ("load_balancing.cross_zone.enabled", "use_load_balancer_configuration"),
    ("slow_start.duration_seconds", "0"),
    ("stickiness.app_cookie.cookie_name", ""),
    ("stickiness.app_cookie.duration_seconds", "86400"),
    ("stickiness.enabled", "false"),
    ("stickiness.lb_cookie.duration_seconds", "86400"),
    ("stickiness.type", "lb_cookie"),
    ("target_group_health.dns_failover.minimum_healthy_targets.count", "1"),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        "off",
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        "1",
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "off",
    ),
];
/// The same of listeners (`ListenerAttribute`).
const OF_LISTENERS: [(&str, &str); 1] = [("routing.http.response.server.enabled", "true")];

type Defaults = &'static [(&'static str, &'static str)];

/// Returns the record that the call names, its collection and the attributes of its kind.
fn found(cx: &Context, call: &Call, kind: &str) -> Result<(Record, Records, Defaults), AwsError> {
    let arn = call.required(&format!("{kind}Arn"))?;
    Ok(match kind {
        "LoadBalancer" => (model::load_balancer(cx, &arn)?, LOAD_BALANCERS, &OF_LOAD_BALANCERS),
        "Listener" => (model::listener(cx, &arn)?, LISTENERS, &OF_LISTENERS),
        _ => (model::target_group(cx, &arn)?, TARGET_GROUPS, &OF_TARGET_GROUPS),
    })
}

fn own(record: &Record, kind: &str) -> Vec<Value> {
    let own = record.properties.get(&format!("{kind}Attributes"));
    own.and_then(Value::as_array).cloned().unwrap_or_default()
}

pub fn describe(cx: &Context, call: &Call, kind: &str) -> Result<Value, AwsError> {
    let (record, _, defaults) = found(cx, call, kind)?;
    let mut all = own(&record, kind);
    for (key, value) in defaults {
        if !all.iter().any(|one| text(one, "Key").as_deref() == Some(key)) {
            all.push(json!({"Key": key, "Value": value}));
        }
    }
    Ok(json!({ "Attributes": all }))
}

pub fn modify(cx: &Context, call: &Call, kind: &str) -> Result<Value, AwsError> {
    {
        let lock = cx.shared::<WriteLock>();
        let _guard = lock.lock();
        let (mut record, records, defaults) = found(cx, call, kind)?;
        let mut all = own(&record, kind);
        for new in call.list("Attributes") {
            let key = text(&new, "Key").unwrap_or_default();
            if !defaults.iter().any(|(known, _)| *known == key) {
                let message = format!("Attribute key '{key}' is not recognized");
                return Err(AwsError::validation(message));
            }
            all.retain(|old| text(old, "Key") != text(&new, "Key"));
            all.push(new);
        }
        record.properties.insert(format!("{kind}Attributes"), all.into());
        records.put(cx, &record)?;
    }
    sync::apply(cx)?;
    describe(cx, call, kind)
}
