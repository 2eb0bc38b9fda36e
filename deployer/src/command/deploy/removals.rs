//! The removals of a deployment, confirmed before anything changes: stacks that are no longer in the manifest, and data.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::interrupt::Interrupts;
use crate::command::confirm::Confirmation;
use crate::command::destroy::{DeleteContext, DestroyPlan, delete, render};
use crate::context::Session;
use crate::error::{Error, Protected, Result};
use aws::cloudformation;
use aws::lock::Lease;
use cfn::diff::{Action, Change, compare};
use cfn::schema::Recreation;
use platform::stacks::Plan;

/// Types of resources with data, which another deployment does not bring back.
pub const STATEFUL_TYPES: [&str; 6] = [
    "AWS::RDS::DBInstance",
    "AWS::RDS::DBCluster",
    "AWS::MSK::Cluster",
    "AWS::MSK::Topic",
    "AWS::SecretsManager::Secret",
    "AWS::S3::Bucket",
];

/// A resource: the full name of its stack, and its logical id.
pub type ResourceRef = (String, String);

/// Stacks and resources that a deployment removes, as far as the templates show it.
pub struct PlannedRemovals {
    /// Stacks that are no longer in the manifest. They use shared stacks, so they are deleted first.
    pub stacks: DestroyPlan,
    /// Resources with data that are removed or replaced, each with a description of the loss.
    data_losses: Vec<(ResourceRef, String)>,
}

impl PlannedRemovals {
    /// Reads the removals; changes nothing. `templates` are those of the planned stacks that are deployed, `existing` are all
    /// stacks.
    ///
    /// # Errors
    /// A stack cannot be read.
    pub async fn inspect(
        session: &Session,
        aws: &aws::Session,
        plan: &Plan,
        existing: &BTreeMap<String, cloudformation::Stack>,
        templates: &BTreeMap<String, Value>,
    ) -> Result<Self> {
        let snapshots = !aws.endpoint().is_foreign();
        let mut stacks =
            DestroyPlan::of_removed_stacks(aws, plan, existing, session.endpoint_name(), snapshots).await?;
        // The data that a key encrypts needs another key before this one is deleted.
        stacks.stacks.retain(|one| !contains_key(one.template.as_ref()));
        let changed = plan.stacks.iter().filter_map(|planned| {
            let former = templates.get(&planned.name)?;
            Some((planned, compare(Some(former), &planned.template)))
        });
        let losses = changed.flat_map(|(planned, changes)| {
            let losses = changes.into_iter().filter(destroys_stateful_resource);
            losses.map(|change| {
                let description = describe_loss(&planned.name, &change);
                ((planned.name.clone(), change.logical_id), description)
            })
        });
        let data_losses = losses.collect();
        Ok(Self { stacks, data_losses })
    }

    /// Returns whether a stack is among those that are deleted.
    pub fn contains(&self, stack: &str) -> bool {
        self.stacks.stacks.iter().any(|one| one.stack == stack)
    }

    /// Shows the removals and asks for confirmation. Returns the resources whose loss is confirmed.
    ///
    /// # Errors
    /// A protection prevents the deletion, or it is not confirmed.
    pub async fn confirm(&self, session: &Session) -> Result<BTreeSet<ResourceRef>> {
        let ui = &session.ui;
        if self.stacks.is_empty() && self.data_losses.is_empty() {
            return Ok(BTreeSet::new());
        }
        if !self.stacks.is_empty() {
            ui.warn(render::removed(&self.stacks));
        }
        for (_, description) in &self.data_losses {
            ui.warn(description.clone());
        }
        if self.stacks.requires_typed_name() {
            return Err(Error::Protected(Protected {
                environment: self.stacks.name.clone(),
                protections: self.stacks.protections().cloned().collect(),
                removed: true,
            }));
        }
        let question = format!("Apply this to {}?", self.stacks.name);
        let confirmation = Confirmation::Yes { question: &question };
        confirmation.ask(ui, "nothing was changed").await?;
        Ok(self.data_losses.iter().map(|(resource, _)| resource.clone()).collect())
    }

    /// Deletes the stacks that are no longer in the manifest.
    ///
    /// # Errors
    /// A deletion fails, or the command is interrupted.
    pub async fn delete_stacks(
        &self,
        aws: &aws::Session,
        session: &Session,
        lease: Lease,
        timeout: Duration,
        interrupts: &mut Interrupts,
    ) -> Result<()> {
        if self.stacks.is_empty() {
            return Ok(());
        }
        let context = DeleteContext {
            aws: aws.clone(),
            ui: session.ui.clone(),
            timeout,
            stop: CancellationToken::new(),
            lease,
        };
        let hint = "CloudFormation continues the deletions that it has started; `deployer up` continues from there";
        delete::delete_interruptibly(&context, &self.stacks, interrupts, hint)
            .await
            .map(drop)
    }
}

fn contains_key(template: Option<&Value>) -> bool {
    let resources = template.and_then(|template| template["Resources"].as_object());
    resources.is_some_and(|all| all.values().any(|one| one["Type"] == "AWS::KMS::Key"))
}

/// Returns the templates of the planned stacks that are deployed, by the full names of the stacks.
///
/// # Errors
/// A template cannot be read.
pub async fn deployed_templates(
    aws: &aws::Session,
    plan: &Plan,
    existing: &BTreeMap<String, cloudformation::Stack>,
) -> Result<BTreeMap<String, Value>> {
    let deployed = plan
        .stacks
        .iter()
        .filter_map(|planned| existing.get(&planned.name))
        .filter(|stack| !stack.is_failed_create());
    let read = deployed.map(|stack| async move {
        Ok::<_, Error>((&stack.name, cloudformation::stack_template(aws, &stack.name).await?))
    });
    let read = futures::future::try_join_all(read).await?;
    Ok(read
        .into_iter()
        .filter_map(|(name, template)| Some((name.clone(), template?)))
        .collect())
}

/// Returns whether a change certainly destroys data. For a replacement that depends on the new value, only the change set knows.
fn destroys_stateful_resource(change: &Change) -> bool {
    let destroys = change.action == Action::Remove || change.replacement == Recreation::Always;
    destroys && STATEFUL_TYPES.contains(&change.resource_type.as_str())
}

/// Describes the loss of a resource with data.
pub fn describe_loss(stack: &str, change: &Change) -> String {
    let how = match change.action {
        Action::Remove => "deleted",
        _ => "replaced, and its data lost",
    };
    format!(
        "{stack}: {} ({}) would be {how}",
        change.logical_id, change.resource_type
    )
}
