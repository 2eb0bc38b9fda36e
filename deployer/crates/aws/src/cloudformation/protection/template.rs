//! Deletion protection in templates.

use serde_json::{Value, json};

pub(super) const LOAD_BALANCER: &str = "AWS::ElasticLoadBalancingV2::LoadBalancer";
pub(super) const LOAD_BALANCER_ATTRIBUTE: &str = "deletion_protection.enabled";
pub(super) const DATABASE: &str = "AWS::RDS::DBInstance";
const DATABASE_PROPERTY: &str = "DeletionProtection";

/// Returns the template with every deletion protection disabled; `None` if it declares none.
///
/// A first creation uses it: the rollback of a failed one deletes what was made, and RDS and Elastic Load Balancing refuse to delete
/// what is protected (API references of `DeleteDBInstance` and `DeleteLoadBalancer`). CloudFormation's handlers do not disable the
/// protection (`aws-cloudformation-resource-providers-rds`, `DeleteHandler.java`).
pub fn unprotected_template(template: &Value) -> Option<Value> {
    let mut unprotected = template.clone();
    let mut changed = false;
    for resource in unprotected.get_mut("Resources")?.as_object_mut()?.values_mut() {
        if let Some((value, disabled)) = protection_value(resource)
            && is_true(value)
        {
            *value = disabled;
            changed = true;
        }
    }
    changed.then_some(unprotected)
}

/// Returns whether a resource of a template is protected.
pub(super) fn declares_protection(resource: &Value) -> bool {
    protection_value(&mut resource.clone()).is_some_and(|(value, _)| is_true(value))
}

/// Returns the value that protects a resource, and the value that does not.
fn protection_value(resource: &mut Value) -> Option<(&mut Value, Value)> {
    let resource_type = resource["Type"].as_str()?.to_owned();
    let properties = resource.get_mut("Properties")?;
    match resource_type.as_str() {
        DATABASE => Some((properties.get_mut(DATABASE_PROPERTY)?, json!(false))),
        LOAD_BALANCER => {
            let mut attributes = properties.get_mut("LoadBalancerAttributes")?.as_array_mut()?.iter_mut();
            let attribute = attributes.find(|one| one["Key"] == LOAD_BALANCER_ATTRIBUTE)?;
            Some((attribute.get_mut("Value")?, json!("false")))
        }
        _ => None,
    }
}

fn is_true(value: &Value) -> bool {
    value.as_bool() == Some(true) || value.as_str() == Some("true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_declared_protection_is_disabled_and_nothing_else_is_changed() {
        let template = |database: bool, balancer: &str| {
            json!({ "Resources": {
                "Db": { "Type": DATABASE, "Properties": { "DeletionProtection": database, "Port": "5432" } },
                "Ingress": { "Type": LOAD_BALANCER, "Properties": { "LoadBalancerAttributes": [
                    { "Key": "idle_timeout.timeout_seconds", "Value": "60" },
                    { "Key": LOAD_BALANCER_ATTRIBUTE, "Value": balancer }] } },
                "Vpc": { "Type": "AWS::EC2::VPC" },
            } })
        };
        let (protected, unprotected) = (template(true, "true"), template(false, "false"));
        assert_eq!(unprotected_template(&protected).as_ref(), Some(&unprotected));
        assert_eq!(unprotected_template(&unprotected), None);
        let declared = |name: &str| declares_protection(&protected["Resources"][name]);
        assert!(declared("Db") && declared("Ingress") && !declared("Vpc"));
        assert!(!declares_protection(&unprotected["Resources"]["Db"]));
    }
}
