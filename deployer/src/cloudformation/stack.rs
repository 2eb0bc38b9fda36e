//! Stacks as they are: status, parameters, outputs, resources, template.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::types::{Stack, TemplateStage};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::target::Aws;

/// A stack that exists.
#[derive(Debug, Clone)]
pub struct Existing {
    pub name: String,
    pub id: String,
    pub status: String,
    pub reason: Option<String>,
    pub parameters: BTreeMap<String, String>,
    pub outputs: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    /// When it was last changed, in seconds since 1970.
    pub changed: i64,
    pub protected: bool,
}

impl Existing {
    pub fn is_busy(&self) -> bool {
        self.status.ends_with("_IN_PROGRESS") && self.status != "REVIEW_IN_PROGRESS"
    }

    /// Whether an update can be made: it has resources, and is in no failed state.
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

    /// Whether it is what a first creation that failed (or was only looked at) leaves behind: nothing to keep.
    pub fn is_leftover(&self) -> bool {
        matches!(
            self.status.as_str(),
            "REVIEW_IN_PROGRESS" | "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED"
        )
    }
}

impl From<Stack> for Existing {
    fn from(stack: Stack) -> Self {
        let changed = stack
            .last_updated_time()
            .or(stack.creation_time())
            .map_or(0, |time| time.secs());
        let pairs =
            |key: Option<&str>, value: Option<&str>| Some((key?.to_owned(), value.unwrap_or_default().to_owned()));
        Self {
            name: stack.stack_name().unwrap_or_default().to_owned(),
            id: stack.stack_id().unwrap_or_default().to_owned(),
            status: stack.stack_status().map(|s| s.as_str()).unwrap_or_default().to_owned(),
            reason: stack.stack_status_reason().map(str::to_owned),
            parameters: stack
                .parameters()
                .iter()
                .filter_map(|p| pairs(p.parameter_key(), p.parameter_value()))
                .collect(),
            outputs: stack
                .outputs()
                .iter()
                .filter_map(|o| pairs(o.output_key(), o.output_value()))
                .collect(),
            tags: stack.tags().iter().filter_map(|t| pairs(t.key(), t.value())).collect(),
            changed,
            protected: stack.enable_termination_protection().unwrap_or(false),
        }
    }
}

/// A resource of a stack.
#[derive(Debug, Clone)]
pub struct Resource {
    pub logical: String,
    pub physical: String,
    pub kind: String,
    pub status: String,
}

/// Every stack of the account whose name starts so, by name; deleted ones are not among them.
pub async fn all(aws: &Aws, prefix: &str) -> Result<BTreeMap<String, Existing>> {
    let mut pages = aws.cloudformation.describe_stacks().into_paginator().items().send();
    let mut found = BTreeMap::new();
    while let Some(stack) = pages.next().await {
        let stack = Existing::from(stack?);
        if stack.name.starts_with(prefix) && stack.status != "DELETE_COMPLETE" {
            found.insert(stack.name.clone(), stack);
        }
    }
    Ok(found)
}

/// One stack by name or id; by id a deleted one is found, too.
pub async fn find(aws: &Aws, name: &str) -> Result<Option<Existing>> {
    match aws
        .cloudformation
        .describe_stacks()
        .stack_name(name)
        .send()
        .await
        .map_err(Error::from)
    {
        Ok(answer) => Ok(answer.stacks.unwrap_or_default().into_iter().next().map(Existing::from)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The resources of a stack, without those that it has given up; none when it does not exist.
pub async fn resources(aws: &Aws, name: &str) -> Result<Vec<Resource>> {
    let mut pages = aws
        .cloudformation
        .list_stack_resources()
        .stack_name(name)
        .into_paginator()
        .items()
        .send();
    let mut found = Vec::new();
    while let Some(item) = pages.next().await {
        let item = match item.map_err(Error::from) {
            Ok(item) => item,
            Err(error) if error.is_missing() => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        found.push(Resource {
            logical: item.logical_resource_id().unwrap_or_default().to_owned(),
            physical: item.physical_resource_id().unwrap_or_default().to_owned(),
            kind: item.resource_type().unwrap_or_default().to_owned(),
            status: item
                .resource_status()
                .map(|s| s.as_str())
                .unwrap_or_default()
                .to_owned(),
        });
    }
    found.retain(|resource| !matches!(resource.status.as_str(), "DELETE_COMPLETE" | "DELETE_SKIPPED"));
    Ok(found)
}

/// The template of a stack as it was sent; `None` when it has none that is JSON.
pub async fn template(aws: &Aws, name: &str) -> Result<Option<Value>> {
    let request = aws
        .cloudformation
        .get_template()
        .stack_name(name)
        .template_stage(TemplateStage::Original);
    match request.send().await.map_err(Error::from) {
        Ok(answer) => Ok(answer.template_body().and_then(|body| serde_json::from_str(body).ok())),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sets a stack's termination protection on or off.
pub async fn protect(aws: &Aws, id: &str, protected: bool) -> Result<()> {
    aws.cloudformation
        .update_termination_protection()
        .stack_name(id)
        .enable_termination_protection(protected)
        .send()
        .await?;
    Ok(())
}
