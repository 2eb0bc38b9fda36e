//! The diagnosis of one stack.

use aws::cloudformation::{
    self, DataResource, EverCompleted, Protection, StackCondition, StackFailure, data_resources, describe_status,
    last_operation, rollback_failures,
};
use serde::Serialize;

use super::remedy::Remedy;
use crate::command::destroy::render;
use crate::error::Result;
use crate::operations;

/// The state of a stack, its cause, and the remedy.
#[derive(Debug, Serialize)]
pub struct StackDiagnosis {
    pub stack: String,
    pub status: String,
    pub condition: StackCondition,
    pub description: &'static str,
    pub ever_completed: EverCompleted,
    pub cause: StackFailure,
    /// Resources that the last rollback could not restore, with the reason.
    pub not_rolled_back: Vec<(String, Option<String>)>,
    /// Resources that could not be deleted.
    pub not_deleted: Vec<String>,
    pub resources: usize,
    /// Resources with data that a deletion would delete or retain.
    pub data_resources: Vec<DataResource>,
    /// Deletion protections of its resources, which its deletion disables first.
    pub protections: Vec<Protection>,
    #[serde(flatten)]
    pub remedy: Remedy,
}

impl StackDiagnosis {
    /// Reads a stack; changes nothing. With `delete` the remedy of a stuck stack is always its deletion.
    ///
    /// # Errors
    /// The events, resources or template of the stack cannot be read.
    pub async fn inspect(
        aws: &aws::Session,
        existing: &cloudformation::Stack,
        snapshots: bool,
        delete: bool,
    ) -> Result<Self> {
        let (ever_completed, events) = EverCompleted::inspect(aws, existing).await?;
        let remedy = match Remedy::of(&existing.status, ever_completed) {
            Remedy::Continue | Remedy::RollBack | Remedy::ByHand if delete => Remedy::Delete {
                typed: ever_completed != EverCompleted::No,
            },
            remedy => remedy,
        };
        let list = cloudformation::stack_resources(aws, &existing.id).await?;
        let (data_resources, protections) = match remedy {
            Remedy::Delete { .. } => {
                let template = cloudformation::stack_template(aws, &existing.id).await?;
                let protections = operations::resource_protections(aws, existing).await?;
                (data_resources(&list, template.as_ref(), snapshots), protections)
            }
            _ => (Vec::new(), Vec::new()),
        };
        let (condition, description) = describe_status(&existing.status);
        let failed = list.iter().filter(|resource| resource.status == "DELETE_FAILED");
        let not_rolled_back = match existing.status.as_str() {
            "UPDATE_ROLLBACK_FAILED" => rollback_failures(&events),
            _ => Vec::new(),
        };
        Ok(Self {
            stack: existing.name.clone(),
            status: existing.status.clone(),
            condition,
            description,
            ever_completed,
            cause: StackFailure::from_events(&existing.name, &existing.status, &last_operation(&events)),
            not_rolled_back,
            not_deleted: failed.map(|resource| resource.logical_id.clone()).collect(),
            resources: list.len(),
            data_resources,
            protections,
            remedy,
        })
    }

    /// Returns whether the stack needs a repair.
    pub fn is_stuck(&self) -> bool {
        matches!(self.condition, StackCondition::Blocked | StackCondition::FailedCreate)
    }

    pub fn text(&self) -> String {
        let mut lines = vec![
            format!("{}: {}", self.stack, self.status),
            format!("  {}", self.description),
        ];
        if self.is_stuck() && (self.cause.resource.is_some() || self.cause.reason.is_some()) {
            lines.push(format!("  cause: {}", describe(&self.cause)));
        }
        for (resource, reason) in &self.not_rolled_back {
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            lines.push(format!("  not rolled back: {resource}{reason}"));
        }
        lines.push(format!("  {}", self.remedy.describe(&self.status)));
        if self.remedy == Remedy::Continue && !self.not_rolled_back.is_empty() {
            let skip: Vec<String> = self
                .not_rolled_back
                .iter()
                .map(|(name, _)| format!("--skip {name}"))
                .collect();
            lines.push(format!(
                "  correct the cause first; {} skips a resource that cannot be restored, which then differs from its template",
                skip.join(" ")
            ));
        }
        if let Remedy::Delete { .. } = self.remedy {
            lines.push(format!("  the deletion deletes {} resources", self.resources));
            let data = self.data_resources.iter().map(render::data_resource);
            lines.extend(data.map(|line| format!("    {line}")));
            let protections = self.protections.iter();
            lines.extend(protections.map(|one| format!("  it disables {} first", one.noun())));
        }
        if !self.not_deleted.is_empty() {
            lines.push(format!(
                "  not deleted: {}; correct the cause, or retain it with --retain",
                self.not_deleted.join(", ")
            ));
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

fn describe(cause: &StackFailure) -> String {
    let reason = cause.reason.as_deref().unwrap_or("no reason was reported");
    match (&cause.resource, &cause.resource_type) {
        (Some(resource), Some(resource_type)) => format!("{resource} ({resource_type}): {reason}"),
        _ => reason.to_owned(),
    }
}
