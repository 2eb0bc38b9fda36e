//! Two templates side by side, where no change set can say it: a stack that does not exist yet, or lacks its inputs.

use serde_json::{Map, Value};

use super::{Change, PropertyChange};

/// What differs in the resources of two templates. Replacement is CloudFormation's to tell, and stays empty.
pub fn compare(old: Option<&Value>, new: &Value) -> Vec<Change> {
    let empty = Map::new();
    let before = old.and_then(|t| t["Resources"].as_object()).unwrap_or(&empty);
    let after = new["Resources"].as_object().unwrap_or(&empty);
    let kind = |resource: &Value| resource["Type"].as_str().unwrap_or_default().to_owned();
    let mut changes = Vec::new();
    for (name, resource) in after {
        let (action, properties) = match before.get(name) {
            None => ("add", Vec::new()),
            Some(former) if former == resource => continue,
            Some(former) => ("modify", properties(former, resource)),
        };
        changes.push(Change {
            resource: name.clone(),
            kind: kind(resource),
            action: action.into(),
            replacement: String::new(),
            properties,
        });
    }
    for (name, resource) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        let (action, properties) = ("remove".to_owned(), Vec::new());
        changes.push(Change {
            resource: name.clone(),
            kind: kind(resource),
            action,
            replacement: String::new(),
            properties,
        });
    }
    changes
}

fn properties(old: &Value, new: &Value) -> Vec<PropertyChange> {
    let empty = Map::new();
    let (before, after) = (
        old["Properties"].as_object().unwrap_or(&empty),
        new["Properties"].as_object().unwrap_or(&empty),
    );
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut names: Vec<&String> = before
        .keys()
        .chain(after.keys().filter(|name| !before.contains_key(*name)))
        .collect();
    names.retain(|name| before.get(*name) != after.get(*name));
    names
        .into_iter()
        .map(|name| PropertyChange {
            name: name.clone(),
            before: before.get(name).map(text),
            after: after.get(name).map(text),
            recreation: String::new(),
            cause: None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_changed_property_is_named_with_both_values() {
        let group = |days: u32| json!({"Resources": {"G": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": days}}}});
        let changes = compare(Some(&group(7)), &group(14));
        assert_eq!(changes.len(), 1);
        let property = &changes[0].properties[0];
        assert_eq!(
            (property.before.as_deref(), property.after.as_deref()),
            (Some("7"), Some("14"))
        );
    }

    #[test]
    fn without_a_former_template_everything_is_added() {
        let changes = compare(None, &json!({"Resources": {"A": {"Type": "AWS::EC2::VPC"}}}));
        assert_eq!(changes[0].action, "add");
    }
}
