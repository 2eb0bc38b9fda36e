//! Comparison of two templates.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::canonical::{canonical, name_of_items};
use super::change::{Action, Change, PropertyChange, resource_type};
use super::data_loss::data_loss;
use super::replacement;
use super::text::{is_function, text};
use crate::schema::{self, Recreation, Schema};

/// Returns the changes between the resources of two templates, with the replacements that they cause in others.
pub fn compare(old: Option<&Value>, new: &Value) -> Vec<Change> {
    compare_with(old, new, &BTreeSet::new())
}

/// Returns the changes between the resources of two templates, with those that follow from other values of these parameters.
pub fn compare_with(old: Option<&Value>, new: &Value, parameters: &BTreeSet<String>) -> Vec<Change> {
    let empty = Map::new();
    let before = old
        .and_then(|template| template["Resources"].as_object())
        .unwrap_or(&empty);
    let after = new["Resources"].as_object().unwrap_or(&empty);
    let mut changes: Vec<Change> = after
        .iter()
        .filter_map(|(name, resource)| match before.get(name) {
            None => Some(unchanged(name, resource, Action::Add)),
            Some(former) => modified(name, former, resource),
        })
        .collect();
    replacement::propagate(&mut changes, before, after, parameters);
    changes.extend(
        before
            .iter()
            .filter(|(name, _)| !after.contains_key(*name))
            .map(|(name, resource)| unchanged(name, resource, Action::Remove)),
    );
    for change in &mut changes {
        change.loss = before
            .get(&change.logical_id)
            .and_then(|former| data_loss(change, former));
    }
    changes
}

/// Returns a change without properties.
fn unchanged(name: &str, resource: &Value, action: Action) -> Change {
    Change {
        logical_id: name.to_owned(),
        resource_type: resource_type(resource),
        action,
        replacement: Recreation::Never,
        properties: Vec::new(),
        loss: None,
    }
}

fn modified(name: &str, old: &Value, new: &Value) -> Option<Change> {
    let mut change = unchanged(name, new, Action::Modify);
    if resource_type(old) != change.resource_type {
        // CloudFormation rejects this; it is reported as the replacement that the user has to make.
        change.replacement = Recreation::Always;
        let (before, after) = (Some(resource_type(old)), Some(change.resource_type.clone()));
        let recreation = Recreation::Always;
        change.properties.push(PropertyChange {
            name: "Type".into(),
            before,
            after,
            recreation,
            cause: None,
        });
        return Some(change);
    }
    let schema = schema::of(&change.resource_type);
    let mut difference = PropertyDifference {
        schema,
        found: Vec::new(),
    };
    let side = |resource: &Value| canonical(&resource["Properties"], &[], schema);
    difference.compare(&side(old), &side(new), &mut Vec::new(), &mut Vec::new());
    change.properties = difference.found;
    for attribute in ["DeletionPolicy", "UpdateReplacePolicy", "Condition", "UpdatePolicy"] {
        let side = |resource: &Value| resource.get(attribute).map(text);
        let (before, after) = (side(old), side(new));
        if before != after {
            let (name, recreation) = (attribute.to_owned(), Recreation::Never);
            change.properties.push(PropertyChange {
                name,
                before,
                after,
                recreation,
                cause: None,
            });
        }
    }
    change.replacement = change
        .properties
        .iter()
        .map(|property| property.recreation)
        .max()
        .unwrap_or_default();
    (!change.properties.is_empty()).then_some(change)
}

struct PropertyDifference<'a> {
    schema: Option<&'a Schema>,
    found: Vec<PropertyChange>,
}

