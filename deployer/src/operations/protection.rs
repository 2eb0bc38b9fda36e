//! Disables what protects a stack against its deletion.

use aws::Session;
use aws::cloudformation::protection::{disable_protection, find_protections};
use aws::cloudformation::{Protection, Stack, stack_resources, stack_template};
use ui::Ui;

use super::Result;

/// Disables protections of one stack, in any status: those of its resources first, so that its own goes last.
///
/// # Errors
/// A request fails, or a database does not accept the change in time.
pub async fn disable_protections(aws: &Session, ui: &Ui, protections: &[Protection]) -> Result<()> {
    let (own, resources): (Vec<_>, Vec<_>) = protections.iter().partition(|one| one.logical_id.is_none());
    for protection in resources.into_iter().chain(own) {
        disable_protection(aws, protection).await?;
        ui.info(format!("disabled {}", protection.noun()));
    }
    Ok(())
}

/// Returns the protections of the resources of a stack, without its own termination protection.
///
/// # Errors
/// A request fails.
pub async fn resource_protections(aws: &Session, stack: &Stack) -> Result<Vec<Protection>> {
    let resources = stack_resources(aws, &stack.id).await?;
    if resources.is_empty() {
        return Ok(Vec::new());
    }
    let template = stack_template(aws, &stack.id).await?;
    let mut found = find_protections(aws, stack, &resources, template.as_ref()).await;
    found.retain(|one| one.logical_id.is_some());
    Ok(found)
}
