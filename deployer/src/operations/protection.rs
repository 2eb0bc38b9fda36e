//! Disables what protects a stack against its deletion.

use std::time::Duration;

use aws::Session;
use aws::cloudformation::protection::{disable_load_balancer_protection, is_protection_change, unprotected_input};
use aws::cloudformation::{Protection, Stack, create_change_set, delete_change_set, set_termination_protection};
use serde_json::Value;
use ui::Ui;

use super::{Error, Result, apply};

/// Disables the protections of one stack: those of its resources first, so that its own goes last.
///
/// # Errors
/// A request or the update fails, or the update would change more than protections.
pub async fn disable_protections(
    aws: &Session,
    ui: &Ui,
    stack: &Stack,
    protections: &[Protection],
    template: Option<&Value>,
    timeout: Duration,
) -> Result<()> {
    for protection in protections.iter().filter(|one| one.is_load_balancer()) {
        disable_load_balancer_protection(aws, &protection.physical_id).await?;
    }
    let declared: Vec<&str> = protections
        .iter()
        .filter(|one| !one.is_load_balancer())
        .filter_map(|one| one.logical_id.as_deref())
        .collect();
    if let Some(template) = template.filter(|_| !declared.is_empty()) {
        update(aws, ui, stack, template, &declared, timeout).await?;
    }
    if protections.iter().any(|one| one.logical_id.is_none()) {
        set_termination_protection(aws, &stack.id, false).await?;
    }
    for protection in protections {
        ui.info(format!("disabled {}", protection.noun()));
    }
    Ok(())
}

async fn update(
    aws: &Session,
    ui: &Ui,
    stack: &Stack,
    template: &Value,
    resources: &[&str],
    timeout: Duration,
) -> Result<()> {
    let input = unprotected_input(stack, template, resources);
    let Some(set) = create_change_set(aws, &input, false).await? else {
        return Ok(());
    };
    if let Some(other) = set.changes.iter().find(|change| !is_protection_change(change)) {
        delete_change_set(aws, &set.id, &set.stack_id).await?;
        return Err(Error::ProtectionUpdate {
            stack: stack.name.clone(),
            resource: other.logical_id.clone(),
            resource_type: other.resource_type.clone(),
        });
    }
    apply(aws, ui, &stack.name, &set, None, timeout).await?;
    Ok(())
}
