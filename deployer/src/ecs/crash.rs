//! When a crash loop is proved: the same end, again and again, and never a task that was well.

use std::collections::{HashMap, HashSet};

/// How many tasks must have stopped for the same reason.
pub const PROOF: u32 = 3;

/// The ends of tasks by revision (the ARN of their task definition).
#[derive(Debug, Default)]
pub struct Crashes {
    counts: HashMap<(String, String, Option<i32>), u32>,
    well: HashSet<String>,
}

impl Crashes {
    /// Notes that a task of the revision was healthy: what stops later has another cause than its start.
    pub fn well(&mut self, revision: &str) {
        self.well.insert(revision.to_owned());
    }

    /// Counts one end, and gives how many of this revision were the same until now.
    pub fn note(&mut self, revision: &str, reason: &str, exit_code: Option<i32>) -> u32 {
        let key = (revision.to_owned(), gist(reason), exit_code);
        let count = self.counts.entry(key).or_default();
        *count += 1;
        *count
    }

    /// Whether this many equal ends of a revision's tasks are proof.
    pub fn is_proof(&self, revision: &str, times: u32) -> bool {
        times >= PROOF && !self.well.contains(revision)
    }
}

/// A reason without what differs from task to task: ids, addresses, times.
fn gist(reason: &str) -> String {
    let words = reason.split(|letter: char| !letter.is_alphanumeric());
    let steady = words.filter(|word| !word.is_empty() && !word.contains(|letter: char| letter.is_ascii_digit()));
    steady.collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_equal_ends_are_proof_unless_a_task_was_ever_well() {
        let mut crashes = Crashes::default();
        let unwell = "Task failed ELB health checks in (target-group tg/0a1b2c)";
        assert_eq!(crashes.note("app:2", unwell, Some(0)), 1);
        assert_eq!(crashes.note("app:2", "Essential container in task exited", Some(1)), 1);
        assert_eq!(crashes.note("app:2", &unwell.replace("0a1b2c", "9f8e7d"), Some(0)), 2);
        assert_eq!(crashes.note("app:2", unwell, Some(0)), 3);
        assert!(!crashes.is_proof("app:2", 2) && crashes.is_proof("app:2", 3));
        crashes.well("app:1");
        assert!(
            crashes.is_proof("app:2", 3),
            "the former revision's health proves nothing"
        );
        crashes.well("app:2");
        assert!(!crashes.is_proof("app:2", 3));
    }
}
