//! Descriptions of the statuses of a stack (CloudFormation User Guide: Stack status codes).

/// The condition of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StackCondition {
    /// It can be updated and deleted.
    Stable,
    /// An operation is running.
    InProgress,
    /// An empty stack, or the remainder of a failed creation.
    FailedCreate,
    /// It needs another operation before it can be updated.
    Blocked,
    /// CloudFormation keeps its description for 90 days.
    Deleted,
}

/// A status with its condition and description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusDescription {
    /// The status code of the API.
    pub status: &'static str,
    /// The operations that the status permits.
    pub condition: StackCondition,
    /// A clause about the stack that ends a sentence.
    pub description: &'static str,
}

/// Every status that CloudFormation has.
pub const STATUSES: [StatusDescription; 23] = [
    status("CREATE_IN_PROGRESS", StackCondition::InProgress, "it is being created"),
    status(
        "CREATE_COMPLETE",
        StackCondition::Stable,
        "it was created and not changed since",
    ),
    status(
        "CREATE_FAILED",
        StackCondition::Blocked,
        "its creation failed, and the created resources were kept (rollback was disabled)",
    ),
    status(
        "ROLLBACK_IN_PROGRESS",
        StackCondition::InProgress,
        "its creation failed or was cancelled; the created resources are being deleted",
    ),
    status(
        "ROLLBACK_COMPLETE",
        StackCondition::FailedCreate,
        "its creation failed, and the created resources were deleted: an empty stack that can only be deleted",
    ),
    status(
        "ROLLBACK_FAILED",
        StackCondition::Blocked,
        "its creation failed, and the rollback failed too: some of its resources still exist",
    ),
    status(
        "DELETE_IN_PROGRESS",
        StackCondition::InProgress,
        "it is being deleted; a deletion cannot be cancelled",
    ),
    status("DELETE_COMPLETE", StackCondition::Deleted, "it is deleted"),
    status(
        "DELETE_FAILED",
        StackCondition::Blocked,
        "its deletion failed: some of its resources still exist, the others are deleted; it can only be deleted again",
    ),
    status("UPDATE_IN_PROGRESS", StackCondition::InProgress, "it is being updated"),
    status(
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        StackCondition::InProgress,
        "its update succeeded; replaced and removed resources are being deleted, which cannot be cancelled",
    ),
    status("UPDATE_COMPLETE", StackCondition::Stable, "it was updated"),
    status(
        "UPDATE_FAILED",
        StackCondition::Blocked,
        "its update failed and stopped there (rollback was disabled): it can be rolled back",
    ),
    status(
        "UPDATE_ROLLBACK_IN_PROGRESS",
        StackCondition::InProgress,
        "its update failed or was cancelled; it is being rolled back",
    ),
    status(
        "UPDATE_ROLLBACK_FAILED",
        StackCondition::Blocked,
        "the update failed and the rollback failed too: some resources are as before, others are not; the rollback can be continued once the cause is removed",
    ),
    status(
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        StackCondition::InProgress,
        "its update failed and was rolled back; the resources that it created are being deleted",
    ),
    status(
        "UPDATE_ROLLBACK_COMPLETE",
        StackCondition::Stable,
        "its last update failed and was rolled back",
    ),
    status(
        "REVIEW_IN_PROGRESS",
        StackCondition::FailedCreate,
        "a change set was created for it and never executed: a stack without resources",
    ),
    status(
        "IMPORT_IN_PROGRESS",
        StackCondition::InProgress,
        "resources are being imported into it",
    ),
    status(
        "IMPORT_COMPLETE",
        StackCondition::Stable,
        "resources were imported into it",
    ),
    status(
        "IMPORT_ROLLBACK_IN_PROGRESS",
        StackCondition::InProgress,
        "an import failed or was cancelled; it is being rolled back",
    ),
    status(
        "IMPORT_ROLLBACK_FAILED",
        StackCondition::Blocked,
        "an import failed and its rollback failed too: check the imported resources manually",
    ),
    status(
        "IMPORT_ROLLBACK_COMPLETE",
        StackCondition::Stable,
        "an import failed and was rolled back",
    ),
];

const fn status(status: &'static str, condition: StackCondition, description: &'static str) -> StatusDescription {
    StatusDescription {
        status,
        condition,
        description,
    }
}

/// Returns the condition of a stack with this status, and its description. An unknown status is judged by its ending.
pub fn describe_status(status: &str) -> (StackCondition, &'static str) {
    if let Some(known) = STATUSES.iter().find(|known| known.status == status) {
        return (known.condition, known.description);
    }
    match status {
        s if s.ends_with("_IN_PROGRESS") => (StackCondition::InProgress, "an operation is in progress"),
        s if s.ends_with("_COMPLETE") => (StackCondition::Stable, "its last operation is complete"),
        _ => (StackCondition::Blocked, "an unknown status"),
    }
}

/// Returns whether no operation is in progress in this status.
pub fn is_final(status: &str) -> bool {
    status.ends_with("_COMPLETE") || status.ends_with("_FAILED")
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudformation::types::StackStatus;

    use super::*;

    #[test]
    fn every_status_of_the_api_is_in_the_table_once() {
        let mut known: Vec<&str> = STATUSES.iter().map(|known| known.status).collect();
        let mut api: Vec<&str> = StackStatus::values().to_vec();
        known.sort_unstable();
        api.sort_unstable();
        assert_eq!(known, api);
    }

    #[test]
    fn an_unknown_status_is_judged_by_its_ending() {
        assert_eq!(describe_status("REFACTOR_IN_PROGRESS").0, StackCondition::InProgress);
        assert_eq!(describe_status("REFACTOR_FAILED").0, StackCondition::Blocked);
    }

    #[test]
    fn a_cleanup_is_not_final() {
        assert!(is_final("UPDATE_COMPLETE") && is_final("ROLLBACK_FAILED"));
        assert!(!is_final("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"));
    }
}
