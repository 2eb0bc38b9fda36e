//! What can be done for a stack, from its state and its history.

use serde::Serialize;

use crate::cloudformation::history::Past;
use crate::cloudformation::status::{Stand, meaning};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "remedy")]
pub enum Remedy {
    /// Nothing is wrong with it.
    Nothing,
    /// CloudFormation works on it, and ends by itself.
    Wait,
    /// Cancel the update, so that it is put back.
    Cancel,
    /// Go on putting it back.
    Continue,
    /// Put a half-made update back.
    RollBack,
    /// Delete it; `typed` where it has ever been whole, or nobody knows: then its name must be typed.
    Delete { typed: bool },
    /// No operation of CloudFormation helps.
    ByHand,
}

impl Remedy {
    pub fn of(status: &str, past: Past) -> Self {
        let delete = Self::Delete {
            typed: past != Past::Never,
        };
        match (status, meaning(status).0) {
            ("UPDATE_ROLLBACK_FAILED", _) => Self::Continue,
            ("UPDATE_FAILED", _) => Self::RollBack,
            ("UPDATE_IN_PROGRESS", _) => Self::Cancel,
            ("CREATE_IN_PROGRESS" | "CREATE_FAILED" | "ROLLBACK_FAILED" | "DELETE_FAILED", _) => delete,
            (_, Stand::Leftover) => delete,
            (_, Stand::Good | Stand::Gone) => Self::Nothing,
            (_, Stand::Busy) => Self::Wait,
            (_, Stand::Stuck) => Self::ByHand,
        }
    }

    /// What it does, for a person to decide.
    pub fn words(self, status: &str) -> &'static str {
        match self {
            Self::Nothing => "it is not stuck: nothing to do",
            Self::Wait => "it ends by itself; `deployer events` shows how far it is",
            Self::Cancel => "the update can be cancelled; the stack is then put back to what it was",
            Self::Continue => "its rollback can be continued",
            Self::RollBack => "it can be rolled back to what it was; `deployer up` cannot change it before",
            Self::Delete { typed: true } if status == "ROLLBACK_COMPLETE" => {
                "it has been whole before, so an update failed, not its creation: `deployer up` updates it again; only if that is refused, delete it"
            }
            Self::Delete { typed: true } => "it can be deleted, with what it holds; `deployer up` then makes it anew",
            Self::Delete { typed: false } if status == "CREATE_IN_PROGRESS" => {
                "a creation cannot be cancelled; deleting the stack ends it"
            }
            Self::Delete { typed: false } => {
                "it has never been whole, and can be deleted; `deployer up` then makes it anew"
            }
            Self::ByHand => {
                "CloudFormation has no operation for this: look at what failed, put that right, and update or import again"
            }
        }
    }

    /// What else there is where the endpoint has no such operation.
    pub fn instead(self) -> &'static str {
        match self {
            Self::Cancel => "the update ends by itself, or with its timeout; then `deployer unstick` looks again",
            Self::Continue | Self::RollBack => {
                "correct what failed and try `deployer up`; the last way out is `deployer unstick STACK --delete`, which loses what it holds"
            }
            _ => "delete it with `deployer destroy`",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudformation::status::ALL;

    #[test]
    fn no_stack_that_has_been_whole_is_deleted_without_its_name_typed() {
        for known in ALL {
            for past in [Past::Complete, Past::Unknown] {
                assert_ne!(
                    Remedy::of(known.status, past),
                    Remedy::Delete { typed: false },
                    "{} {past:?}",
                    known.status
                );
            }
        }
        assert_eq!(
            Remedy::of("ROLLBACK_COMPLETE", Past::Never),
            Remedy::Delete { typed: false }
        );
        assert_eq!(
            Remedy::of("ROLLBACK_COMPLETE", Past::Complete),
            Remedy::Delete { typed: true }
        );
    }

    #[test]
    fn every_state_has_its_remedy() {
        let told: Vec<String> = ALL
            .iter()
            .map(|known| format!("{} {:?}", known.status, Remedy::of(known.status, Past::Complete)))
            .collect();
        insta::assert_snapshot!(told.join("\n"), @"
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
