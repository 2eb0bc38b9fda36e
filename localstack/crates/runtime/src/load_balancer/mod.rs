//! The load balancer: a reverse proxy with the listeners, rules and target groups of the state.
//!
//! [`apply`] takes the complete configuration after every change and adapts the running proxy: it opens and closes ports,
//! replaces rules, and checks or drains targets.

mod activity;
mod attributes;
mod client_stream;
mod connection;
mod desync;
mod head;
mod health;
mod listener;
mod pattern;
mod proxy;
mod request_body;
mod request_gate;
mod request_headers;
mod response_body;
mod responses;
mod rule;
mod session;
mod stickiness;
mod target;
mod target_client;
mod target_group;
mod target_group_settings;
mod tls;
mod websocket;

#[cfg(test)]
mod http2_tests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

pub use attributes::{DesyncMode, ForwardedFor, ListenerAttributes, LoadBalancerAttributes};
pub use rule::{Action, Condition, Rule};
pub use stickiness::Stickiness;
pub use target::{Target, TargetHealth};
pub use target_group::TargetGroup;
pub use target_group_settings::{Algorithm, MinimumHealthy, TargetGroupSettings, TargetProtocol};
pub use tls::{Tls, Versions};

use endpoint_core::{AwsError, Context};

/// The desired state of the proxy.
#[derive(Default)]
pub struct ProxyConfig {
    /// By port.
    pub listeners: BTreeMap<u16, ListenerConfig>,
    /// By ARN.
    pub target_groups: BTreeMap<String, TargetGroupConfig>,
}

/// One listener. The rules are tried in order; the last one matches everything.
pub struct ListenerConfig {
    /// By priority; the default actions are the last rule.
    pub rules: Vec<Rule>,
    /// Those of its load balancer.
    pub balancer: LoadBalancerAttributes,
    /// Its own.
    pub attributes: ListenerAttributes,
    /// `None` for plain HTTP.
    pub tls: Option<Tls>,
}

/// The desired state of one target group.
pub struct TargetGroupConfig {
    /// Health checks and draining.
    pub settings: TargetGroupSettings,
    /// Registered targets.
    pub targets: Vec<SocketAddr>,
}

/// The running proxy.
#[derive(Default)]
pub struct LoadBalancers {
    listeners: Mutex<HashMap<u16, listener::Listener>>,
    target_groups: RwLock<HashMap<String, Arc<TargetGroup>>>,
    client: target_client::Client,
}

impl LoadBalancers {
    /// Returns a target group by its ARN.
    pub fn target_group(&self, arn: &str) -> Option<Arc<TargetGroup>> {
        self.target_groups.read().get(arn).cloned()
    }
}

/// Adapts the running proxy to a configuration.
///
/// # Errors
/// `PortNotAvailable` if a port is in use; its listener is then not opened.
pub fn apply(cx: &Context, config: ProxyConfig) -> Result<(), AwsError> {
    let balancers = cx.extension::<LoadBalancers>();
    {
        let mut groups = balancers.target_groups.write();
        groups.retain(|arn, group| {
            let keep = config.target_groups.contains_key(arn);
            if !keep {
                group.close();
            }
            keep
        });
        for (arn, desired) in config.target_groups {
            let group = groups
                .entry(arn)
                .or_insert_with(|| Arc::new(TargetGroup::new(desired.settings.clone())));
            group.reconcile(desired.settings, &desired.targets, cx.shutdown());
        }
    }
    let mut listeners = balancers.listeners.lock();
    listeners.retain(|port, _| config.listeners.contains_key(port));
    for (port, desired) in config.listeners {
        match listeners.get(&port) {
            Some(listener) => listener.replace(cx, desired)?,
            None => {
                listeners.insert(port, listener::open(cx, port, desired)?);
            }
        }
    }
    Ok(())
}

/// Closes every port and stops every health check.
pub fn close(cx: &Context) {
    let balancers = cx.extension::<LoadBalancers>();
    balancers.listeners.lock().clear();
    for (_, group) in balancers.target_groups.write().drain() {
        group.close();
    }
}
