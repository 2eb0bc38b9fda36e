//! The report after a deletion: what is retained, and what is still there.

use std::collections::BTreeSet;

use aws::cloudformation::{DeletionOutcome, RetainedResource};

use super::plan::DestroyPlan;
use crate::context::Session;
use crate::orphans::retained::{self, Retained};
use crate::orphans::{self, OrphanedResource, Scope};
use platform::stacks::Plan;

const SNAPSHOTS: &str = "final snapshots";

/// Shows what still exists, on purpose or not; returns what is retained. `skipped` are resources that CloudFormation retained.
pub async fn report_remaining(
    session: &Session,
    aws: &aws::Session,
    plan: &Plan,
    deletion: &DestroyPlan,
    skipped: &[RetainedResource],
) -> Vec<Retained> {
    let ui = &session.ui;
    let scope = Scope::new(plan, deletion.templates());
    let (mut found, unlisted) = retained_by_design(aws, plan, deletion, &scope).await;
    found.splice(0..0, skipped.iter().map(|one| retained::by_deletion_policy(aws, one)));
    let mut lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    if unlisted.iter().any(|one| one.starts_with(SNAPSHOTS)) {
        // The plan says that they exist, but their names could not be listed.
        let data = deletion.stacks.iter().flat_map(|one| &one.data_resources);
        let snapshotted = data.filter(|one| one.outcome == DeletionOutcome::Snapshotted);
        lines.extend(snapshotted.map(|one| format!("the final snapshot of {} ({})", one.description, one.physical_id)));
    }
    if !lines.is_empty() {
        ui.info(format!("retained:\n  {}", lines.join("\n  ")));
    }
    let scan = orphans::scan(aws, &scope).await;
    let is_retained = |one: &&OrphanedResource| skipped.iter().any(|retained| retained.physical_id == one.name);
    let others = scan.found.iter().filter(|one| !is_retained(one));
    let others: Vec<String> = others.map(ToString::to_string).collect();
    if !others.is_empty() {
        ui.warn(format!("not deleted:\n  {}", others.join("\n  ")));
    }
    let unlisted: Vec<String> = scan.unlisted.into_iter().chain(unlisted).collect();
    if !unlisted.is_empty() {
        ui.info(format!(
            "not checked, because the endpoint could not list them: {}",
            unlisted.join(", ")
        ));
    }
    found
}

/// Returns what outlives its stack by design, and what could not be listed.
async fn retained_by_design(
    aws: &aws::Session,
    plan: &Plan,
    deletion: &DestroyPlan,
    scope: &Scope,
) -> (Vec<Retained>, Vec<String>) {
    let planned = plan.stacks.iter().map(|stack| stack.name.clone());
    let deleted = deletion.stacks.iter().map(|one| one.stack.clone());
    let stacks: Vec<String> = planned.chain(deleted).collect::<BTreeSet<_>>().into_iter().collect();
    let resources = deletion.stacks.iter().flat_map(|one| &one.list);
    let keys: Vec<String> = resources
        .filter(|one| one.resource_type == "AWS::KMS::Key" && !one.physical_id.is_empty())
        .map(|one| one.physical_id.clone())
        .collect();
    let (snapshots, secrets, keys) = tokio::join!(
        retained::snapshots(aws, &stacks),
        retained::secrets(aws, scope),
        retained::keys(aws, &keys)
    );
    let (mut found, mut unlisted) = (Vec::new(), Vec::new());
    for (what, listed) in [
        (SNAPSHOTS, snapshots),
        ("deleted secrets", secrets),
        ("deleted keys", keys),
    ] {
        match listed {
            Ok(listed) => found.extend(listed),
            Err(error) => unlisted.push(format!("{what} ({error})")),
        }
    }
    (found, unlisted)
}
