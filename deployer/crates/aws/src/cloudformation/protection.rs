//! Protection against deletion: the termination protection of a stack, and the deletion protection of its resources.

use std::fmt;

use aws_sdk_elasticloadbalancingv2::types::LoadBalancerAttribute;
use cfn::diff::{Action, Change};
use cfn::schema::Recreation;
use serde::Serialize;
use serde_json::Value;

use super::change_set::StackInput;
use super::stack::{Stack, StackResource};
use crate::error::Result;
use crate::session::Session;

const LOAD_BALANCER: &str = "AWS::ElasticLoadBalancingV2::LoadBalancer";
const BALANCER_ATTRIBUTE: &str = "deletion_protection.enabled";
/// Types with a property that prevents their deletion while it is true.
const PROPERTIES: [(&str, &str); 3] = [
    ("AWS::RDS::DBInstance", "DeletionProtection"),
    ("AWS::RDS::DBCluster", "DeletionProtection"),
    ("AWS::DynamoDB::Table", "DeletionProtectionEnabled"),
];

/// A protection that is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Protection {
    /// The name of the stack.
    pub stack: String,
    /// The logical ID of the resource; `None` for the stack itself.
    #[serde(rename = "resource")]
    pub logical_id: Option<String>,
    /// The CloudFormation type; `AWS::CloudFormation::Stack` for the stack itself.
    #[serde(rename = "kind")]
    pub resource_type: String,
    /// The physical ID of the resource, or the ARN of the stack.
    #[serde(rename = "physical")]
    pub physical_id: String,
    /// True if the stack's template declares it; otherwise it was set outside the template.
    pub declared: bool,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stack, resource_type) = (&self.stack, &self.resource_type);
        match &self.logical_id {
            None => write!(f, "stack {stack} has termination protection"),
            Some(resource) => {
                let origin = if self.declared {
                    ""
                } else {
                    ", set outside the template"
                };
                write!(
                    f,
                    "{resource} of {stack} ({resource_type}) has deletion protection{origin}"
                )
            }
        }
    }
}

impl Protection {
    /// Returns whether Elastic Load Balancing enforces it.
    pub fn is_load_balancer(&self) -> bool {
        self.resource_type == LOAD_BALANCER
    }

    /// Returns a noun phrase, `the termination protection of stack shop-prod-data`.
    pub fn noun(&self) -> String {
        let (stack, resource_type) = (&self.stack, &self.resource_type);
        match &self.logical_id {
            None => format!("the termination protection of stack {stack}"),
            Some(resource) => format!("the deletion protection of {resource} in {stack} ({resource_type})"),
        }
    }

    /// Returns how to disable it manually, if an update cannot: an update does not change what the template does not declare.
    pub fn manual_command(&self) -> Option<String> {
        if self.logical_id.is_none() || self.declared || self.is_load_balancer() {
            return None;
        }
        let id = &self.physical_id;
        Some(match self.resource_type.as_str() {
            "AWS::RDS::DBInstance" => format!(
                "`aws rds modify-db-instance --db-instance-identifier {id} --no-deletion-protection --apply-immediately`"
            ),
            "AWS::RDS::DBCluster" => {
                format!("`aws rds modify-db-cluster --db-cluster-identifier {id} --no-deletion-protection`")
            }
            _ => format!("disable it for {id} in the same way as it was enabled"),
        })
    }
}

/// Returns the protections of a stack and its resources: their state if the endpoint reports it, else what the template declares.
pub async fn find_protections(
    aws: &Session,
    stack: &Stack,
    resources: &[StackResource],
    template: Option<&Value>,
) -> Vec<Protection> {
    let mut found = Vec::new();
    if stack.protected {
        found.push(Protection {
            stack: stack.name.clone(),
            logical_id: None,
            resource_type: "AWS::CloudFormation::Stack".into(),
            physical_id: stack.id.clone(),
            declared: false,
        });
    }
    let protectable = |resource: &&StackResource| {
        resource.resource_type == LOAD_BALANCER || property(&resource.resource_type).is_some()
    };
    let states = resources.iter().filter(protectable).map(|resource| async move {
        let declared = template
            .is_some_and(|template| declares(&resource.resource_type, &template["Resources"][&resource.logical_id]));
        let protected = state(aws, stack, resource).await.unwrap_or(declared);
        protected.then(|| Protection {
            stack: stack.name.clone(),
            logical_id: Some(resource.logical_id.clone()),
            resource_type: resource.resource_type.clone(),
            physical_id: resource.physical_id.clone(),
            declared,
        })
    });
    found.extend(futures::future::join_all(states).await.into_iter().flatten());
    found
}

fn property(resource_type: &str) -> Option<&'static str> {
    PROPERTIES
        .iter()
        .find(|(known, _)| *known == resource_type)
        .map(|(_, property)| *property)
}

fn is_true(value: &Value) -> bool {
    value.as_bool() == Some(true) || value.as_str() == Some("true")
}

