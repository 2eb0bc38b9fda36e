//! Propagation of replacements: a resource that refers to a replaced one receives another ID, and may be replaced for that.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::change::{Action, Change, PropertyChange, resource_type};
use super::text::is_function;
use crate::schema::{self, Recreation};

/// Adds to `changes` what other values of `parameters`, and the replacements among the changes, change in other resources, until
/// nothing follows any more.
pub fn propagate(
    changes: &mut Vec<Change>,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    parameters: &BTreeSet<String>,
) {
    for parameter in parameters {
        follow(changes, before, after, parameter);
    }
    let mut seen = BTreeSet::new();
    loop {
        let next = changes
            .iter()
            .find(|change| change.replacement == Recreation::Always && !seen.contains(&change.logical_id))
            .map(|change| change.logical_id.clone());
        let Some(replaced) = next else { return };
        follow(changes, before, after, &replaced);
        seen.insert(replaced);
    }
}

/// Adds the properties that refer to a parameter or resource whose value is another one.
fn follow(changes: &mut Vec<Change>, before: &Map<String, Value>, after: &Map<String, Value>, cause: &str) {
    let existing = after
        .iter()
        .filter(|(name, _)| before.contains_key(*name) && *name != cause);
    for (name, resource) in existing {
        let resource_type = resource_type(resource);
        let schema = schema::of(&resource_type);
        let mut paths = Vec::new();
        references_to(&resource["Properties"], cause, &mut Vec::new(), &mut paths);
        for path in paths {
            let recreation = schema.map_or(Recreation::Unknown, |schema| schema.recreation(&path));
            add(changes, name, &resource_type, &path.join("."), recreation, cause);
        }
    }
}

/// Collects the paths of the properties that refer to a resource or parameter; the steps into lists are left out.
fn references_to<'a>(value: &'a Value, name: &str, path: &mut Vec<&'a str>, found: &mut Vec<Vec<&'a str>>) {
    match value {
        Value::Object(object) if is_function(object) => {
            let new = refers(value, name) && !found.contains(path);
            found.extend(new.then(|| path.clone()));
        }
        Value::Object(object) => {
            for (key, inner) in object {
                path.push(key);
                references_to(inner, name, path, found);
                path.pop();
            }
        }
        Value::Array(items) => {
            for item in items {
                references_to(item, name, path, found);
            }
        }
        _ => {}
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

    use crate::diff::{compare, compare_with};

    #[test]
    fn another_value_of_a_parameter_changes_what_refers_to_it() {
        let template = json!({"Resources": {
            "Kafka": {"Type": "AWS::MSK::Cluster", "Properties": {"ClusterName": "shop", "BrokerNodeGroupInfo": {
                "ClientSubnets": {"Ref": "SubnetIds"}, "InstanceType": {"Ref": "InstanceType"}}}},
            "Group": {"Type": "AWS::RDS::DBSubnetGroup", "Properties": {"SubnetIds": {"Ref": "SubnetIds"}}},
        }});
        let changes = compare_with(Some(&template), &template, &["SubnetIds".to_owned()].into());
        let changes: Vec<String> = changes
            .iter()
            .map(|change| {
                format!(
                    "{} {} {:?}",
                    change.logical_id, change.properties[0].name, change.replacement
                )
            })
            .collect();
        assert_eq!(
            changes,
            [
                "Kafka BrokerNodeGroupInfo.ClientSubnets Always",
                "Group SubnetIds Never"
            ]
        );
    }

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
