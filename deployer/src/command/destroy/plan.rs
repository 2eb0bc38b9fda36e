//! The plan of a deletion, read before anything changes.

use std::collections::{BTreeMap, HashMap};

use aws::cloudformation::protection::find_protections;
use aws::cloudformation::{self, DataResource, DeletionOutcome, Protection, StackResource, data_resources};
use aws::ecr;
use serde::Serialize;
use serde_json::Value;

use crate::error::{ArgumentError, Result};
use crate::orphans::{self, OrphanedResource, Scope};
use platform::stacks::Plan;

/// Everything that one `destroy` deletes.
#[derive(Debug, Serialize)]
pub struct DestroyPlan {
    /// `<project>-<env>`, the name that is typed to confirm.
    pub name: String,
    pub endpoint: String,
    /// True if the manifest protects the environment.
    pub protected: bool,
    /// In the order of their deletion.
    pub stacks: Vec<StackDeletion>,
    /// Resources in no stack that are deleted as well.
    pub orphans: Vec<OrphanedResource>,
}

/// A stack that is to be deleted.
#[derive(Debug, Clone, Serialize)]
pub struct StackDeletion {
    pub stack: String,
    pub status: String,
    /// From 1; the stacks of one step are deleted in parallel.
    pub step: usize,
    /// The number of its resources.
    pub resources: usize,
    pub data_resources: Vec<DataResource>,
    pub protections: Vec<Protection>,
    #[serde(skip)]
    pub existing: cloudformation::Stack,
    #[serde(skip)]
    pub list: Vec<StackResource>,
    #[serde(skip)]
    pub template: Option<Value>,
    /// The stacks that must be deleted before.
    pub after: Vec<String>,
    /// Logical ids of resources whose deletion has failed and that `--retain` names.
    pub retain: Vec<String>,
}

impl DestroyPlan {
    pub fn is_empty(&self) -> bool {
        self.stacks.is_empty() && self.orphans.is_empty()
    }

    pub fn protections(&self) -> impl Iterator<Item = &Protection> {
        self.stacks.iter().flat_map(|stack| &stack.protections)
    }

    /// The deployed templates of the stacks.
    pub fn templates(&self) -> impl Iterator<Item = &Value> {
        self.stacks.iter().filter_map(|one| one.template.as_ref())
    }

