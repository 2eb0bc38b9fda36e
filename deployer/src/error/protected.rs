//! Deletions that protections prevent.

use aws::cloudformation::Protection;

use super::lines;

/// A deletion that protections prevent.
#[derive(Debug, thiserror::Error)]
#[error("nothing was deleted: {environment} is protected{}", lines("\n  ", "", .protections))]
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
        format!("{command}` deletes it once {environment} is confirmed")
    }
}