impl PropertyDifference<'_> {
    /// Descends to the values that differ. `path` is in the terms of the schema, `shown` is what the user reads.
    fn compare(&mut self, old: &Value, new: &Value, path: &mut Vec<String>, shown: &mut Vec<String>) {
        if old == new {
            return;
        }
        match (old, new) {
            (Value::Object(before), Value::Object(after)) if !is_function(before) && !is_function(after) => {
                let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
                names.sort_unstable();
                names.dedup();
                for name in names {
                    path.push(name.clone());
                    shown.push(name.clone());
                    self.compare(&old[name], &new[name], path, shown);
                    path.pop();
                    shown.pop();
                }
            }
            (Value::Array(before), Value::Array(after)) => self.lists(before, after, path, shown),
            _ => self.note(old, new, path, shown),
        }
    }

    fn lists(&mut self, before: &[Value], after: &[Value], path: &mut Vec<String>, shown: &mut Vec<String>) {
        let named = name_of_items(before).filter(|key| name_of_items(after) == Some(key));
        if let Some(key) = named {
            let find = |items: &[Value], name: &str| items.iter().find(|item| item[key] == name).cloned();
            let mut names: Vec<&str> = before
                .iter()
                .chain(after)
                .filter_map(|item| item[key].as_str())
                .collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                shown.push(name.to_owned());
                let (old, new) = (
                    find(before, name).unwrap_or_default(),
                    find(after, name).unwrap_or_default(),
                );
                // A pair of name and value is shown by its value alone.
                let is_pair = |item: &Value| {
                    item.as_object()
                        .is_none_or(|pair| pair.len() == 2 && pair.contains_key("Value"))
                };
                if is_pair(&old) && is_pair(&new) && old != new {
                    path.push("Value".to_owned());
                    self.note(&old["Value"], &new["Value"], path, shown);
                    path.pop();
                } else {
                    self.compare(&old, &new, path, shown);
                }
                shown.pop();
            }
        } else if before.len() == after.len() && before.iter().chain(after).all(Value::is_object) {
            for (index, (old, new)) in before.iter().zip(after).enumerate() {
                shown.push(index.to_string());
                self.compare(old, new, path, shown);
                shown.pop();
            }
        } else {
            self.note(&json!(before), &json!(after), path, shown);
        }
    }

    fn note(&mut self, old: &Value, new: &Value, path: &[String], shown: &[String]) {
        let steps: Vec<&str> = path.iter().map(String::as_str).collect();
        let recreation = self
            .schema
            .map_or(Recreation::Unknown, |schema| schema.recreation(&steps));
        let side = |value: &Value| (!value.is_null()).then(|| text(value));
        self.found.push(PropertyChange {
            name: shown.join("."),
            before: side(old),
            after: side(new),
            recreation,
            cause: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(resource_type: &str, properties: &Value) -> Value {
        json!({"Resources": {"It": {"Type": resource_type, "Properties": properties}}})
    }

    fn changed(resource_type: &str, old: &Value, new: &Value) -> Vec<String> {
        let changes = compare(Some(&template(resource_type, old)), &template(resource_type, new));
        let properties = changes.into_iter().flat_map(|change| change.properties);
        properties
            .map(|p| {
                let side = |value: Option<String>| value.unwrap_or_else(|| "-".into());
                format!("{}: {} -> {} {:?}", p.name, side(p.before), side(p.after), p.recreation)
            })
            .collect()
    }

    #[test]
    fn a_changed_property_is_named_with_both_values() {
        let changed = changed(
            "AWS::Logs::LogGroup",
            &json!({"RetentionInDays": 7}),
            &json!({"RetentionInDays": 14}),
        );
        assert_eq!(changed, ["RetentionInDays: 7 -> 14 Never"]);
    }

    #[test]
    fn a_variable_of_a_container_is_named_by_its_name() {
        let definition = |level: &str| {
            json!({"ContainerDefinitions": [{"Name": "app", "Environment": [
                {"Name": "RUST_LOG", "Value": level}, {"Name": "PORT", "Value": "80"}]}]})
        };
        let changed = changed("AWS::ECS::TaskDefinition", &definition("info"), &definition("debug"));
        assert_eq!(
            changed,
            ["ContainerDefinitions.app.Environment.RUST_LOG: info -> debug Always"]
        );
    }

    #[test]
    fn another_spelling_is_no_difference() {
        let old = json!({"LogGroupName": {"Fn::Sub": "${Name}"}, "RetentionInDays": "7"});
        let new = json!({"RetentionInDays": 7, "LogGroupName": {"Ref": "Name"}});
        assert_eq!(changed("AWS::Logs::LogGroup", &old, &new), Vec::<String>::new());
    }

    #[test]
    fn without_a_former_template_everything_is_added() {
        let changes = compare(None, &template("AWS::EC2::VPC", &json!({})));
        assert_eq!(
            (changes[0].action, changes[0].replacement),
            (Action::Add, Recreation::Never)
        );
    }

    #[test]
    fn a_database_that_changes_in_place_loses_nothing() {
        let loss = |before: serde_json::Value, after: serde_json::Value| {
            let template =
                |properties| json!({"Resources": {"It": {"Type": "AWS::RDS::DBInstance", "Properties": properties}}});
            compare(Some(&template(before)), &template(after))[0].loss.clone()
        };
        assert_eq!(loss(json!({"MultiAZ": false}), json!({"MultiAZ": true})), None);
        let snapshot = |name: &str| json!({"DBSnapshotIdentifier": name});
        assert_eq!(
            loss(snapshot("a"), snapshot("b")).as_deref(),
            Some("perhaps the database with all its data")
        );
    }
}
