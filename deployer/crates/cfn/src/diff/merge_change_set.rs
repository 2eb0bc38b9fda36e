//! Merge of a change set with a comparison of templates: CloudFormation's decisions in the detail that the templates show.

use serde_json::Value;

use super::change::{Change, PropertyChange};
use super::data_loss::data_loss;

/// Returns the changes of a change set, with a property replaced by what the comparison shows of it in more detail.
///
/// `former` is the deployed template, whose policies decide which data is lost.
pub fn merge_change_set(change_set: Vec<Change>, compared: &[Change], former: Option<&Value>) -> Vec<Change> {
    change_set
        .into_iter()
        .map(|mut change| {
            if let Some(known) = compared.iter().find(|known| known.logical_id == change.logical_id) {
                change.properties = change
                    .properties
                    .into_iter()
                    .flat_map(|property| detailed(property, known))
                    .collect();
            }
            change.loss = former
                .and_then(|template| template["Resources"].get(&change.logical_id))
                .and_then(|resource| data_loss(&change, resource));
            change
        })
        .collect()
}

fn detailed(property: PropertyChange, known: &Change) -> Vec<PropertyChange> {
    let inside = format!("{}.", property.name);
    let finer: Vec<PropertyChange> = known
        .properties
        .iter()
        .filter(|finer| finer.cause.is_none() && (finer.name == property.name || finer.name.starts_with(&inside)))
        .map(|finer| PropertyChange {
            recreation: property.recreation.max(finer.recreation),
            ..finer.clone()
        })
        .collect();
    if finer.is_empty() { vec![property] } else { finer }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diff::{Action, compare};
    use crate::schema::Recreation;

    #[test]
    fn the_change_set_decides_and_the_templates_give_the_detail() {
        let template = |level: &str| {
            json!({"Resources": {"Task": {"Type": "AWS::ECS::TaskDefinition", "Properties": {"ContainerDefinitions": [
                {"Name": "app", "Environment": [{"Name": "RUST_LOG", "Value": level}]}]}}}})
        };
        let (old, new) = (template("info"), template("debug"));
        let property = |name: &str, cause: Option<&str>| PropertyChange {
            name: name.into(),
            before: None,
            after: None,
            recreation: Recreation::Always,
            cause: cause.map(str::to_owned),
        };
        let change_set = vec![Change {
            logical_id: "Task".into(),
            resource_type: "AWS::ECS::TaskDefinition".into(),
            action: Action::Modify,
            replacement: Recreation::Always,
            properties: vec![
                property("ContainerDefinitions", None),
                property("TaskRoleArn", Some("RoleArn")),
            ],
            loss: None,
        }];
        let merged = merge_change_set(change_set, &compare(Some(&old), &new), Some(&old));
        let names: Vec<&str> = merged[0].properties.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["ContainerDefinitions.app.Environment.RUST_LOG", "TaskRoleArn"]);
    }
}
