//! The operations of the CloudFormation API.

mod change_sets;
mod drifts;
mod events;
mod exports;
mod input;
mod lifecycle;
mod nested_change_sets;
mod new_change_set;
mod resources;
mod stacks;
mod templates;

use serde_json::{Value, json};

use crate::change_set;
use crate::object_reader::ObjectReader;
use crate::stack::{self, Stack};
use endpoint_core::{AwsError, Call, Context, KeyedLocks};

/// Serves one call. `objects` reads the templates that a `TemplateURL` names.
///
/// # Errors
/// The error of the API reference, `NotImplemented` for an operation that the endpoint does not have.
pub async fn handle(cx: &Context, call: &Call, objects: ObjectReader) -> Result<Value, AwsError> {
    let _one_at_a_time = match changed_stack(cx, call)? {
        Some(name) => Some(cx.extension::<KeyedLocks<Stack>>().lock(&name).await),
        None => None,
    };
    match call.operation.as_str() {
        "CreateStack" => lifecycle::create(cx, call, objects).await,
        "UpdateStack" => lifecycle::update(cx, call, objects).await,
        "DeleteStack" => lifecycle::delete(cx, call).await,
        "CancelUpdateStack" => lifecycle::cancel(cx, call),
        "ContinueUpdateRollback" => lifecycle::continue_rollback(cx, call).await,
        "RollbackStack" => lifecycle::roll_back(cx, call).await,
        "UpdateTerminationProtection" => lifecycle::protect(cx, call),
        "DescribeStacks" => stacks::describe(cx, call),
        "ListStacks" => stacks::list(cx, call),
        "DescribeStackEvents" => events::describe(cx, call),
        "DescribeStackResource" => resources::describe_one(cx, call),
        "DescribeStackResources" => resources::describe(cx, call),
        "ListStackResources" => resources::list(cx, call),
        "CreateChangeSet" => change_sets::create(cx, call, objects).await,
        "DescribeChangeSet" => change_sets::describe(cx, call),
        "ExecuteChangeSet" => change_sets::execute(cx, call),
        "DeleteChangeSet" => change_sets::delete(cx, call),
        "ListChangeSets" => change_sets::list(cx, call),
        "GetTemplate" => templates::get(cx, call),
        "GetTemplateSummary" => templates::summary(cx, call, objects).await,
        "ValidateTemplate" => templates::validate(cx, call, objects).await,
        "ListExports" => exports::list(cx),
        "ListImports" => exports::importers(cx, call),
        "DetectStackDrift" => drifts::detect(cx, call),
        "DetectStackResourceDrift" => drifts::detect_one(cx, call).await,
        "DescribeStackDriftDetectionStatus" => drifts::status(cx, call),
        "DescribeStackResourceDrifts" => drifts::describe(cx, call),
        "DescribeAccountLimits" => Ok(json!({"AccountLimits": [
            {"Name": "StackLimit", "Value": 2000}, {"Name": "StackOutputsLimit", "Value": 200},
        ]})),
        "GetStackPolicy" => Ok(json!({})),
        operation => Err(AwsError::not_implemented("cloudformation", operation)),
    }
}

/// Returns the name of the stack that a call changes. Such calls wait for each other, so that what one has seen of the stack holds until
/// it has changed it.
fn changed_stack(cx: &Context, call: &Call) -> Result<Option<String>, AwsError> {
    const CHANGES: &[&str] = &[
        "CreateStack",
        "UpdateStack",
        "DeleteStack",
        "CancelUpdateStack",
        "ContinueUpdateRollback",
        "RollbackStack",
        "UpdateTerminationProtection",
        "CreateChangeSet",
        "ExecuteChangeSet",
        "DeleteChangeSet",
    ];
    if !CHANGES.contains(&call.operation.as_str()) {
        return Ok(None);
    }
    if let Some(name) = call.text("ChangeSetName").filter(|name| name.starts_with("arn:")) {
        return Ok(change_set::existing(cx, &name, None).ok().map(|set| set.stack_name));
    }
    let Some(name) = call.text("StackName") else {
        return Ok(None);
    };
    let found = name.starts_with("arn:").then(|| stack::find(cx, &name)).transpose()?;
    Ok(Some(found.flatten().map_or(name, |stack| stack.name)))
}
