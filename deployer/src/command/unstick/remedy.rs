//! The remedy for a stack, from its status and its history.

use aws::cloudformation::{EverCompleted, StackCondition, describe_status};
use serde::Serialize;

/// The operation that repairs a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "remedy")]
pub enum Remedy {
    /// The stack needs no repair.
    Nothing,
    /// An operation is in progress and ends by itself.
    Wait,
    /// Cancel the update, which rolls it back.
    Cancel,
    /// Continue the rollback.
    Continue,
    /// Roll back a failed update.
    RollBack,
    /// Delete the stack. `typed` if it was complete at any time, or if that is unknown: then its name must be typed.
    Delete { typed: bool },
    /// CloudFormation has no operation for this.
    ByHand,
}

impl Remedy {
    /// Returns the remedy for a status.
    pub fn of(status: &str, ever_completed: EverCompleted) -> Self {
        let delete = Self::Delete {
            typed: ever_completed != EverCompleted::No,
        };
        match (status, describe_status(status).0) {
            ("UPDATE_ROLLBACK_FAILED", _) => Self::Continue,
            ("UPDATE_FAILED", _) => Self::RollBack,
            ("UPDATE_IN_PROGRESS", _) => Self::Cancel,
            ("CREATE_IN_PROGRESS" | "CREATE_FAILED" | "ROLLBACK_FAILED" | "DELETE_FAILED", _)
            | (_, StackCondition::FailedCreate) => delete,
            (_, StackCondition::Stable | StackCondition::Deleted) => Self::Nothing,
            (_, StackCondition::InProgress) => Self::Wait,
            (_, StackCondition::Blocked) => Self::ByHand,
        }
    }

    /// Describes the remedy and its effect.
    pub fn describe(self, status: &str) -> &'static str {
        match self {
            Self::Nothing => "nothing to do: the stack is not stuck",
            Self::Wait => "the operation ends by itself; `deployer events` shows its progress",
            Self::Cancel => "the update can be cancelled, which rolls it back",
            Self::Continue => "the rollback can be continued",
            Self::RollBack => "the update can be rolled back; before that, `deployer up` cannot update the stack",
            Self::Delete { typed: true } if status == "ROLLBACK_COMPLETE" => {
                "the stack was complete before, so an update failed: run `deployer up` again, and delete the stack only if that is rejected"
            }
            Self::Delete { typed: true } => {
                "the stack can be deleted, with its data; `deployer up` then creates it again"
            }
            Self::Delete { typed: false } if status == "CREATE_IN_PROGRESS" => {
                "a creation cannot be cancelled; deleting the stack ends it"
            }
            Self::Delete { typed: false } => {
                "the stack was never complete and can be deleted; `deployer up` then creates it again"
            }
            Self::ByHand => "CloudFormation has no operation for this: correct the cause, then update or import again",
        }
    }

    /// Describes the alternative for an endpoint that does not support the operation.
    pub fn alternative(self) -> &'static str {
        match self {
            Self::Cancel => "wait until the update ends, then run `deployer unstick` again",
            Self::Continue | Self::RollBack => {
                "correct the cause and run `deployer up`; as a last resort, `deployer unstick STACK --delete` deletes the stack with its data"
            }
            _ => "delete the stack with `deployer destroy`",
        }
    }
}

#[cfg(test)]
mod tests {
    use aws::cloudformation::STATUSES;

    use super::*;

    #[test]
    fn a_stack_that_was_complete_is_deleted_by_its_typed_name_only() {
        for known in STATUSES {
            for ever_completed in [EverCompleted::Yes, EverCompleted::Unknown] {
                assert_ne!(
                    Remedy::of(known.status, ever_completed),
                    Remedy::Delete { typed: false },
                    "{} {ever_completed:?}",
                    known.status
                );
            }
        }
        assert_eq!(
            Remedy::of("ROLLBACK_COMPLETE", EverCompleted::No),
            Remedy::Delete { typed: false }
        );
        assert_eq!(
            Remedy::of("ROLLBACK_COMPLETE", EverCompleted::Yes),
            Remedy::Delete { typed: true }
        );
    }

    #[test]
    fn every_state_has_its_remedy() {
        let remedies: Vec<String> = STATUSES
            .iter()
            .map(|known| format!("{} {:?}", known.status, Remedy::of(known.status, EverCompleted::Yes)))
            .collect();
        insta::assert_snapshot!(remedies.join("\n"), @"
        CREATE_IN_PROGRESS Delete { typed: true }
        CREATE_COMPLETE Nothing
        CREATE_FAILED Delete { typed: true }
        ROLLBACK_IN_PROGRESS Wait
        ROLLBACK_COMPLETE Delete { typed: true }
        ROLLBACK_FAILED Delete { typed: true }
        DELETE_IN_PROGRESS Wait
        DELETE_COMPLETE Nothing
        DELETE_FAILED Delete { typed: true }
        UPDATE_IN_PROGRESS Cancel
        UPDATE_COMPLETE_CLEANUP_IN_PROGRESS Wait
        UPDATE_COMPLETE Nothing
        UPDATE_FAILED RollBack
        UPDATE_ROLLBACK_IN_PROGRESS Wait
        UPDATE_ROLLBACK_FAILED Continue
        UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS Wait
        UPDATE_ROLLBACK_COMPLETE Nothing
        REVIEW_IN_PROGRESS Delete { typed: true }
        IMPORT_IN_PROGRESS Wait
        IMPORT_COMPLETE Nothing
        IMPORT_ROLLBACK_IN_PROGRESS Wait
        IMPORT_ROLLBACK_FAILED ByHand
        IMPORT_ROLLBACK_COMPLETE Nothing
        ");
    }
}
