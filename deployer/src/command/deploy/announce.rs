//! The announcement of a deployment, before anything changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::context::Session;
use crate::estimate::{Durations, Operation, within};
use aws::cloudformation;
use cfn::diff::compare;
use platform::stacks::{Plan, Stack};
use ui::Event;
use ui::PlannedStack;

/// Shows the stacks that will be created or checked for changes, and how long new ones are expected to take.
pub fn announce(
    session: &Session,
    plan: &Plan,
    existing: &BTreeMap<String, cloudformation::Stack>,
    durations: &Arc<Durations>,
) {
    let known = durations.clone();
    session.ui.set_estimator(Arc::new(move |kind, action| {
        let operation = match action {
            "create" => Operation::Create,
            "update" => Operation::Update,
            "delete" => Operation::Delete,
            _ => return None,
        };
        known.expected(kind, operation).map(|expected| expected.seconds)
    }));
    let exists = |name: &str| existing.get(name).is_some_and(|found| !found.is_failed_create());
    let stacks = plan.stacks.iter().map(|stack| PlannedStack {
        stack: stack.name.clone(),
        short_name: stack.short_name.clone(),
        exists: exists(&stack.name),
        depends_on: stack.depends_on.clone(),
        // For an existing stack this is known only after the comparison with what is deployed.
        expected_seconds: creation_seconds(stack, durations).filter(|_| !exists(&stack.name)),
    });
    // The name of another project's stack may have the same prefix.
    let owned =
        |stack: &cloudformation::Stack| stack.tags.get("project").is_none_or(|project| *project == plan.project);
    let removed = existing.iter().filter(|(name, stack)| !plan.has(name) && owned(stack));
    session.ui.emit(Event::Plan {
        project: plan.project.clone(),
        environment: plan.environment.clone(),
        endpoint: session.endpoint_url().unwrap_or_else(|| "AWS".into()),
        stacks: stacks.collect(),
        orphaned_stacks: removed.map(|(name, _)| name.clone()).collect(),
    });
}

fn creation_seconds(stack: &Stack, durations: &Durations) -> Option<u32> {
    let seconds = within(stack, &compare(None, &stack.template), durations).seconds;
    rounded(seconds).filter(|seconds| *seconds > 0)
}

/// Returns whole seconds; `None` for a duration that `u32` cannot hold.
pub fn rounded(seconds: f64) -> Option<u32> {
    let whole = Duration::try_from_secs_f64(seconds.round()).ok()?;
    u32::try_from(whole.as_secs()).ok()
}
