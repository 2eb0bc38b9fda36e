//! Configures the running proxy from the records.

use std::net::SocketAddr;

use super::attribute_kind::Kind;
use super::model::{self, LISTENERS, LOAD_BALANCERS, RULES, TARGET_GROUPS, integer, listener_port};
use super::{action, proxy_settings, rule, tls};
use crate::records::Record;
use crate::runtime::load_balancer::{self as runtime, ListenerConfig, ProxyConfig, Rule, TargetGroupConfig};
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
                settings: proxy_settings::of_target_group(&record)?,
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
        let http2 = balancer
            .as_ref()
            .is_none_or(|balancer| Kind::LoadBalancer.is_true(balancer, "routing.http2.enabled"));
        let listener = ListenerConfig {
            rules,
            balancer: balancer
                .as_ref()
                .map(proxy_settings::of_load_balancer)
                .unwrap_or_default(),
            attributes: proxy_settings::of_listener(&record)?,
            tls: tls::of_listener(&record, http2)?,
        };
        config.listeners.insert(port, listener);
    }
    runtime::apply(cx, config)
}
