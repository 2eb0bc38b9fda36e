//! What keeps a stack from being deleted: its termination protection, and the deletion protection of its resources.

use std::fmt;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::LoadBalancerAttribute;
use serde::Serialize;
use serde_json::Value;

use super::change::{self, Wanted};
use super::stack::{Existing, Resource};
use super::{apply, stack};
use crate::diff::{Action, Change};
use crate::error::{Error, Result};
use crate::schema::Recreation;
use crate::target::Aws;
use ui::Ui;

const LOAD_BALANCER: &str = "AWS::ElasticLoadBalancingV2::LoadBalancer";
const BALANCER_ATTRIBUTE: &str = "deletion_protection.enabled";
/// Types with a property that refuses their deletion while it is true.
const PROPERTIES: [(&str, &str); 3] = [
    ("AWS::RDS::DBInstance", "DeletionProtection"),
    ("AWS::RDS::DBCluster", "DeletionProtection"),
    ("AWS::DynamoDB::Table", "DeletionProtectionEnabled"),
];

/// One thing that refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Protection {
    pub stack: String,
    /// Logical id; none where it is the stack itself.
    pub resource: Option<String>,
    pub kind: String,
    pub physical: String,
    /// Whether the stack's template asks for it; else somebody has set it by hand.
    pub declared: bool,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.resource {
            None => write!(f, "stack {} has termination protection", self.stack),
            Some(resource) => {
                let by_hand = if self.declared { "" } else { ", set by hand" };
                write!(
                    f,
                    "{resource} of {} ({}) has deletion protection{by_hand}",
                    self.stack, self.kind
                )
            }
        }
    }
}

impl Protection {
    /// It as a thing.
    fn itself(&self) -> String {
        match &self.resource {
            None => format!("the termination protection of stack {}", self.stack),
            Some(resource) => format!(
                "the deletion protection of {resource} in {} ({})",
                self.stack, self.kind
            ),
        }
    }

    /// Why deployer does not lift it, where it does not: what a template does not declare, an update does not change.
    pub fn by_hand(&self) -> Option<String> {
        (self.resource.is_some() && !self.declared && self.kind != LOAD_BALANCER).then(|| match self.kind.as_str() {
            "AWS::RDS::DBInstance" => format!(
                "`aws rds modify-db-instance --db-instance-identifier {} --no-deletion-protection --apply-immediately`",
                self.physical
            ),
            "AWS::RDS::DBCluster" => format!(
                "`aws rds modify-db-cluster --db-cluster-identifier {} --no-deletion-protection`",
                self.physical
            ),
            _ => format!("set it off where it was set on, for {}", self.physical),
        })
    }
}

/// Everything that protects a stack or a resource of it, as it is now where the endpoint tells, else as the template says.
pub async fn find(
    aws: &Aws,
    existing: &Existing,
    resources: &[Resource],
    template: Option<&Value>,
) -> Result<Vec<Protection>> {
    let mut found = Vec::new();
    if existing.protected {
        found.push(Protection {
            stack: existing.name.clone(),
            resource: None,
            kind: "AWS::CloudFormation::Stack".into(),
            physical: existing.id.clone(),
            declared: false,
        });
    }
    let able = |resource: &&Resource| resource.kind == LOAD_BALANCER || property(&resource.kind).is_some();
    let asked = resources.iter().filter(able).map(|resource| async move {
        let declared = template.is_some_and(|all| declares(&resource.kind, &all["Resources"][&resource.logical]));
        let now = live(aws, existing, resource).await.unwrap_or(declared);
        now.then(|| Protection {
            stack: existing.name.clone(),
            resource: Some(resource.logical.clone()),
            kind: resource.kind.clone(),
            physical: resource.physical.clone(),
            declared,
        })
    });
    found.extend(futures::future::join_all(asked).await.into_iter().flatten());
    Ok(found)
}

fn property(kind: &str) -> Option<&'static str> {
    PROPERTIES
        .iter()
        .find(|(known, _)| *known == kind)
        .map(|(_, property)| *property)
}

fn is_true(value: &Value) -> bool {
    value.as_bool() == Some(true) || value.as_str() == Some("true")
}

fn declares(kind: &str, declared: &Value) -> bool {
    let properties = &declared["Properties"];
    match property(kind) {
        Some(property) => is_true(&properties[property]),
        None => properties["LoadBalancerAttributes"].as_array().is_some_and(|all| {
            all.iter()
                .any(|one| one["Key"] == BALANCER_ATTRIBUTE && is_true(&one["Value"]))
        }),
    }
}

