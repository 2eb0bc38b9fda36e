//! Change sets: the changes that an update would make, and their execution.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cloudformation::types::{
    Capability, ChangeSetType, ExecutionStatus, Parameter, ResourceAttribute, ResourceChange, Tag,
};
use cfn::diff::{Action, Change, PropertyChange};
use cfn::schema::Recreation;
use uuid::Uuid;

use super::error::{Error, Result};
use super::template_upload::{TemplateKey, UploadedTemplate, upload_template};
use crate::session::Session;

/// Timeout until CloudFormation has computed the changes.
const TIMEOUT: Duration = Duration::from_mins(5);

/// The desired state of a stack.
#[derive(Debug, Clone)]
pub struct StackInput {
    /// The name of the stack.
    pub name: String,
    /// Minified JSON.
    pub template: String,
    /// The values of the template's parameters.
    pub parameters: BTreeMap<String, String>,
    /// The tags of the stack, which CloudFormation copies to its resources.
    pub tags: BTreeMap<String, String>,
}

/// A change set that can be executed or deleted.
#[derive(Debug, Clone)]
pub struct ChangeSet {
    /// The ARN of the change set.
    pub id: String,
    /// The ARN of the stack, which exists in `REVIEW_IN_PROGRESS` for a first creation.
    pub stack_id: String,
    /// True if it creates the stack.
    pub creates: bool,
    /// The changes that CloudFormation computed, without those that it reports as unmodified.
    pub changes: Vec<Change>,
}

/// Creates a change set; `None` if there is nothing to change (it is deleted then).
///
/// # Errors
/// A request fails, CloudFormation rejects the template or a parameter, or the template is too large.
pub async fn create_change_set(aws: &Session, input: &StackInput, creates: bool) -> Result<Option<ChangeSet>> {
    let tag = |name: &str| input.tags.get(name).map_or("", String::as_str);
    let key = TemplateKey {
        platform: &format!("{}-{}", tag("project"), tag("environment")),
        stack: &input.name,
    };
    let uploaded = upload_template(aws, key, &input.template).await?;
    let created = create(aws, input, creates, &uploaded).await;
    uploaded.remove(aws).await;
    created
}

async fn create(
    aws: &Session,
    input: &StackInput,
    creates: bool,
    template: &UploadedTemplate,
) -> Result<Option<ChangeSet>> {
    let parameter =
        |(key, value): (&String, &String)| Parameter::builder().parameter_key(key).parameter_value(value).build();
    let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    let name = format!("deployer-{}", Uuid::new_v4().simple());
    let created = aws
        .cloudformation
        .create_change_set()
        .stack_name(&input.name)
        .change_set_name(&name)
        // A retry must not fail because the first attempt was accepted and its response lost.
        .client_token(&name)
        .change_set_type(if creates {
            ChangeSetType::Create
        } else {
            ChangeSetType::Update
        })
        .set_template_body(template.body.clone())
        .set_template_url(template.url.clone())
        .set_parameters(Some(input.parameters.iter().map(parameter).collect()))
        .set_tags(Some(input.tags.iter().map(tag).collect()))
        .capabilities(Capability::CapabilityNamedIam)
        .set_role_arn(aws.cloudformation_role())
        .send()
        .await
        .map_err(crate::Error::from);
    let (id, stack_id) = match created {
        Ok(created) => (created.id, created.stack_id),
        Err(error) if error.code() == "AlreadyExistsException" => (None, None),
        Err(error) => return Err(error.into()),
    };
    let (id, stack_id) = (id.unwrap_or(name), stack_id.unwrap_or_else(|| input.name.clone()));
    let (status, reason, changes) = describe(aws, &id, &stack_id).await?;
    if status == "CREATE_COMPLETE" {
        return Ok(Some(ChangeSet {
            id,
            stack_id,
            creates,
            changes,
        }));
    }
    delete_change_set(aws, &id, &stack_id).await?;
    // CloudFormation has no code for it: the change set fails, and its reason says why.
    if reason.contains("didn't contain changes") || reason.contains("No updates are to be performed") {
        return Ok(None);
    }
    Err(Error::ChangeSet {
        stack: input.name.clone(),
        status,
        reason,
    })
}

