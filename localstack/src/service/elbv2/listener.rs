//! Listeners. Each one is a port on loopback.

use super::attribute_kind::Kind;
use super::model::{self, LISTENERS, RULES, arn_suffix, listener_port};
use super::{action, proxy_settings, tls};
use crate::records::{Record, RecordType, Records};
use crate::runtime::load_balancer::TargetProtocol;
use crate::{AwsError, Context, Desired, Resource, Schema};

pub struct Listener;

impl RecordType for Listener {
    const TYPE: &'static str = "AWS::ElasticLoadBalancingV2::Listener";
    const RECORDS: Records = LISTENERS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "AlpnPolicy",
                "Certificates",
                "DefaultActions",
                "ListenerAttributes",
                "LoadBalancerArn",
                "MutualAuthentication",
                "Port",
                "Protocol",
                "SslPolicy",
                "Tags",
            ],
            required: &["DefaultActions", "LoadBalancerArn"],
            create_only: &["LoadBalancerArn"],
            attributes: &["ListenerArn"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        let balancer = model::load_balancer(cx, &record.text("LoadBalancerArn").unwrap_or_default())?;
        record.computed.insert(
            "Declared".into(),
            format!("{}/{}", desired.stack_id, desired.logical_id).into(),
        );
        check(cx, &record)?;
        let full = balancer.computed("FullName").unwrap_or_default();
        record.id = cx.arn("elasticloadbalancing", &format!("listener/{full}/{}", arn_suffix()));
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("ListenerArn", record.id.clone())
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(cx, record)
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        for rule in RULES.list(cx)?.into_iter().filter(|r| r.has("ListenerArn", &record.id)) {
            RULES.delete(cx, &rule.id)?;
        }
        Ok(())
    }
}

/// Checks a listener's port, TLS settings and actions.
pub fn check(cx: &Context, record: &Record) -> Result<(), AwsError> {
    let Some(port) = listener_port(record) else {
        return Err(AwsError::validation("A listener must have a Port between 1 and 65535"));
    };
    tls::of_listener(record, true)?;
    Kind::Listener.check(record)?;
    proxy_settings::of_listener(record)?;
    // A listener that replaces another one, and so has its stack and logical ID, takes over its port.
    let conflicts = |r: &Record| {
        r.id != record.id && listener_port(r) == Some(port) && r.computed("Declared") != record.computed("Declared")
    };
    if let Some(other) = LISTENERS.find(cx, conflicts)? {
        let message = format!(
            "Port {port} is in use by the listener {}: all load balancers of the embedded endpoint share the ports of \
             localhost.",
            other.id
        );
        return Err(AwsError::new("DuplicateListener", message));
    }
    action::check(cx, record.properties.get("DefaultActions"))?;
    for group in action::forwards_to(record) {
        let protocol = proxy_settings::protocol(&model::target_group(cx, &group)?)?;
        if protocol == TargetProtocol::Grpc && tls::protocol(record) == "HTTP" {
            return Err(AwsError::new(
                "UnsupportedProtocol",
                "Listener protocol 'HTTP' is not supported with a target group with the protocol-version 'GRPC'",
            ));
        }
    }
    Ok(())
}
