//! Deletions that protections prevent.

use aws::cloudformation::Protection;

/// A deletion that protections prevent.
#[derive(Debug, thiserror::Error)]
#[error("nothing was deleted: {environment} is protected{}", .protections.iter().map(|one| format!("\n  {one}")).collect::<String>())]
pub struct Protected {
    pub environment: String,
    pub protections: Vec<Protection>,
    /// True if the deletion was that of stacks that are no longer in the manifest.
    pub removed: bool,
}

impl Protected {
    /// Returns how to disable the protections.
    pub fn hint(&self) -> String {
        let environment = &self.environment;
        let mut command = "`deployer destroy".to_owned();
        if self.removed {
            command.push_str(" --removed");
        }
        if !self.protections.is_empty() {
            command.push_str(" --disable-protection");
        }
        let mut hint = format!("{command}` deletes it once {environment} is confirmed");
        let by_hand: Vec<String> = self.protections.iter().filter_map(Protection::manual_command).collect();
        if !by_hand.is_empty() {
            hint.push_str("; first disable the protection that no template sets: ");
            hint.push_str(&by_hand.join(", "));
        }
        hint
    }
}