/// Waits until the changes have been computed; returns status, reason and changes.
async fn describe(aws: &Session, id: &str, stack_id: &str) -> Result<(String, String, Vec<Change>)> {
    let wait = aws.wait(TIMEOUT);
    let mut token: Option<String> = None;
    let mut changes = Vec::new();
    loop {
        let page = aws
            .cloudformation
            .describe_change_set()
            .change_set_name(id)
            .stack_name(stack_id)
            .include_property_values(true)
            .set_next_token(token.clone())
            .send()
            .await?;
        let status = page.status().map(|s| s.as_str()).unwrap_or_default().to_owned();
        if matches!(status.as_str(), "CREATE_PENDING" | "CREATE_IN_PROGRESS") {
            wait.check(|| format!("change set {id}"), || Some(status))?;
            aws.clock().sleep(aws.poll_interval() / 2).await;
            continue;
        }
        let resources = page.changes().iter().filter_map(|change| change.resource_change());
        changes.extend(resources.map(change));
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            return Ok((status, page.status_reason().unwrap_or_default().to_owned(), changes));
        }
    }
}

impl ChangeSet {
    /// Starts the execution. An execution that has started already is not an error: the response to an earlier attempt was lost.
    pub(super) async fn execute(&self, aws: &Session) -> Result<()> {
        let request = aws.cloudformation.execute_change_set().change_set_name(&self.id);
        let executed = request.stack_name(&self.stack_id).send().await;
        match executed.map_err(crate::Error::from) {
            Err(error) if error.code() == "InvalidChangeSetStatus" && self.is_executing(aws).await? => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }

    async fn is_executing(&self, aws: &Session) -> Result<bool> {
        let request = aws.cloudformation.describe_change_set().change_set_name(&self.id);
        let described = request.stack_name(&self.stack_id).send().await?;
        Ok(matches!(
            described.execution_status(),
            Some(ExecutionStatus::ExecuteInProgress | ExecutionStatus::ExecuteComplete)
        ))
    }
}

/// Deletes a change set; one that does not exist is not an error.
///
/// # Errors
/// The request fails.
pub async fn delete_change_set(aws: &Session, id: &str, stack_id: &str) -> Result<()> {
    let request = aws.cloudformation.delete_change_set().change_set_name(id);
    match request.stack_name(stack_id).send().await.map_err(crate::Error::from) {
        Err(error) if !error.is_not_found() && !super::stack::is_stack_missing(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

fn change(change: &ResourceChange) -> Change {
    let properties = change.details().iter().filter_map(|detail| {
        let target = detail.target()?;
        let attribute = target.attribute().map(ResourceAttribute::as_str).unwrap_or_default();
        Some(PropertyChange {
            name: target.name().unwrap_or(attribute).to_owned(),
            before: target.before_value().map(str::to_owned),
            after: target.after_value().map(str::to_owned),
            recreation: match target.requires_recreation().map(|r| r.as_str()) {
                Some("Always") => Recreation::Always,
                Some("Conditionally") => Recreation::Conditionally,
                _ => Recreation::Never,
            },
            cause: detail.causing_entity().map(str::to_owned),
        })
    });
    // A property may be listed twice, once for each of its causes.
    let mut merged: Vec<PropertyChange> = Vec::new();
    for property in properties {
        match merged
            .iter_mut()
            .find(|known| known.name == property.name && known.before.is_some() == property.before.is_some())
        {
            Some(known) => known.cause = known.cause.take().or(property.cause),
            None => merged.push(property),
        }
    }
    let action = match change.action().map(|a| a.as_str()) {
        Some("Add") => Action::Add,
        Some("Remove") => Action::Remove,
        Some("Import") => Action::Import,
        Some("Dynamic") => Action::Dynamic,
        _ => Action::Modify,
    };
    Change {
        logical_id: change.logical_resource_id().unwrap_or_default().to_owned(),
        resource_type: change.resource_type().unwrap_or_default().to_owned(),
        // With property values, CloudFormation gives a new resource `Replacement: True` too: nothing is replaced by it.
        replacement: match (action, change.replacement().map(|r| r.as_str())) {
            (Action::Add | Action::Import, _) => Recreation::Never,
            (_, Some("True")) => Recreation::Always,
            (_, Some("Conditional")) => Recreation::Conditionally,
            _ => Recreation::Never,
        },
        action,
        properties: merged,
        loss: None,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudformation::types::{ChangeAction, Replacement};

    use super::*;

    #[test]
    fn only_a_resource_that_exists_is_replaced() {
        for (action, expected) in [
            (ChangeAction::Add, Recreation::Never),
            (ChangeAction::Import, Recreation::Never),
            (ChangeAction::Modify, Recreation::Always),
        ] {
            let found = ResourceChange::builder()
                .action(action.clone())
                .replacement(Replacement::True)
                .build();
            assert_eq!(change(&found).replacement, expected, "{action:?}");
        }
    }
}
