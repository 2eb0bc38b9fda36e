//! How long a deployment takes: expected seconds of each resource, and the longest way through them.
//!
//! What a resource takes is the median of your own deployments to the same place, else an average from a table that names
//! its source, else unknown. Money is not estimated from tables: prices are AWS's to tell, and `price` asks.

mod history;
mod path;
pub mod price;
mod table;

use serde::Serialize;

pub use history::{History, Measured, measure};
pub use path::{Estimate, StackEstimate, Step, estimate, within};

/// What is done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    Create,
    Update,
    Delete,
}

/// How long something takes, and how that is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Expected {
    pub seconds: f64,
    pub source: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The median of your own deployments to this place.
    History,
    /// The averages that `rain forecast` ships.
    Table,
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
                source: Source::History,
            });
        }
        let seconds = table::seconds(kind, operation).filter(|_| self.on_aws)?;
        Some(Expected {
            seconds,
            source: Source::Table,
        })
    }
}
