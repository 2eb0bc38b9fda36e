//! The confirmation that a deletion needs.

use aws::cloudformation::Protection;

use super::plan::DestroyPlan;
use crate::command::confirm::Confirmation;
use crate::error::Protected;

/// Returns the confirmation that the deletion needs: a yes, or the name of a protected environment.
///
/// # Errors
/// Something is protected, and `disable` is not set.
pub fn required_confirmation<'a>(
    deletion: &'a DestroyPlan,
    disable: bool,
    confirm: Option<&'a str>,
) -> Result<Confirmation<'a>, Protected> {
    let protections: Vec<Protection> = deletion.protections().cloned().collect();
    if !(disable || protections.is_empty()) {
        return Err(Protected {
            environment: deletion.name.clone(),
            protections,
            removed: false,
        });
    }
    Ok(if deletion.protected || !protections.is_empty() {
        Confirmation::TypedName {
            name: &deletion.name,
            action: "delete all this",
            confirm,
        }
    } else {
        Confirmation::Yes {
            question: "Delete all this?",
        }
    })
}
