//! `AWS::CloudFormation::Stack`: a stack that is a resource of another one.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::cloudformation::stack::{self, Stack};
use crate::records::scalar;
use crate::{Context, Desired, Failure, Resource, ResourceType, Schema};

/// The time between two looks at a nested stack.
const INTERVAL: Duration = Duration::from_millis(50);

/// The resource type.
pub struct NestedStack;

#[async_trait]
impl ResourceType for NestedStack {
    fn name(&self) -> &'static str {
        "AWS::CloudFormation::Stack"
    }

    fn schema(&self) -> Schema {
        Schema {
            properties: &["TemplateURL", "Parameters", "Tags", "TimeoutInMinutes"],
            required: &["TemplateURL"],
            attributes: &["Outputs"],
            ..Schema::default()
        }
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        let mut input = request(cx, desired)?;
        let name = desired.generated_name(128);
        let id = stack::new_id(cx, &name);
        input["StackName"] = name.into();
        // The parent knows the id before the stack exists.
        input[stack::NEW_ID] = id.as_str().into();
        if let Some(minutes) = desired.properties.get("TimeoutInMinutes") {
            input["TimeoutInMinutes"] = minutes.clone();
        }
        desired.initiated.report(&id)?;
        cx.call("cloudformation", "CreateStack", input).await?;
        let stack = settled(cx, desired, &id, "DeleteStack").await?;
        if stack.status == "CREATE_COMPLETE" {
            return Ok(resource(&stack));
        }
        // The stack stays, for its events: the parent, which knows its id, deletes it when it rolls back.
        Err(failed(cx, &stack, "created")?)
    }

    async fn update(&self, cx: &Context, id: &str, _: &Value, desired: &Desired) -> Result<Resource, Failure> {
        let mut input = request(cx, desired)?;
        input["StackName"] = id.into();
        match cx.call("cloudformation", "UpdateStack", input).await {
            Ok(_) => {}
            Err(error) if error.message == "No updates are to be performed." => {
                return Ok(resource(&stack::existing(cx, id)?));
            }
            Err(error) => return Err(error.into()),
        }
        let stack = settled(cx, desired, id, "CancelUpdateStack").await?;
        match stack.status.as_str() {
            "UPDATE_COMPLETE" => Ok(resource(&stack)),
            _ => Err(failed(cx, &stack, "updated")?),
        }
    }

    async fn delete(&self, cx: &Context, id: &str, _: &Value) -> Result<(), Failure> {
        cx.call("cloudformation", "DeleteStack", json!({"StackName": id}))
            .await?;
        loop {
            match stack::find(cx, id)? {
                Some(stack) if stack.is_in_progress() && !cx.shutdown().is_cancelled() => {}
                Some(stack) if !stack.is_deleted() => return Err(failed(cx, &stack, "deleted")?),
                _ => return Ok(()),
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

/// Returns the input for the creation or update of a nested stack. Its capabilities are those of the parent.
fn request(cx: &Context, desired: &Desired) -> Result<Value, Failure> {
    let properties = &desired.properties;
    let mut parameters = Vec::new();
    if let Some(declared) = properties.get("Parameters") {
        let declared = declared
            .as_object()
            .ok_or_else(|| Failure::new("Parameters must be an object"))?;
        for (name, value) in declared {
            let value = text(value).ok_or_else(|| Failure::new(format!("The parameter {name} must be a text")))?;
            parameters.push(json!({"ParameterKey": name, "ParameterValue": value}));
        }
    }
    let own_tags = properties["Tags"].as_array().cloned().unwrap_or_default();
    let inherited = desired
        .tags
        .iter()
        .filter(|(key, _)| !own_tags.iter().any(|tag| tag["Key"] == **key));
    let inherited = inherited.map(|(key, value)| json!({"Key": key, "Value": value}));
    let tags: Vec<Value> = inherited.chain(own_tags.iter().cloned()).collect();
    let parent = stack::existing(cx, &desired.stack_id)?;
    Ok(json!({
        "TemplateURL": properties["TemplateURL"], "Parameters": parameters, "Tags": tags, "Capabilities": parent.capabilities,
    }))
}

/// Returns the text of a parameter; a list is joined by commas.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Array(list) => list
            .iter()
            .map(scalar)
            .collect::<Option<Vec<_>>>()
            .map(|texts| texts.join(",")),
        value => scalar(value),
    }
}

/// Waits until no operation runs on a stack. `stop` is the operation that ends the current one if the parent stops.
async fn settled(cx: &Context, desired: &Desired, id: &str, stop: &str) -> Result<Stack, Failure> {
    let mut is_stopped = false;
    loop {
        let stack = stack::existing(cx, id)?;
        if !stack.is_in_progress() {
            return Ok(stack);
        }
        if desired.cancel.is_cancelled() && !is_stopped {
            // At the end of the endpoint the operation stays as it is, and the next start resumes it.
            if cx.shutdown().is_cancelled() {
                return Err(Failure::new("The endpoint was stopped"));
            }
            is_stopped = true;
            // Refused if the operation has just ended.
            let _ = cx.call("cloudformation", stop, json!({"StackName": id})).await;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn resource(stack: &Stack) -> Resource {
    let outputs = stack.outputs.iter();
    let outputs: Value = outputs
        .map(|output| (output.key.clone(), Value::from(output.value.clone())))
        .collect();
    Resource::new(&stack.id).with("Outputs", outputs)
}

/// Returns the failure of a nested stack, with the reason of its last event that names a cause: a completed rollback has none.
fn failed(cx: &Context, stack: &Stack, action: &str) -> anyhow::Result<Failure> {
    let events = stack::events(cx, &stack.id)?.into_iter().rev();
    let mut causes = events
        .filter(|event| event.logical_resource_id == stack.name)
        .filter_map(|e| e.resource_status_reason);
    let cause = causes.next().unwrap_or_else(|| stack.status.clone());
    let message = format!("Embedded stack {} was not successfully {action}: {cause}", stack.id);
    Ok(Failure::new(message))
}