    /// Reads every stack of the environment; changes nothing.
    ///
    /// # Errors
    /// A stack cannot be read, or `retain` names a resource that CloudFormation would not retain.
    pub async fn of_environment(
        aws: &aws::Session,
        plan: &Plan,
        endpoint: String,
        snapshots: bool,
        retain: &[String],
    ) -> Result<Self> {
        let existing = cloudformation::list_stacks(aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
        let mut stacks = deletions(aws, plan, &owned_stacks(existing, plan), snapshots).await?;
        mark_retained(&mut stacks, plan, retain)?;
        let templates = stacks.iter().filter_map(|one| one.template.as_ref());
        let scope = Scope::new(plan, templates);
        let in_stacks: Vec<String> = stacks
            .iter()
            .flat_map(|one| one.list.iter().map(|resource| resource.physical_id.clone()))
            .collect();
        let mut orphans = orphans::deletable(aws, &scope).await.found;
        orphans.retain(|one| !in_stacks.contains(&one.name));
        Ok(Self {
            name: format!("{}-{}", plan.project, plan.environment),
            endpoint,
            protected: plan.protected,
            stacks,
            orphans,
        })
    }

    /// Reads those of the existing stacks that are no longer in the manifest; changes nothing.
    ///
    /// # Errors
    /// A stack cannot be read.
    pub async fn of_removed_stacks(
        aws: &aws::Session,
        plan: &Plan,
        existing: &BTreeMap<String, cloudformation::Stack>,
        endpoint: String,
        snapshots: bool,
    ) -> Result<Self> {
        Ok(Self {
            name: format!("{}-{}", plan.project, plan.environment),
            endpoint,
            protected: plan.protected,
            stacks: deletions(aws, plan, &removed_stacks(existing, plan), snapshots).await?,
            orphans: Vec::new(),
        })
    }

    /// Returns whether a yes is not sufficient: the environment or one of its stacks is protected.
    pub fn requires_typed_name(&self) -> bool {
        !self.stacks.is_empty() && (self.protected || self.protections().next().is_some())
    }
}

/// Reads these stacks, and sorts them by the order of their deletion.
async fn deletions(
    aws: &aws::Session,
    plan: &Plan,
    existing: &BTreeMap<String, cloudformation::Stack>,
    snapshots: bool,
) -> Result<Vec<StackDeletion>> {
    let read = existing.values().map(|found| inspect(aws, found, snapshots));
    let mut stacks: Vec<StackDeletion> = futures::future::try_join_all(read).await?;
    sort(&mut stacks, plan);
    Ok(stacks)
}

/// Returns the stacks of this project and environment: those of the plan, and those that carry its tags.
pub fn owned_stacks(
    mut existing: BTreeMap<String, cloudformation::Stack>,
    plan: &Plan,
) -> BTreeMap<String, cloudformation::Stack> {
    let tagged = |stack: &cloudformation::Stack| {
        stack.tags.get("project") == Some(&plan.project) && stack.tags.get("environment") == Some(&plan.environment)
    };
    existing.retain(|name, stack| tagged(stack) || plan.has(name));
    existing
}

/// Returns the owned stacks that are no longer in the manifest.
pub fn removed_stacks(
    existing: &BTreeMap<String, cloudformation::Stack>,
    plan: &Plan,
) -> BTreeMap<String, cloudformation::Stack> {
    let mut removed = owned_stacks(existing.clone(), plan);
    removed.retain(|name, _| !plan.has(name));
    removed
}

async fn inspect(aws: &aws::Session, existing: &cloudformation::Stack, snapshots: bool) -> Result<StackDeletion> {
    let list = cloudformation::stack_resources(aws, &existing.id).await?;
    let template = cloudformation::stack_template(aws, &existing.id).await?;
    let protections = find_protections(aws, existing, &list, template.as_ref()).await;
    let mut data_resources = data_resources(&list, template.as_ref(), snapshots);
    let mut empty = Vec::new();
    for one in data_resources
        .iter_mut()
        .filter(|one| one.resource_type == "AWS::ECR::Repository")
    {
        let count = ecr::image_count(aws, &one.physical_id).await?;
        let images = if count == 1 { "image" } else { "images" };
        one.description = format!("{count} {images} of repository {}", one.physical_id);
        if count == 0 && one.outcome == DeletionOutcome::Deleted {
            empty.push(one.logical_id.clone());
        }
    }
    data_resources.retain(|one| !empty.contains(&one.logical_id));
    Ok(StackDeletion {
        stack: existing.name.clone(),
        status: existing.status.clone(),
        step: 0,
        resources: list.len(),
        data_resources,
        protections,
        existing: existing.clone(),
        list,
        template,
        after: Vec::new(),
        retain: Vec::new(),
    })
}

/// Puts each stack after all stacks that use it. A stack that is no longer in the manifest may use any shared stack, so it is
/// deleted before the planned ones.
fn sort(stacks: &mut [StackDeletion], plan: &Plan) {
    let planned = |name: &str| plan.stacks.iter().find(|stack| stack.name == name);
    let names: Vec<String> = stacks.iter().map(|one| one.stack.clone()).collect();
    for one in stacks.iter_mut() {
        let uses = |other: &String| {
            planned(other).map_or(planned(&one.stack).is_some(), |stack| {
                stack.depends_on.contains(&one.stack)
            })
        };
        one.after = names
            .iter()
            .filter(|other| **other != one.stack && uses(other))
            .cloned()
            .collect();
    }
    let mut steps: HashMap<String, usize> = HashMap::new();
    // Each round gives at least one stack its final step, because the dependencies of a plan have no circle.
    for _ in 0..stacks.len() {
        for one in stacks.iter_mut() {
            let before = one.after.iter().map(|user| steps.get(user).copied().unwrap_or(1)).max();
            one.step = before.map_or(1, |step| step + 1);
            steps.insert(one.stack.clone(), one.step);
        }
    }
    stacks.sort_by(|a, b| (a.step, &a.stack).cmp(&(b.step, &b.stack)));
}

/// Marks the resources to retain: `LOGICAL_ID` or `STACK/LOGICAL_ID`, of those whose deletion has failed.
///
/// CloudFormation retains resources only in a stack in `DELETE_FAILED` (`API_DeleteStack`, `RetainResources`). A creation whose rollback
/// has failed gets that status when its deletion fails once more.
fn mark_retained(stacks: &mut [StackDeletion], plan: &Plan, retain: &[String]) -> Result<(), ArgumentError> {
    let prefix = format!("{}-{}-", plan.project, plan.environment);
    for name in retain {
        let (mut known, mut not_failed) = (false, None);
        for one in stacks.iter_mut() {
            let short = one.stack.strip_prefix(&prefix).unwrap_or(&one.stack).to_owned();
            let is_named =
                |id: &str| *name == id || *name == format!("{short}/{id}") || *name == format!("{}/{id}", one.stack);
            let note = match one.status.as_str() {
                "DELETE_FAILED" => "retained by --retain",
                "ROLLBACK_FAILED" => "retained by --retain after one more deletion, which CloudFormation requires",
                status => {
                    if one.list.iter().any(|resource| is_named(&resource.logical_id)) {
                        not_failed = Some((one.stack.clone(), status.to_owned()));
                    }
                    continue;
                }
            };
            let failed = one.list.iter().filter(|resource| resource.status == "DELETE_FAILED");
            let found: Vec<String> = failed
                .map(|one| one.logical_id.clone())
                .filter(|id| is_named(id))
                .collect();
            let data = one.data_resources.iter_mut();
            for resource in data.filter(|resource| found.contains(&resource.logical_id)) {
                resource.outcome = DeletionOutcome::Retained;
                resource.note = Some(note.into());
            }
            known |= !found.is_empty();
            one.retain.extend(found);
        }
        if !known {
            return Err(ArgumentError::NothingToRetain {
                resource: name.clone(),
                status: not_failed,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::command::testing::plan;

    /// A stack without resources.
    pub fn deletion(stack: &str) -> StackDeletion {
        let existing = cloudformation::Stack {
            name: stack.into(),
            id: format!("arn:{stack}"),
            status: "CREATE_COMPLETE".into(),
            reason: None,
            parameters: BTreeMap::new(),
            outputs: BTreeMap::new(),
            tags: BTreeMap::new(),
            changed: 0,
            protected: false,
        };
        StackDeletion {
            stack: stack.into(),
            status: existing.status.clone(),
            step: 0,
            resources: 1,
            data_resources: Vec::new(),
            protections: Vec::new(),
            existing,
            list: Vec::new(),
            template: None,
            after: Vec::new(),
            retain: Vec::new(),
        }
    }

    #[test]
    fn a_stack_is_deleted_after_its_users_and_removed_stacks_first() {
        let plan = plan("dev");
        let mut stacks: Vec<StackDeletion> = plan.stacks.iter().map(|stack| deletion(&stack.name)).collect();
        stacks.push(deletion("shop-dev-forgotten"));
        sort(&mut stacks, &plan);
        let steps: Vec<String> = stacks
            .iter()
            .map(|one| format!("{} {}", one.step, one.stack.trim_start_matches("shop-dev-")))
            .collect();
        assert_eq!(steps.first().map(String::as_str), Some("1 forgotten"));
        assert!(steps.last().is_some_and(|last| last.ends_with(" network")), "{steps:?}");
        for one in &stacks {
            for user in &one.after {
                let user = stacks.iter().find(|other| other.stack == *user).expect("a stack");
                assert!(user.step < one.step, "{} before {}", user.stack, one.stack);
            }
        }
    }

    #[test]
    fn a_removed_stack_is_recognised_by_its_tags() {
        let plan = plan("dev");
        let existing = [
            ("shop-dev-former", Some("shop")),
            ("shop-dev-network", Some("shop")),
            ("shop-dev-eu-network", Some("shop-dev")),
            ("shop-dev-by-hand", None),
        ];
        let existing = existing.map(|(name, project)| {
            let mut existing = deletion(name).existing;
            let tags = project.map(|project| [("project", project), ("environment", "dev")]);
            let tags = tags.into_iter().flatten();
            existing.tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            (name.to_owned(), existing)
        });
        let removed = removed_stacks(&BTreeMap::from(existing), &plan);
        assert_eq!(removed.into_keys().collect::<Vec<_>>(), ["shop-dev-former"]);
    }

    #[test]
    fn only_a_resource_whose_deletion_has_failed_can_be_retained() {
        let plan = plan("dev");
        let mut one = deletion("shop-dev-network");
        let resource = |logical_id: &str, status: &str| StackResource {
            logical_id: logical_id.into(),
            physical_id: "x".into(),
            resource_type: "AWS::EC2::VPC".into(),
            status: status.into(),
        };
        one.list = vec![resource("Vpc", "DELETE_FAILED"), resource("Subnet", "CREATE_COMPLETE")];
        let error = mark_retained(&mut [one.clone()], &plan, &["Vpc".into()]).expect_err("the stack can be deleted");
        assert!(
            matches!(&error, ArgumentError::NothingToRetain { status: Some((stack, status)), .. }
                if stack == "shop-dev-network" && status == "CREATE_COMPLETE"),
            "{error:?}"
        );
        one.status = "ROLLBACK_FAILED".into();
        let mut rolled_back = [one.clone()];
        mark_retained(&mut rolled_back, &plan, &["Vpc".into()]).expect("its deletion failed in the rollback");
        assert_eq!(rolled_back[0].retain, ["Vpc"]);
        one.status = "DELETE_FAILED".into();
        let mut failed = [one];
        let error = mark_retained(&mut failed, &plan, &["Subnet".into()]).expect_err("it did not fail");
        assert!(
            matches!(&error, ArgumentError::NothingToRetain { status: None, .. }),
            "{error:?}"
        );
        mark_retained(&mut failed, &plan, &["network/Vpc".into()]).expect("it failed");
        assert_eq!(failed[0].retain, ["Vpc"]);
    }
}
