//! The change set of a request, before it is stored.

use super::input;
use crate::change_set::ChangeSet;
use crate::object_reader::ObjectReader;
use crate::stack::{self, OnFailure, Stack, StackDefinition};
use crate::template::Template;
use crate::{change_set_preview, transform};
use endpoint_core::{AwsError, Call, Context};

pub const NO_CHANGES: &str =
    "The submitted information didn't contain changes. Submit different information to create a change set.";

/// Returns the change set of a request for a stack, which is not stored yet. It has failed if the template cannot be processed, or changes
/// nothing.
pub async fn prepare(
    cx: &Context,
    call: &Call,
    objects: ObjectReader,
    stack: &Stack,
    name: String,
    is_create: bool,
) -> Result<ChangeSet, AwsError> {
    let (template, definition, failure) = match input::definition(cx, call, objects, stack).await {
        Ok((template, definition)) => (template, definition, None),
        // The other errors of a template refuse the request.
        Err(error) if transform::is_failure(&error) => {
            let definition = StackDefinition {
                template_body: input::template_body(cx, call, objects, Some(stack)).await?,
                ..StackDefinition::default()
            };
            (Template::default(), definition, Some(error.message))
        }
        Err(error) => return Err(error),
    };
    let mut set = ChangeSet {
        id: cx.arn("cloudformation", &format!("changeSet/{name}/{}", uuid::Uuid::new_v4())),
        name,
        stack_id: stack.id.clone(),
        stack_name: stack.name.clone(),
        is_create,
        status: "CREATE_COMPLETE".to_owned(),
        reason: None,
        execution_status: "AVAILABLE".to_owned(),
        created: stack::now(),
        executed: None,
        description: call.text("Description"),
        capabilities: call.texts("Capabilities"),
        changes: Vec::new(),
        warning: None,
        on_failure: on_failure(call)?,
        role: input::role(cx, call).await?,
        token: call.text("ClientToken"),
        imports_existing: call.boolean("ImportExistingResources") == Some(true),
        includes_nested: call.boolean("IncludeNestedStacks") == Some(true),
        parent: None,
        definition,
    };
    let preview = match failure {
        Some(reason) => Err(AwsError::validation(reason)),
        None => change_set_preview::preview(cx, stack, &template, &set.definition).await,
    };
    match preview {
        Ok(preview) if preview.is_empty && !is_create => set.fail(NO_CHANGES.to_owned()),
        Ok(preview) => (set.changes, set.warning) = (preview.changes, preview.warning),
        Err(error) if error.status >= 500 => return Err(error),
        Err(error) => set.fail(error.message),
    }
    Ok(set)
}

/// Returns `OnStackFailure`, which `DisableRollback` of `ExecuteChangeSet` overrides.
fn on_failure(call: &Call) -> Result<Option<OnFailure>, AwsError> {
    match call.text("OnStackFailure").as_deref() {
        None => Ok(None),
        Some("ROLLBACK") => Ok(Some(OnFailure::Rollback)),
        Some("DELETE") => Ok(Some(OnFailure::Delete)),
        Some("DO_NOTHING") => Ok(Some(OnFailure::DoNothing)),
        Some(other) => Err(AwsError::validation(format!(
            "Value '{other}' at 'onStackFailure' is not one of [ROLLBACK, DELETE, DO_NOTHING]"
        ))),
    }
}
