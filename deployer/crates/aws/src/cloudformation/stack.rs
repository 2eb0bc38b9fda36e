//! Stacks: status, parameters, outputs, resources, template, and the calls that start an operation on one.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::types::TemplateStage;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::session::Session;

/// An existing stack.
#[derive(Debug, Clone)]
pub struct Stack {
    /// The name, unique in the account and region.
    pub name: String,
    /// The ARN, by which a deleted stack is found, too.
    pub id: String,
    /// The status code of the last operation, such as `UPDATE_COMPLETE`.
    pub status: String,
    /// The reason of the status, if CloudFormation gives one.
    pub reason: Option<String>,
    /// The values of its parameters.
    pub parameters: BTreeMap<String, String>,
    /// The values of its outputs.
    pub outputs: BTreeMap<String, String>,
    /// The tags of the stack.
    pub tags: BTreeMap<String, String>,
    /// Time of the last change in seconds since 1970.
    pub changed: i64,
    /// True if it has termination protection.
    pub protected: bool,
}

impl Stack {
    /// Returns whether an operation is in progress.
    pub fn is_in_progress(&self) -> bool {
        self.status.ends_with("_IN_PROGRESS") && self.status != "REVIEW_IN_PROGRESS"
    }

    /// Returns whether it can be updated: it has resources, and its status is not a failed one.
    pub fn is_complete(&self) -> bool {
        matches!(
            self.status.as_str(),
            "CREATE_COMPLETE"
                | "UPDATE_COMPLETE"
                | "UPDATE_ROLLBACK_COMPLETE"
                | "IMPORT_COMPLETE"
                | "IMPORT_ROLLBACK_COMPLETE"
        )
    }

    /// Returns whether its status is that of a failed or reviewed first creation. Its history decides whether there is data to keep,
    /// see [`EverCompleted`](super::EverCompleted).
    pub fn is_failed_create(&self) -> bool {
        matches!(
            self.status.as_str(),
            "REVIEW_IN_PROGRESS" | "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED"
        )
    }
}

impl From<aws_sdk_cloudformation::types::Stack> for Stack {
    fn from(stack: aws_sdk_cloudformation::types::Stack) -> Self {
        let changed = stack
            .last_updated_time()
            .or(stack.creation_time())
            .map_or(0, aws_sdk_cloudformation::primitives::DateTime::secs);
        let pair =
            |key: Option<&str>, value: Option<&str>| Some((key?.to_owned(), value.unwrap_or_default().to_owned()));
        Self {
            name: stack.stack_name().unwrap_or_default().to_owned(),
            id: stack.stack_id().unwrap_or_default().to_owned(),
            status: stack.stack_status().map(|s| s.as_str()).unwrap_or_default().to_owned(),
            reason: stack.stack_status_reason().map(str::to_owned),
            parameters: stack
                .parameters()
                .iter()
                .filter_map(|p| pair(p.parameter_key(), p.parameter_value()))
                .collect(),
            outputs: stack
                .outputs()
                .iter()
                .filter_map(|o| pair(o.output_key(), o.output_value()))
                .collect(),
            tags: stack.tags().iter().filter_map(|t| pair(t.key(), t.value())).collect(),
            changed,
            protected: stack.enable_termination_protection().unwrap_or(false),
        }
    }
}

/// A resource of a stack.
#[derive(Debug, Clone)]
pub struct StackResource {
    /// The logical ID in the template.
    pub logical_id: String,
    /// The physical ID, empty until the service has made the resource.
    pub physical_id: String,
    /// The CloudFormation type.
    pub resource_type: String,
    /// The status code of the last operation on it.
    pub status: String,
}

/// Returns whether an error means that a stack does not exist. CloudFormation has no separate code for it:
/// `ValidationError` is also the code of every other invalid request.
pub(super) fn is_stack_missing(error: &Error) -> bool {
    matches!(error, Error::Service { code, message, .. } if code == "ValidationError" && message.contains("does not exist"))
}

/// Returns the stacks of the account whose names have this prefix, by name, without deleted ones.
///
/// # Errors
/// The request fails.
pub async fn list_stacks(aws: &Session, prefix: &str) -> Result<BTreeMap<String, Stack>> {
    let mut pages = aws.cloudformation.describe_stacks().into_paginator().items().send();
    let mut found = BTreeMap::new();
    while let Some(stack) = pages.next().await {
        let stack = Stack::from(stack?);
        if stack.name.starts_with(prefix) && stack.status != "DELETE_COMPLETE" {
            found.insert(stack.name.clone(), stack);
        }
    }
    Ok(found)
}

