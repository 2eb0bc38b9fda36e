//! The change sets of nested stacks, which belong to the change set of the root stack (`IncludeNestedStacks`). They show what its execution changes;
//! the execution itself creates and updates the nested stacks as resources.

use serde_json::{Map, Value, json};

use super::input::NESTED_STACK;
use super::{lifecycle, new_change_set};
use crate::change_set::ChangeSet;
use crate::object_reader::ObjectReader;
use crate::scope::UNKNOWN;
use crate::stack;
use endpoint_core::{AwsError, Call, Context};

/// Returns the change sets of the nested stacks that a change set adds or changes, on each level. Their ARNs are written into the changes of
/// their parents. The change set fails if one of them does (CloudFormation User Guide, "Create change sets for nested stacks").
pub async fn prepare(
    cx: &Context,
    call: &Call,
    objects: ObjectReader,
    root: &mut ChangeSet,
) -> Result<Vec<ChangeSet>, AwsError> {
    let mut sets = vec![root.clone()];
    let mut position = 0;
    while position < sets.len() && root.includes_nested {
        for index in 0..sets[position].changes.len() {
            let change = &sets[position].changes[index];
            if change["ResourceType"] != NESTED_STACK || change["Action"] == "Remove" {
                continue;
            }
            let mut child = match of_change(cx, call, objects, &sets[position], change).await {
                Ok(Some(child)) => child,
                Ok(None) => continue,
                Err(error) if error.status >= 500 => return Err(error),
                Err(error) => {
                    sets[0].fail(error.message);
                    continue;
                }
            };
            child.parent = Some((sets[position].id.clone(), root.id.clone()));
            sets[position].changes[index]["ChangeSetId"] = child.id.as_str().into();
            if child.status == "FAILED" && child.reason.as_deref() != Some(new_change_set::NO_CHANGES) {
                sets[0].fail(format!(
                    "Nested change set {} was not successfully created: Currently in FAILED.",
                    child.id
                ));
            }
            sets.push(child);
        }
        position += 1;
    }
    *root = sets.remove(0);
    Ok(sets)
}

/// Returns the change set of one nested stack. A stack that is added exists only after the execution. There is none while the template's
/// address is not known.
async fn of_change(
    cx: &Context,
    call: &Call,
    objects: ObjectReader,
    parent: &ChangeSet,
    change: &Value,
) -> Result<Option<ChangeSet>, AwsError> {
    let context: Value = serde_json::from_str(change["AfterContext"].as_str().unwrap_or_default()).unwrap_or_default();
    let properties = &context["Properties"];
    let url = properties["TemplateURL"].as_str().unwrap_or_default();
    if url.is_empty() || url.contains(UNKNOWN) {
        return Ok(None);
    }
    let empty = Map::new();
    let declared = properties["Parameters"].as_object().unwrap_or(&empty);
    let parameters: Vec<Value> = declared
        .iter()
        .map(|(name, value)| json!({"ParameterKey": name, "ParameterValue": joined(value)}))
        .collect();
    let logical_id = change["LogicalResourceId"].as_str().unwrap_or_default();
    let name = format!("{}-{logical_id}", parent.name);
    let call = Call {
        operation: call.operation.clone(),
        region: call.region.clone(),
        input: json!({
            "TemplateURL": url, "Parameters": parameters, "Capabilities": parent.capabilities, "IncludeNestedStacks": true,
        }),
    };
    let stack = match change["PhysicalResourceId"]
        .as_str()
        .filter(|_| change["Action"] == "Modify")
    {
        Some(id) => stack::existing(cx, id)?,
        None => lifecycle::new(cx, &format!("{}-{logical_id}", parent.stack_name), &call),
    };
    let is_create = change["Action"] == "Add";
    new_change_set::prepare(cx, &call, objects, &stack, name, is_create)
        .await
        .map(Some)
}

/// Returns a list as CloudFormation gives it to a parameter.
fn joined(value: &Value) -> Value {
    match value.as_array() {
        Some(list) => list
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(",")
            .into(),
        None => value.clone(),
    }
}

/// Refuses an operation on the change set of a nested stack: the whole hierarchy is executed and deleted by its root.
pub fn check_root(set: &ChangeSet, verb: &str) -> Result<(), AwsError> {
    match &set.parent {
        None => Ok(()),
        Some((_, root)) => Err(AwsError::validation(format!(
            "ChangeSet [{}] belongs to a nested stack. It is {verb} with the change set of the root stack, {root}.",
            set.id
        ))),
    }
}
