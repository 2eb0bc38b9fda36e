//! What each status of a stack means (CloudFormation User Guide: Stack status codes).

/// How a stack stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stand {
    /// At rest: it can be updated and deleted.
    Good,
    /// CloudFormation works on it.
    Busy,
    /// An empty shell, or what a failed creation left.
    Leftover,
    /// It goes neither forward nor back by itself.
    Stuck,
    Gone,
}

/// A status in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    pub status: &'static str,
    pub stand: Stand,
    pub words: &'static str,
}

/// Every status that CloudFormation knows.
pub const ALL: [Meaning; 23] = [
    means("CREATE_IN_PROGRESS", Stand::Busy, "it is being created"),
    means(
        "CREATE_COMPLETE",
        Stand::Good,
        "it was created, and has not been changed since",
    ),
    means(
        "CREATE_FAILED",
        Stand::Stuck,
        "its creation failed, and what was made was left as it was, because somebody asked for no rollback",
    ),
    means(
        "ROLLBACK_IN_PROGRESS",
        Stand::Busy,
        "its creation failed or was cancelled; what was made is being deleted",
    ),
    means(
        "ROLLBACK_COMPLETE",
        Stand::Leftover,
        "its creation failed, and all that was made is deleted: an empty stack that can only be deleted",
    ),
    means(
        "ROLLBACK_FAILED",
        Stand::Stuck,
        "its creation failed, and so did the deletion of what was made: some of its resources are still there",
    ),
    means(
        "DELETE_IN_PROGRESS",
        Stand::Busy,
        "it is being deleted; a deletion cannot be cancelled",
    ),
    means("DELETE_COMPLETE", Stand::Gone, "it is deleted"),
    means(
        "DELETE_FAILED",
        Stand::Stuck,
        "its deletion failed: some of its resources are still there, the others are gone; it can only be deleted again",
    ),
    means("UPDATE_IN_PROGRESS", Stand::Busy, "it is being updated"),
    means(
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        Stand::Busy,
        "its update succeeded; what was replaced or dropped is being deleted, which cannot be cancelled",
    ),
    means("UPDATE_COMPLETE", Stand::Good, "it was updated"),
    means(
        "UPDATE_FAILED",
        Stand::Stuck,
        "its update failed, and was left half-way, because somebody asked for no rollback: it can be rolled back",
    ),
    means(
        "UPDATE_ROLLBACK_IN_PROGRESS",
        Stand::Busy,
        "its update failed or was cancelled; it is being put back to what it was",
    ),
    means(
        "UPDATE_ROLLBACK_FAILED",
        Stand::Stuck,
        "its update failed, and so did putting it back: some resources are as before, others are not; the rollback can be continued once the cause is removed",
    ),
    means(
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        Stand::Busy,
        "its update failed, and it is as before; what the update made is being deleted",
    ),
    means(
        "UPDATE_ROLLBACK_COMPLETE",
        Stand::Good,
        "its last update failed, and it is as it was before",
    ),
    means(
        "REVIEW_IN_PROGRESS",
        Stand::Leftover,
        "a change set was made for it and never executed: an empty shell without resources",
    ),
    means(
        "IMPORT_IN_PROGRESS",
        Stand::Busy,
        "resources are being imported into it",
    ),
    means("IMPORT_COMPLETE", Stand::Good, "resources were imported into it"),
    means(
        "IMPORT_ROLLBACK_IN_PROGRESS",
        Stand::Busy,
        "an import failed or was cancelled; it is being undone",
    ),
    means(
        "IMPORT_ROLLBACK_FAILED",
        Stand::Stuck,
        "an import failed, and so did undoing it: what the import had touched must be looked at by hand",
    ),
    means(
        "IMPORT_ROLLBACK_COMPLETE",
        Stand::Good,
        "an import failed, and it is as it was before",
    ),
];

const fn means(status: &'static str, stand: Stand, words: &'static str) -> Meaning {
    Meaning { status, stand, words }
}

/// How a stack of this status stands, and what that means; of a status that is not in the table, as its ending tells.
pub fn meaning(status: &str) -> (Stand, &'static str) {
    if let Some(known) = ALL.iter().find(|known| known.status == status) {
        return (known.stand, known.words);
    }
    match status {
        s if s.ends_with("_IN_PROGRESS") => (Stand::Busy, "CloudFormation works on it"),
        s if s.ends_with("_COMPLETE") => (Stand::Good, "its last operation is complete"),
        _ => (Stand::Stuck, "a status that is not known here"),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudformation::types::StackStatus;

    use super::*;

    #[test]
    fn every_status_that_the_api_has_is_in_the_table_once() {
        let mut known: Vec<&str> = ALL.iter().map(|meaning| meaning.status).collect();
        let mut api: Vec<&str> = StackStatus::values().to_vec();
        known.sort_unstable();
        api.sort_unstable();
        assert_eq!(known, api);
    }

    #[test]
    fn a_status_that_comes_later_is_told_by_its_ending() {
        assert_eq!(meaning("REFACTOR_IN_PROGRESS").0, Stand::Busy);
        assert_eq!(meaning("REFACTOR_FAILED").0, Stand::Stuck);
    }
}
