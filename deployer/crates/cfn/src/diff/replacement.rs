//! Propagation of replacements: a resource that refers to a replaced one receives another ID, and may be replaced for that.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::change::{Action, Change, PropertyChange, resource_type};
use crate::schema::{self, Recreation};

/// Adds to `changes` what the replacements among them change in other resources, until nothing follows any more.
pub fn propagate(changes: &mut Vec<Change>, before: &Map<String, Value>, after: &Map<String, Value>) {
    let mut seen = BTreeSet::new();
    loop {
        let next = changes
            .iter()
            .find(|change| change.replacement == Recreation::Always && !seen.contains(&change.logical_id))
            .map(|change| change.logical_id.clone());
        let Some(replaced) = next else { return };
        seen.insert(replaced.clone());
        for (name, resource) in after
            .iter()
            .filter(|(name, _)| before.contains_key(*name) && **name != replaced)
        {
            let resource_type = resource_type(resource);
            let schema = schema::of(&resource_type);
            let users = resource["Properties"].as_object().into_iter().flatten();
            for (property, _) in users.filter(|(_, value)| refers(value, &replaced)) {
                let recreation = schema.map_or(Recreation::Unknown, |schema| schema.recreation(&[property]));
                add(changes, name, &resource_type, property, recreation, &replaced);
            }
        }
    }
}

fn add(
    changes: &mut Vec<Change>,
    name: &str,
    resource_type: &str,
    property: &str,
    recreation: Recreation,
    cause: &str,
) {
    let change = if let Some(at) = changes.iter_mut().position(|change| change.logical_id == name) {
        &mut changes[at]
    } else {
        changes.push(Change {
            logical_id: name.to_owned(),
            resource_type: resource_type.to_owned(),
            action: Action::Modify,
            replacement: Recreation::Never,
            properties: Vec::new(),
            loss: None,
        });
        let last = changes.len() - 1;
        &mut changes[last]
    };
    let inside = format!("{property}.");
    if change
        .properties
        .iter()
        .any(|known| known.name == property || known.name.starts_with(&inside))
    {
        return;
    }
    change.replacement = change.replacement.max(recreation);
    change.properties.push(PropertyChange {
        name: property.to_owned(),
        before: None,
        after: None,
        recreation,
        cause: Some(cause.to_owned()),
    });
}

/// Returns true if a value refers to this resource.
fn refers(value: &Value, resource: &str) -> bool {
    match value {
        Value::Object(object) => object.iter().any(|(key, inner)| match (key.as_str(), inner) {
            ("Ref", Value::String(name)) => name == resource,
            ("Fn::GetAtt", Value::Array(parts)) => parts.first().is_some_and(|name| name == resource),
            ("Fn::GetAtt", Value::String(text)) => text.split('.').next() == Some(resource),
            ("Fn::Sub", Value::String(text)) => in_text(text, resource),
            ("Fn::Sub", Value::Array(parts)) => {
                parts
                    .first()
                    .and_then(Value::as_str)
                    .is_some_and(|text| in_text(text, resource))
                    || parts.iter().skip(1).any(|part| refers(part, resource))
            }
            _ => refers(inner, resource),
        }),
        Value::Array(items) => items.iter().any(|item| refers(item, resource)),
        _ => false,
    }
}

fn in_text(text: &str, resource: &str) -> bool {
    text.contains(&format!("${{{resource}}}")) || text.contains(&format!("${{{resource}."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::diff::compare;

    #[test]
    fn a_resource_that_refers_to_a_replaced_one_changes_and_is_replaced_if_its_type_says_so() {
        let template = |cidr: &str| {
            json!({"Resources": {
                "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": cidr}},
                "Subnet": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.1.0/24"}},
                "Balancer": {"Type": "AWS::ElasticLoadBalancingV2::LoadBalancer", "Properties": {"Subnets": [{"Ref": "Subnet"}]}},
                "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {}},
            }})
        };
        let changes = compare(Some(&template("10.0.0.0/16")), &template("10.1.0.0/16"));
        let changes: Vec<String> = changes
            .iter()
            .map(|change| {
                let cause = change.properties[0].cause.as_deref().unwrap_or("itself");
                format!("{} {:?} {cause}", change.logical_id, change.replacement)
            })
            .collect();
        assert_eq!(
            changes,
            ["Vpc Always itself", "Subnet Always Vpc", "Balancer Never Subnet"]
        );
    }
}
