//! Configures the running proxy from the records.

use std::net::SocketAddr;
use std::time::Duration;

use super::model::{self, LISTENERS, LOAD_BALANCERS, RULES, TARGET_GROUPS, attribute, integer, listener_port, text};
use super::{action, rule, tls};
use crate::records::Record;
use crate::runtime::load_balancer::{
    self as runtime, ListenerConfig, ProxyConfig, Rule, TargetGroupConfig, TargetGroupSettings,
};
use crate::{AwsError, Context};

/// Updates the running proxy to the current records.
///
/// # Errors
/// A record that cannot be served, or a port that cannot be opened.
pub fn apply(cx: &Context) -> Result<(), AwsError> {
    let mut config = ProxyConfig::default();
    for record in TARGET_GROUPS.list(cx)? {
        let targets = model::targets(&record);
        let addresses = targets
            .iter()
            .filter_map(|(id, port)| Some(SocketAddr::new(id.parse().ok()?, *port)));
        config.target_groups.insert(
            record.id.clone(),
            TargetGroupConfig {
                settings: settings(&record),
                targets: addresses.collect(),
            },
        );
    }
    let mut listeners = LISTENERS.list(cx)?;
    // Of two listeners on one port, the newer one replaces the older one.
    listeners.sort_by_key(|r| r.created);
    let all_rules = RULES.list(cx)?;
    for record in listeners {
        let Some(port) = listener_port(&record) else { continue };
        let mut own: Vec<&Record> = all_rules.iter().filter(|r| r.has("ListenerArn", &record.id)).collect();
        own.sort_by_key(|r| integer(r, "Priority"));
        let mut rules = Vec::new();
        for found in own {
            rules.push(Rule {
                conditions: rule::conditions(found)?,
                action: action::parse(found.properties.get("Actions"))?,
            });
        }
        rules.push(Rule {
            conditions: Vec::new(),
            action: action::parse(record.properties.get("DefaultActions"))?,
        });
        let balancer = LOAD_BALANCERS.get(cx, &record.text("LoadBalancerArn").unwrap_or_default())?;
        let attribute = |key: &str| attribute(balancer.as_ref()?, "LoadBalancerAttributes", key);
        let idle = attribute("idle_timeout.timeout_seconds").and_then(|s| s.parse().ok());
        let http2 = attribute("routing.http2.enabled").as_deref() != Some("false");
        let listener = ListenerConfig {
            rules,
            idle_timeout: Duration::from_secs(idle.unwrap_or(60)),
            tls: tls::of_listener(&record, http2)?,
        };
        config.listeners.insert(port, listener);
    }
    runtime::apply(cx, config)
}

fn settings(record: &Record) -> TargetGroupSettings {
    let seconds = |property: &str, default: i64| {
        Duration::from_secs(
            integer(record, property)
                .unwrap_or(default)
                .clamp(1, 300)
                .unsigned_abs(),
        )
    };
    let count = |property: &str, default: u32| {
        integer(record, property)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(default)
            .clamp(1, 10)
    };
    let codes = record
        .properties
        .get("Matcher")
        .and_then(|m| text(m, "HttpCode"))
        .unwrap_or_else(|| "200".into());
    let range = |part: &str| -> Option<(u16, u16)> {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        Some((low.trim().parse().ok()?, high.trim().parse().ok()?))
    };
    let delay = attribute(record, "TargetGroupAttributes", "deregistration_delay.timeout_seconds");
    TargetGroupSettings {
        path: record.text("HealthCheckPath").unwrap_or_else(|| "/".into()),
        port: integer(record, "HealthCheckPort").and_then(|p| u16::try_from(p).ok()),
        interval: seconds("HealthCheckIntervalSeconds", 30),
        timeout: seconds("HealthCheckTimeoutSeconds", 5),
        healthy_threshold: count("HealthyThresholdCount", 5),
        unhealthy_threshold: count("UnhealthyThresholdCount", 2),
        matcher: codes.split(',').filter_map(range).collect(),
        deregistration_delay: Duration::from_secs(delay.and_then(|s| s.parse().ok()).unwrap_or(300)),
    }
}
