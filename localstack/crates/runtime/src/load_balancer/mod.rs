//! The load balancer: a reverse proxy that does what the listeners, rules and target groups in the state say.
//!
//! The state is the truth. [`apply`] reads it whole after every change and brings the proxy in line: ports are opened
//! and closed, rules replaced, targets checked or drained.

mod answer;
mod group;
mod health;
mod listener;
mod pattern;
mod proxy;
mod rule;
mod tls;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, RwLock};

pub use group::{Group, Health, Settings, Target};
pub use rule::{Action, Condition, Rule};
pub use tls::{Tls, Versions};

use endpoint_core::{AwsError, Context};

/// What the state wants to be served.
#[derive(Default)]
pub struct Wanted {
    /// By port.
    pub listeners: BTreeMap<u16, ListenerRules>,
    /// By ARN.
    pub groups: BTreeMap<String, WantedGroup>,
}

/// One listener's rules, in the order in which they are tried; the last one matches everything.
pub struct ListenerRules {
    pub rules: Vec<Rule>,
    pub idle_timeout: std::time::Duration,
    /// None where it speaks HTTP in the clear.
    pub tls: Option<Tls>,
}

pub struct WantedGroup {
    pub settings: Settings,
    pub targets: Vec<std::net::SocketAddr>,
}

/// Everything that the proxy holds while the endpoint runs.
#[derive(Default)]
pub struct Balancers {
    listeners: Mutex<HashMap<u16, listener::Open>>,
    groups: RwLock<HashMap<String, Arc<Group>>>,
    client: proxy::Client,
}

impl Balancers {
    pub fn group(&self, arn: &str) -> Option<Arc<Group>> {
        self.groups.read().expect("no panic holds this lock").get(arn).cloned()
    }
}

/// Brings the proxy in line. Fails, with nothing half opened, when a port is taken.
pub fn apply(cx: &Context, wanted: Wanted) -> Result<(), AwsError> {
    let balancers = cx.part::<Balancers>();
    {
        let mut groups = balancers.groups.write().expect("no panic holds this lock");
        groups.retain(|arn, group| {
            let keep = wanted.groups.contains_key(arn);
            if !keep {
                group.close();
            }
            keep
        });
        for (arn, want) in wanted.groups {
            let group = groups
                .entry(arn)
                .or_insert_with(|| Arc::new(Group::new(want.settings.clone())));
            group.reconcile(want.settings, &want.targets, cx.shutdown());
        }
    }
    let mut listeners = balancers.listeners.lock().expect("no panic holds this lock");
    listeners.retain(|port, _| wanted.listeners.contains_key(port));
    for (port, rules) in wanted.listeners {
        match listeners.get(&port) {
            Some(open) => open.replace(cx, rules)?,
            None => {
                listeners.insert(port, listener::open(cx, port, rules)?);
            }
        }
    }
    Ok(())
}

/// Closes every port and stops every check.
pub fn close(cx: &Context) {
    let balancers = cx.part::<Balancers>();
    balancers.listeners.lock().expect("no panic holds this lock").clear();
    for (_, group) in balancers.groups.write().expect("no panic holds this lock").drain() {
        group.close();
    }
}
