//! From the records to what the proxy is to do.

use std::net::SocketAddr;
use std::time::Duration;

use super::listener::{self, LISTENERS};
use super::load_balancer::LOAD_BALANCERS;
use super::rule::{self, RULES};
use super::target_group::{self, TARGET_GROUPS};
use super::{attribute, text, tls, whole};
use crate::records::Record;
use crate::runtime::load_balancer::{
    self as runtime, Action, ListenerConfig, ProxyConfig, Rule, TargetGroupConfig, TargetGroupSettings,
};
use crate::{AwsError, Context};

/// Brings the running proxy in line with the records.
pub fn apply(cx: &Context) -> Result<(), AwsError> {
    let mut config = ProxyConfig::default();
    for record in TARGET_GROUPS.list(cx)? {
        let targets = target_group::targets(&record);
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
    // Of two with one port, the newer is the replacement of the older.
    listeners.sort_by_key(|r| r.created);
    let all_rules = RULES.list(cx)?;
    for record in listeners {
        let Some(port) = listener::port(&record) else { continue };
        let mut mine: Vec<&Record> = all_rules.iter().filter(|r| r.has("ListenerArn", &record.id)).collect();
        mine.sort_by_key(|r| whole(r, "Priority"));
        let mut rules = Vec::new();
        for found in mine {
            let action = rule::action(found.properties.get("Actions"))?;
            rules.push(Rule {
                conditions: rule::conditions(found)?,
                action,
            });
        }
        rules.push(Rule {
            conditions: Vec::new(),
            action: rule::action(record.properties.get("DefaultActions"))?,
        });
        let balancer = LOAD_BALANCERS.get(cx, &record.text("LoadBalancerArn").unwrap_or_default())?;
        let said = |key: &str| attribute(balancer.as_ref()?, "LoadBalancerAttributes", key);
        let idle = said("idle_timeout.timeout_seconds").and_then(|s| s.parse().ok());
        let http2 = said("routing.http2.enabled").as_deref() != Some("false");
        let serves = ListenerConfig {
            rules,
            idle_timeout: Duration::from_secs(idle.unwrap_or(60)),
            tls: tls::of(&record, http2)?,
        };
        config.listeners.insert(port, serves);
    }
    runtime::apply(cx, config)
}

/// The target groups that a listener or a rule forwards to.
pub fn forwards_to(record: &Record) -> Vec<String> {
    let actions = record
        .properties
        .get("DefaultActions")
        .or(record.properties.get("Actions"));
    match rule::action(actions) {
        Ok(Action::Forward(groups)) => groups.into_iter().map(|(arn, _)| arn).collect(),
        _ => Vec::new(),
    }
}

/// The load balancers that forward to a target group.
pub fn users_of(cx: &Context, group: &str) -> Result<Vec<String>, AwsError> {
    let group = group.to_owned();
    let listeners = LISTENERS.list(cx)?;
    let by_rule: Vec<String> = RULES
        .list(cx)?
        .iter()
        .filter(|r| forwards_to(r).contains(&group))
        .filter_map(|r| r.text("ListenerArn"))
        .collect();
    let mut found: Vec<String> = listeners
        .iter()
        .filter(|l| forwards_to(l).contains(&group) || by_rule.contains(&l.id))
        .filter_map(|l| l.text("LoadBalancerArn"))
        .collect();
    found.sort();
    found.dedup();
    Ok(found)
}

fn settings(record: &Record) -> TargetGroupSettings {
    let seconds = |property: &str, default: i64| {
        Duration::from_secs(whole(record, property).unwrap_or(default).clamp(1, 300) as u64)
    };
    let count = |property: &str, default: u32| {
        whole(record, property)
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
        port: whole(record, "HealthCheckPort").and_then(|p| u16::try_from(p).ok()),
        interval: seconds("HealthCheckIntervalSeconds", 30),
        timeout: seconds("HealthCheckTimeoutSeconds", 5),
        healthy_threshold: count("HealthyThresholdCount", 5),
        unhealthy_threshold: count("UnhealthyThresholdCount", 2),
        matcher: codes.split(',').filter_map(range).collect(),
        deregistration_delay: Duration::from_secs(delay.and_then(|s| s.parse().ok()).unwrap_or(300)),
    }
}
