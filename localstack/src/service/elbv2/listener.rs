//! Listeners: a port on loopback each.

use super::rule::{RULES, checked_actions};
use super::{load_balancer, refused, suffix, tls, whole};
use crate::records::{Record, RecordType, Records};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub const LISTENERS: Records = Records("elbv2.listeners");

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
        let balancer = load_balancer::named(cx, &record.text("LoadBalancerArn").unwrap_or_default())?;
        record.computed.insert(
            "Declared".into(),
            format!("{}/{}", desired.stack_id, desired.logical_id).into(),
        );
        checked(cx, &record)?;
        let full = balancer.computed("FullName").unwrap_or_default();
        record.id = cx.arn("elasticloadbalancing", &format!("listener/{full}/{}", suffix()));
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("ListenerArn", record.id.clone())
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        checked(cx, record)
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        for rule in RULES.list(cx)?.into_iter().filter(|r| r.has("ListenerArn", &record.id)) {
            RULES.delete(cx, &rule.id)?;
        }
        Ok(())
    }
}

pub fn port(record: &Record) -> Option<u16> {
    whole(record, "Port")
        .and_then(|p| u16::try_from(p).ok())
        .filter(|p| *p > 0)
}

pub fn named(cx: &Context, arn: &str) -> Result<Record, AwsError> {
    LISTENERS
        .get(cx, arn)?
        .ok_or_else(|| AwsError::new("ListenerNotFound", format!("Listeners '[{arn}]' not found")))
}

pub fn checked(cx: &Context, record: &Record) -> Result<(), AwsError> {
    let Some(port) = port(record) else {
        return Err(refused("A listener must have a Port between 1 and 65535"));
    };
    tls::of(record, true)?;
    let others = LISTENERS.list(cx)?;
    // One that replaces another, declared in the same place, takes its port over.
    let clash = others.iter().find(|r| {
        r.id != record.id && self::port(r) == Some(port) && r.computed("Declared") != record.computed("Declared")
    });
    if let Some(other) = clash {
        let words = format!(
            "Port {port} is in use by the listener {}: all load balancers of the embedded endpoint share the ports of \
             localhost.",
            other.id
        );
        return Err(AwsError::new("DuplicateListener", words));
    }
    checked_actions(cx, record.properties.get("DefaultActions"))
}