/// Whether it is protected right now; none where the endpoint does not tell. CloudFormation reads a resource's properties
/// for its drift, so no other service need be asked.
async fn live(aws: &Aws, existing: &Existing, resource: &Resource) -> Option<bool> {
    if resource.kind == LOAD_BALANCER {
        let request = aws
            .elb
            .describe_load_balancer_attributes()
            .load_balancer_arn(&resource.physical);
        let answer = request.send().await.ok()?;
        let attribute = answer
            .attributes()
            .iter()
            .find(|one| one.key() == Some(BALANCER_ATTRIBUTE))?;
        return Some(attribute.value() == Some("true"));
    }
    let request = aws.cloudformation.detect_stack_resource_drift();
    let answer = request
        .stack_name(&existing.id)
        .logical_resource_id(&resource.logical)
        .send()
        .await
        .ok()?;
    let drift = answer.stack_resource_drift()?;
    if drift
        .stack_resource_drift_status()
        .is_some_and(|status| status.as_str() == "DELETED")
    {
        return Some(false);
    }
    let actual: Value = serde_json::from_str(drift.actual_properties()?).ok()?;
    actual.get(property(&resource.kind)?).map(is_true)
}

/// Lifts the protections of one stack; first those of resources, so that the stack's own goes last.
pub async fn lift(
    aws: &Aws,
    ui: &Ui,
    existing: &Existing,
    protections: &[Protection],
    template: Option<&Value>,
    limit: Duration,
) -> Result<()> {
    let declared: Vec<&str> = protections
        .iter()
        .filter(|one| one.kind != LOAD_BALANCER)
        .filter_map(|one| one.resource.as_deref())
        .collect();
    for balancer in protections.iter().filter(|one| one.kind == LOAD_BALANCER) {
        let off = LoadBalancerAttribute::builder()
            .key(BALANCER_ATTRIBUTE)
            .value("false")
            .build();
        let request = aws.elb.modify_load_balancer_attributes();
        request
            .load_balancer_arn(&balancer.physical)
            .attributes(off)
            .send()
            .await?;
    }
    if let Some(template) = template.filter(|_| !declared.is_empty()) {
        update(aws, ui, existing, &unprotected(template, &declared), limit).await?;
    }
    if protections.iter().any(|one| one.resource.is_none()) {
        stack::protect(aws, &existing.id, false).await?;
    }
    for one in protections {
        ui.info(format!("lifted: {}", one.itself()));
    }
    Ok(())
}

/// The template with the deletion protection of these resources set off.
fn unprotected(template: &Value, resources: &[&str]) -> Value {
    let mut template = template.clone();
    for logical in resources {
        let declared = &mut template["Resources"][*logical];
        if let Some(property) = declared["Type"].as_str().and_then(property) {
            declared["Properties"][property] = false.into();
        }
    }
    template
}

/// Updates the stack to this template, provided that nothing but a setting changes.
async fn update(aws: &Aws, ui: &Ui, existing: &Existing, template: &Value, limit: Duration) -> Result<()> {
    let mut tags = existing.tags.clone();
    tags.retain(|key, _| !key.starts_with("aws:"));
    let wanted = Wanted {
        name: existing.name.clone(),
        template: template.to_string(),
        parameters: existing.parameters.clone(),
        tags,
    };
    let Some(set) = change::prepare(aws, &wanted, false).await? else {
        return Ok(());
    };
    if let Some(other) = set.changes.iter().find(|change| !only_protection(change)) {
        change::discard(aws, &set.id, &set.stack_id).await?;
        return Err(Error::Declined(format!(
            "the deletion protection in {} cannot be lifted by an update, because that would also change {} ({}); nothing was deleted",
            existing.name, other.logical_id, other.resource_type
        )));
    }
    apply::apply(aws, ui, &existing.name, &set, None, limit).await.map(drop)
}

fn only_protection(change: &Change) -> bool {
    change.action == Action::Modify
        && change.replacement == Recreation::Never
        && property(&change.resource_type).is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_declared_protection_is_seen_and_taken_out_of_the_template() {
        let template = json!({ "Resources": {
            "Db": { "Type": "AWS::RDS::DBInstance", "Properties": { "DeletionProtection": true, "Port": "5432" } },
            "Door": { "Type": LOAD_BALANCER, "Properties": { "LoadBalancerAttributes": [
                { "Key": BALANCER_ATTRIBUTE, "Value": "true" }] } },
        } });
        let declared = |name: &str, kind| declares(kind, &template["Resources"][name]);
        assert!(declared("Db", "AWS::RDS::DBInstance") && declared("Door", LOAD_BALANCER));
        let lifted = unprotected(&template, &["Db"]);
        assert_eq!(
            lifted["Resources"]["Db"]["Properties"],
            json!({ "DeletionProtection": false, "Port": "5432" })
        );
        assert_eq!(
            lifted["Resources"]["Door"], template["Resources"]["Door"],
            "nothing else is touched"
        );
        assert!(!declares("AWS::RDS::DBInstance", &lifted["Resources"]["Db"]));
    }

    #[test]
    fn what_was_protected_by_hand_is_left_to_a_hand() {
        let mut one = Protection {
            stack: "shop-prod-data".into(),
            resource: Some("Db".into()),
            kind: "AWS::RDS::DBInstance".into(),
            physical: "db-1".into(),
            declared: true,
        };
        assert_eq!(one.by_hand(), None);
        one.declared = false;
        assert!(one.by_hand().is_some_and(|how| how.contains("db-1")));
        assert_eq!(
            one.to_string(),
            "Db of shop-prod-data (AWS::RDS::DBInstance) has deletion protection, set by hand"
        );
    }
}
