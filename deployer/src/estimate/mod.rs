//! The expected duration of a deployment, and the cost of a month.
//!
//! The duration of a resource is the median of earlier deployments to the same endpoint, or an average from a table that names its
//! source, or unknown. Prices are never in a table: `price` asks AWS.

mod history;
pub mod price;
mod table;

use cfn::diff::Change;
pub use history::{History, measure};
use platform::critical_path;
pub use platform::critical_path::{DurationSource, Estimate, Expected, Operation, StackEstimate};
use platform::stacks::Stack;

/// Returns the duration of a deployment that makes these changes; stacks in the plan's order.
pub fn estimate(stacks: &[(&Stack, Vec<Change>)], durations: &Durations) -> Estimate {
    critical_path::estimate(stacks, &|kind, operation| durations.expected(kind, operation))
}

/// Returns the duration of one stack by itself.
pub fn within(stack: &Stack, changes: &[Change], durations: &Durations) -> StackEstimate {
    critical_path::within(stack, changes, &|kind, operation| durations.expected(kind, operation))
}

/// The sources of durations for one endpoint.
#[derive(Debug, Default)]
pub struct Durations {
    pub history: History,
    /// True if the table applies: it was measured on AWS, and not on an emulator.
    pub on_aws: bool,
}

impl Durations {
    /// Returns the expected duration of an operation on a resource of a type; `None` if it was never measured.
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
    fn the_table_applies_to_aws_only() {
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