/// Returns a stack by its name or ID; by its ID a deleted one is found, too.
///
/// # Errors
/// The request fails.
pub async fn find_stack(aws: &Session, name: &str) -> Result<Option<Stack>> {
    let request = aws.cloudformation.describe_stacks().stack_name(name);
    match request.send().await.map_err(Error::from) {
        Ok(response) => Ok(response.stacks.unwrap_or_default().into_iter().next().map(Stack::from)),
        Err(error) if is_stack_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the resources of a stack, without deleted and retained ones; empty if it does not exist.
///
/// # Errors
/// The request fails.
pub async fn stack_resources(aws: &Session, name: &str) -> Result<Vec<StackResource>> {
    let request = aws.cloudformation.list_stack_resources().stack_name(name);
    let mut pages = request.into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(item) = pages.next().await {
        let item = match item.map_err(Error::from) {
            Ok(item) => item,
            Err(error) if is_stack_missing(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let status = item.resource_status().map(|s| s.as_str());
        found.push(StackResource {
            logical_id: item.logical_resource_id().unwrap_or_default().to_owned(),
            physical_id: item.physical_resource_id().unwrap_or_default().to_owned(),
            resource_type: item.resource_type().unwrap_or_default().to_owned(),
            status: status.unwrap_or_default().to_owned(),
        });
    }
    found.retain(|resource| !matches!(resource.status.as_str(), "DELETE_COMPLETE" | "DELETE_SKIPPED"));
    Ok(found)
}

/// Returns the template of a stack as it was sent; `None` if there is none in JSON.
///
/// # Errors
/// The request fails.
pub async fn stack_template(aws: &Session, name: &str) -> Result<Option<Value>> {
    let request = aws
        .cloudformation
        .get_template()
        .stack_name(name)
        .template_stage(TemplateStage::Original);
    match request.send().await.map_err(Error::from) {
        Ok(response) => Ok(response
            .template_body()
            .and_then(|body| serde_json::from_str(body).ok())),
        Err(error) if is_stack_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sets the termination protection of a stack.
///
/// # Errors
/// The request fails.
pub async fn set_termination_protection(aws: &Session, id: &str, protected: bool) -> Result<()> {
    let request = aws.cloudformation.update_termination_protection();
    let request = request.stack_name(id).enable_termination_protection(protected);
    request.send().await?;
    Ok(())
}

/// Starts to delete a stack; a creation in progress ends with it.
///
/// # Errors
/// The request fails.
pub async fn delete_stack(aws: &Session, id: &str) -> Result<()> {
    let request = aws.cloudformation.delete_stack().stack_name(id);
    request.set_role_arn(aws.cloudformation_role()).send().await?;
    Ok(())
}

/// Cancels an update, which is then rolled back. Returns false if that is not possible any more: the update has ended or is being
/// rolled back.
///
/// # Errors
/// The request fails.
pub async fn cancel_update(aws: &Session, id: &str) -> Result<bool> {
    let request = aws.cloudformation.cancel_update_stack().stack_name(id);
    match request.send().await.map_err(Error::from) {
        Ok(_) => Ok(true),
        Err(error) if error.code() == "ValidationError" => Ok(false),
        Err(error) => Err(error),
    }
}

/// Starts to roll back an update that failed and stopped.
///
/// # Errors
/// The request fails.
pub async fn rollback_stack(aws: &Session, id: &str) -> Result<()> {
    let request = aws.cloudformation.rollback_stack().stack_name(id);
    request.set_role_arn(aws.cloudformation_role()).send().await?;
    Ok(())
}

/// Continues a failed rollback, without the resources in `skip`.
///
/// # Errors
/// The request fails.
pub async fn continue_update_rollback(aws: &Session, id: &str, skip: &[String]) -> Result<()> {
    let skip = (!skip.is_empty()).then(|| skip.to_vec());
    let request = aws.cloudformation.continue_update_rollback().stack_name(id);
    let request = request.set_resources_to_skip(skip);
    request.set_role_arn(aws.cloudformation_role()).send().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;
    use crate::cloudformation::{StackInput, create_change_set};
    use crate::testing::{FakeAws, query_response};

    #[tokio::test]
    async fn cloudformation_works_with_the_role_in_every_operation_that_takes_one() {
        let roles: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let recorded = roles.clone();
        let endpoint = FakeAws::start(move |call| {
            if call.operation != "DescribeChangeSet" {
                let role = call.field("RoleARN");
                recorded.lock().push((call.operation.clone(), role));
            }
            query_response(&call.operation, "<Status>CREATE_COMPLETE</Status>")
        })
        .await;
        let role = "arn:aws:iam::111122223333:role/cloudformation".to_owned();
        let aws = endpoint.session().await.with_cloudformation_role(Some(role.clone()));
        let input = StackInput {
            name: "shop-dev-app".into(),
            template: "{}".into(),
            parameters: BTreeMap::new(),
            tags: BTreeMap::new(),
        };
        create_change_set(&aws, &input, false).await.expect("a change set");
        delete_stack(&aws, "id").await.expect("an answer");
        rollback_stack(&aws, "id").await.expect("an answer");
        continue_update_rollback(&aws, "id", &[]).await.expect("an answer");
        let expected = [
            "CreateChangeSet",
            "DeleteStack",
            "RollbackStack",
            "ContinueUpdateRollback",
        ];
        assert_eq!(
            *roles.lock(),
            expected.map(|operation| (operation.to_owned(), role.clone()))
        );
    }
}
