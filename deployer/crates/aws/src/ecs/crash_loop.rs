//! Detection of crash loops: the tasks of a revision end in the same way again and again, and none was ever healthy.

use std::collections::{HashMap, HashSet};

/// Number of tasks that must have stopped for the same reason.
pub const CRASH_LOOP_THRESHOLD: u32 = 3;

/// Counts the ends of tasks by revision (the ARN of their task definition).
#[derive(Debug, Default)]
pub struct CrashLoopDetector {
    counts: HashMap<(String, String, Option<i32>), u32>,
    healthy: HashSet<String>,
}

impl CrashLoopDetector {
    /// Records a healthy task of a revision: tasks that stop later have another cause than their start.
    pub fn record_healthy(&mut self, revision: &str) {
        self.healthy.insert(revision.to_owned());
    }

    /// Records the end of a task, and returns how many of its revision have ended in the same way so far.
    pub fn record_stopped(&mut self, revision: &str, reason: &str, exit_code: Option<i32>) -> u32 {
        let key = (revision.to_owned(), normalized(reason), exit_code);
        let count = self.counts.entry(key).or_default();
        *count += 1;
        *count
    }

    /// Returns whether this many equal ends of a revision's tasks are a crash loop.
    pub fn is_crash_loop(&self, revision: &str, times: u32) -> bool {
        times >= CRASH_LOOP_THRESHOLD && !self.healthy.contains(revision)
    }
}

/// Returns a reason without the parts that differ from task to task: IDs, addresses, times.
fn normalized(reason: &str) -> String {
    let words = reason.split(|character: char| !character.is_alphanumeric());
    let common = words.filter(|word| !word.is_empty() && !word.contains(|character: char| character.is_ascii_digit()));
    common.collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_equal_ends_are_a_crash_loop_unless_a_task_was_ever_healthy() {
        let mut detector = CrashLoopDetector::default();
        let unhealthy = "Task failed ELB health checks in (target-group tg/0a1b2c)";
        let other = unhealthy.replace("0a1b2c", "9f8e7d");
        assert_eq!(detector.record_stopped("app:2", unhealthy, Some(0)), 1);
        assert_eq!(
            detector.record_stopped("app:2", "Essential container in task exited", Some(1)),
            1
        );
        assert_eq!(detector.record_stopped("app:2", &other, Some(0)), 2);
        assert_eq!(detector.record_stopped("app:2", unhealthy, Some(0)), 3);
        assert!(!detector.is_crash_loop("app:2", 2) && detector.is_crash_loop("app:2", 3));
        detector.record_healthy("app:1");
        assert!(
            detector.is_crash_loop("app:2", 3),
            "the health of the former revision proves nothing"
        );
        detector.record_healthy("app:2");
        assert!(!detector.is_crash_loop("app:2", 3));
    }
}