fn declares(resource_type: &str, declared: &Value) -> bool {
    let properties = &declared["Properties"];
    match property(resource_type) {
        Some(property) => is_true(&properties[property]),
        None => properties["LoadBalancerAttributes"].as_array().is_some_and(|all| {
            all.iter()
                .any(|one| one["Key"] == BALANCER_ATTRIBUTE && is_true(&one["Value"]))
        }),
    }
}

/// Returns whether a resource is protected right now; `None` if the endpoint does not report it. CloudFormation reads the properties
/// of a resource for its drift, so that no other service needs to be called.
async fn state(aws: &Session, stack: &Stack, resource: &StackResource) -> Option<bool> {
    if resource.resource_type == LOAD_BALANCER {
        let request = aws.elb.describe_load_balancer_attributes();
        let request = request.load_balancer_arn(&resource.physical_id);
        let response = request.send().await.ok()?;
        let attribute = response
            .attributes()
            .iter()
            .find(|one| one.key() == Some(BALANCER_ATTRIBUTE))?;
        return Some(attribute.value() == Some("true"));
    }
    let request = aws.cloudformation.detect_stack_resource_drift();
    let request = request.stack_name(&stack.id).logical_resource_id(&resource.logical_id);
    let response = request.send().await.ok()?;
    let drift = response.stack_resource_drift()?;
    if drift
        .stack_resource_drift_status()
        .is_some_and(|status| status.as_str() == "DELETED")
    {
        return Some(false);
    }
    let actual: Value = serde_json::from_str(drift.actual_properties()?).ok()?;
    actual.get(property(&resource.resource_type)?).map(is_true)
}

/// Disables the deletion protection of a load balancer.
///
/// # Errors
/// The request fails.
pub async fn disable_load_balancer_protection(aws: &Session, arn: &str) -> Result<()> {
    let off = LoadBalancerAttribute::builder()
        .key(BALANCER_ATTRIBUTE)
        .value("false")
        .build();
    let request = aws.elb.modify_load_balancer_attributes();
    request.load_balancer_arn(arn).attributes(off).send().await?;
    Ok(())
}

/// Returns the input for an update that disables the deletion protection of these resources and changes nothing else.
pub fn unprotected_input(stack: &Stack, template: &Value, resources: &[&str]) -> StackInput {
    let mut tags = stack.tags.clone();
    tags.retain(|key, _| !key.starts_with("aws:"));
    StackInput {
        name: stack.name.clone(),
        template: unprotected(template, resources).to_string(),
        parameters: stack.parameters.clone(),
        tags,
    }
}

/// Returns the template with the deletion protection of these resources disabled.
fn unprotected(template: &Value, resources: &[&str]) -> Value {
    let mut template = template.clone();
    for logical_id in resources {
        let declared = &mut template["Resources"][*logical_id];
        if let Some(property) = declared["Type"].as_str().and_then(property) {
            declared["Properties"][property] = false.into();
        }
    }
    template
}

/// Returns whether a change can be one of a deletion protection alone.
pub fn is_protection_change(change: &Change) -> bool {
    change.action == Action::Modify
        && change.replacement == Recreation::Never
        && property(&change.resource_type).is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_declared_protection_is_found_and_removed_from_the_template() {
        let template = json!({ "Resources": {
            "Db": { "Type": "AWS::RDS::DBInstance", "Properties": { "DeletionProtection": true, "Port": "5432" } },
            "Ingress": { "Type": LOAD_BALANCER, "Properties": { "LoadBalancerAttributes": [
                { "Key": BALANCER_ATTRIBUTE, "Value": "true" }] } },
        } });
        let declared = |name: &str, resource_type| declares(resource_type, &template["Resources"][name]);
        assert!(declared("Db", "AWS::RDS::DBInstance") && declared("Ingress", LOAD_BALANCER));
        let unprotected = unprotected(&template, &["Db"]);
        assert_eq!(
            unprotected["Resources"]["Db"]["Properties"],
            json!({ "DeletionProtection": false, "Port": "5432" })
        );
        assert_eq!(
            unprotected["Resources"]["Ingress"], template["Resources"]["Ingress"],
            "nothing else is changed"
        );
        assert!(!declares("AWS::RDS::DBInstance", &unprotected["Resources"]["Db"]));
    }

    #[test]
    fn a_protection_set_outside_the_template_must_be_disabled_manually() {
        let mut protection = Protection {
            stack: "shop-prod-data".into(),
            logical_id: Some("Db".into()),
            resource_type: "AWS::RDS::DBInstance".into(),
            physical_id: "db-1".into(),
            declared: true,
        };
        assert_eq!(protection.manual_command(), None);
        protection.declared = false;
        assert!(
            protection
                .manual_command()
                .is_some_and(|command| command.contains("db-1"))
        );
        insta::assert_snapshot!(protection, @"Db of shop-prod-data (AWS::RDS::DBInstance) has deletion protection, set outside the template");
    }
}
