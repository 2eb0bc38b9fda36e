//! How long a deployment takes: expected seconds of each resource, and the longest way through them.
//!
//! What a resource takes is the median of your own deployments to the same place, else an average from a table that names
//! its source, else unknown. Money is not estimated from tables: prices are AWS's to tell, and `price` asks.

mod history;
pub mod price;
mod table;

use cfn::diff::Change;
pub use history::{History, Measured, measure};
use platform::critical_path;
pub use platform::critical_path::{DurationSource, Estimate, Expected, Operation, StackEstimate, Step};
use platform::stacks::Stack;

/// Returns the duration of a deployment that makes these changes; stacks in the plan's order.
pub fn estimate(stacks: &[(&Stack, Vec<Change>)], durations: &Durations) -> Estimate {
    critical_path::estimate(stacks, &|kind, operation| durations.expected(kind, operation))
}

/// Returns the duration of one stack by itself.
pub fn within(stack: &Stack, changes: &[Change], durations: &Durations) -> StackEstimate {
    critical_path::within(stack, changes, &|kind, operation| durations.expected(kind, operation))
}

/// Where durations come from, for one place of deployment.
#[derive(Debug, Default)]
pub struct Durations {
    pub history: History,
    /// Whether the table counts: it was measured on AWS, and says nothing of an emulator.
    pub on_aws: bool,
}

impl Durations {
    /// What an operation on a resource of this type takes; none when nobody has measured it.
    pub fn expected(&self, kind: &str, operation: Operation) -> Option<Expected> {
        if let Some(seconds) = self.history.median(kind, operation) {
            return Some(Expected {
                seconds,
                source: DurationSource::History,
            });
        }
        let seconds = table::seconds(kind, operation).filter(|_| self.on_aws)?;
        Some(Expected {
            seconds,
            source: DurationSource::Table,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_for_aws_alone() {
        let expected = |on_aws| {
            let durations = Durations {
                history: History::default(),
                on_aws,
            };
            durations.expected("AWS::RDS::DBInstance", Operation::Create)
        };
        assert_eq!(expected(true).map(|found| found.source), Some(DurationSource::Table));
        assert_eq!(expected(false), None);
    }
}
