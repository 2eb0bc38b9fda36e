//! Change sets: what would happen to a stack, and the handle to make it happen.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cloudformation::types::{Capability, ChangeSetType, Parameter, ResourceAttribute, ResourceChange, Tag};
use uuid::Uuid;

use super::handover::{self, Label, Sent};
use crate::diff::{Action, Change, PropertyChange};
use crate::error::{Error, Result};
use crate::schema::Recreation;
use crate::target::Aws;

const DESCRIBE: Duration = Duration::from_secs(300);

/// A stack as it shall be.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub name: String,
    /// Minified JSON.
    pub template: String,
    pub parameters: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
}

/// A change set that waits to be executed or discarded.
#[derive(Debug, Clone)]
pub struct ChangeSet {
    pub id: String,
    pub stack_id: String,
    pub creates: bool,
    pub changes: Vec<Change>,
}

/// Makes a change set and describes it; `None` when there is nothing to change (it is discarded then).
pub async fn prepare(aws: &Aws, wanted: &Wanted, creates: bool) -> Result<Option<ChangeSet>> {
    let tag = |name: &str| wanted.tags.get(name).map_or("", String::as_str);
    let label = Label {
        platform: &format!("{}-{}", tag("project"), tag("environment")),
        stack: &wanted.name,
    };
    let sent = handover::send(aws, label, &wanted.template).await?;
    let made = make(aws, wanted, creates, &sent).await;
    sent.used(aws).await;
    made
}

/// Makes the change set of a template that has been sent.
async fn make(aws: &Aws, wanted: &Wanted, creates: bool, sent: &Sent) -> Result<Option<ChangeSet>> {
    let parameter =
        |(key, value): (&String, &String)| Parameter::builder().parameter_key(key).parameter_value(value).build();
    let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    let made = aws
        .cloudformation
        .create_change_set()
        .stack_name(&wanted.name)
        .change_set_name(format!("deployer-{}", Uuid::new_v4().simple()))
        .change_set_type(if creates {
            ChangeSetType::Create
        } else {
            ChangeSetType::Update
        })
        .set_template_body(sent.body.clone())
        .set_template_url(sent.url.clone())
        .set_parameters(Some(wanted.parameters.iter().map(parameter).collect()))
        .set_tags(Some(wanted.tags.iter().map(tag).collect()))
        .capabilities(Capability::CapabilityNamedIam)
        .send()
        .await?;
    let id = made.id().unwrap_or_default().to_owned();
    let stack_id = made.stack_id().unwrap_or(&wanted.name).to_owned();
    let (status, reason, changes) = describe(aws, &id, &stack_id).await?;
    if status == "CREATE_COMPLETE" {
        return Ok(Some(ChangeSet {
            id,
            stack_id,
            creates,
            changes,
        }));
    }
    discard(aws, &id, &stack_id).await?;
    if reason.contains("didn't contain changes") || reason.contains("No updates are to be performed") {
        return Ok(None);
    }
    let operation = format!("change set of {}", wanted.name);
    Err(Error::Aws {
        operation,
        code: status,
        message: reason,
    })
}

/// Status, reason and changes, once CloudFormation has worked them out.
async fn describe(aws: &Aws, id: &str, stack_id: &str) -> Result<(String, String, Vec<Change>)> {
    let wait = aws.wait(DESCRIBE);
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
            wait.within(|| format!("change set {id}"), || Some(status))?;
            aws.clock.sleep(aws.pace / 2).await;
            continue;
        }
        changes.extend(
            page.changes()
                .iter()
                .filter_map(|change| change.resource_change())
                .map(change),
        );
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            return Ok((status, page.status_reason().unwrap_or_default().to_owned(), changes));
        }
    }
}

/// Deletes a change set that is not to be executed.
pub async fn discard(aws: &Aws, id: &str, stack_id: &str) -> Result<()> {
    match aws
        .cloudformation
        .delete_change_set()
        .change_set_name(id)
        .stack_name(stack_id)
        .send()
        .await
        .map_err(Error::from)
    {
        Err(error) if !error.is_missing() => Err(error),
        _ => Ok(()),
    }
}

/// Returns a resource's change of a change set.
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
    // One property may be listed twice, once for each of its causes.
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
    Change {
        logical_id: change.logical_resource_id().unwrap_or_default().to_owned(),
        resource_type: change.resource_type().unwrap_or_default().to_owned(),
        action: match change.action().map(|a| a.as_str()) {
            Some("Add") => Action::Add,
            Some("Remove") => Action::Remove,
            Some("Import") => Action::Import,
            Some("Dynamic") => Action::Dynamic,
            _ => Action::Modify,
        },
        replacement: match change.replacement().map(|r| r.as_str()) {
            Some("True") => Recreation::Always,
            Some("Conditional") => Recreation::Conditionally,
            _ => Recreation::Never,
        },
        properties: merged,
        loss: None,
    }
}
