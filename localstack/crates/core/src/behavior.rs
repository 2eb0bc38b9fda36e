//! Delays and limits of AWS that the endpoint imitates when it is asked to.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The delays and limits of one endpoint. By default there are none.
#[derive(Debug, Clone, Default)]
pub struct Behavior {
    /// The time that operations take, by operation.
    pub slow: Vec<Slow>,
    /// The age of the answers for names of Cloud Map.
    pub dns: Dns,
    /// Values of Service Quotas that differ from those of this endpoint.
    pub quotas: Vec<QuotaValue>,
    /// Aborts the endpoint right after this number of writes to the state file, for tests of its recovery.
    pub crash_after_commits: Option<u64>,
}

impl Behavior {
    /// Returns the time that an operation takes in addition to its work here.
    pub fn delay(&self, operation: SlowOperation) -> Duration {
        let found = self.slow.iter().rev().find(|slow| slow.operation == operation);
        found.map_or(Duration::ZERO, |slow| slow.delay)
    }

    /// Returns the time that stands for one minute of a rollout's steps; a second if none is set.
    pub fn bake_minute(&self) -> Duration {
        let found = self
            .slow
            .iter()
            .rev()
            .find(|slow| slow.operation == SlowOperation::BakeMinute);
        found.map_or(Duration::from_secs(1), |slow| slow.delay)
    }

    /// Returns the value that was set for a quota.
    pub fn quota(&self, code: &str) -> Option<f64> {
        let found = self.quotas.iter().rev().find(|quota| quota.code == code);
        found.map(|quota| quota.value)
    }
}

/// An operation that can be made slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlowOperation {
    /// `rds`: the creation of a database instance.
    CreateDatabase,
    /// `msk`: the creation of a cluster.
    CreateCluster,
    /// `rds-reboot`: `RebootDBInstance`.
    RebootDatabase,
    /// `bake-minute`: a minute of the steps of an ECS rollout, here a second by default.
    BakeMinute,
}

const OPERATIONS: &[(&str, SlowOperation)] = &[
    ("rds", SlowOperation::CreateDatabase),
    ("msk", SlowOperation::CreateCluster),
    ("rds-reboot", SlowOperation::RebootDatabase),
    ("bake-minute", SlowOperation::BakeMinute),
];

/// An operation and its time, written `rds=600s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slow {
    /// The operation that takes long.
    pub operation: SlowOperation,
    /// Added to the time of the operation's work.
    pub delay: Duration,
}

/// The age of the answers for names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dns {
    /// An answer is as new as the registrations.
    #[default]
    Immediate,
    /// An answer is kept for the record's TTL, and a negative one for the TTL of the namespace's SOA record.
    Cached,
}

/// A quota's code and its value, written `L-3032A538=6`.
#[derive(Debug, Clone, PartialEq)]
pub struct QuotaValue {
    /// Such as `L-3032A538`.
    pub code: String,
    /// In the unit of the quota.
    pub value: f64,
}

/// A text that sets no behavior.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBehavior {
    /// The text is not a slow operation.
    #[error(
        "`{text}` is not OPERATION=DURATION. Operations: rds, msk, rds-reboot, bake-minute. Durations: 90s, 10m, 1m30s, 500ms."
    )]
    Slow {
        /// text as given
        text: String,
    },
    /// The text is no way to answer names.
    #[error("`{text}` is neither immediate nor cached")]
    Dns {
        /// text as given
        text: String,
    },
    /// The text is not a quota.
    #[error("`{text}` is not CODE=VALUE, such as L-3032A538=6")]
    Quota {
        /// text as given
        text: String,
    },
}

impl FromStr for Slow {
    type Err = InvalidBehavior;

    fn from_str(text: &str) -> Result<Self, InvalidBehavior> {
        let invalid = || InvalidBehavior::Slow { text: text.to_owned() };
        let (name, delay) = text.trim().split_once('=').ok_or_else(invalid)?;
        let operation = OPERATIONS
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(invalid)?;
        Ok(Self {
            operation: operation.1,
            delay: duration(delay).ok_or_else(invalid)?,
        })
    }
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = OPERATIONS.iter().find(|(_, operation)| *operation == self.operation);
        write!(f, "{}={}ms", name.map_or("", |(name, _)| name), self.delay.as_millis())
    }
}

impl FromStr for Dns {
    type Err = InvalidBehavior;

    fn from_str(text: &str) -> Result<Self, InvalidBehavior> {
        match text {
            "immediate" => Ok(Self::Immediate),
            "cached" => Ok(Self::Cached),
            _ => Err(InvalidBehavior::Dns { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Immediate => "immediate",
            Self::Cached => "cached",
        })
    }
}

impl FromStr for QuotaValue {
    type Err = InvalidBehavior;

    fn from_str(text: &str) -> Result<Self, InvalidBehavior> {
        let invalid = || InvalidBehavior::Quota { text: text.to_owned() };
        let (code, value) = text.trim().split_once('=').ok_or_else(invalid)?;
        let value: f64 = value.parse().map_err(|_| invalid())?;
        if !code.starts_with("L-") || !value.is_finite() || value < 0.0 {
            return Err(invalid());
        }
        Ok(Self {
            code: code.to_owned(),
            value,
        })
    }
}

impl fmt::Display for QuotaValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.code, self.value)
    }
}

/// Parses a sum of numbers with a unit: `1m30s`, `500ms`, `2h`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let milliseconds = match &rest[..unit] {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        total += Duration::from_millis(number.checked_mul(milliseconds)?);
        rest = rest[unit..].trim_start();
    }
    (!text.trim().is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_behavior_is_read_from_text_and_written_as_text_that_reads_the_same() {
        let slow: Slow = "rds=1m30s".parse().unwrap();
        assert_eq!(
            (slow.operation, slow.delay),
            (SlowOperation::CreateDatabase, Duration::from_secs(90))
        );
        assert_eq!(slow.to_string().parse(), Ok(slow));
        let quota: QuotaValue = "L-3032A538=6".parse().unwrap();
        assert_eq!(quota.to_string().parse(), Ok(quota));
        assert_eq!("cached".parse(), Ok(Dns::Cached));
    }

    #[test]
    fn a_text_without_a_unit_or_of_an_unknown_operation_is_rejected() {
        for text in ["rds=600", "rds=", "rds", "s3=1s", "rds=1x", "rds=-1s"] {
            assert_eq!(text.parse::<Slow>(), Err(InvalidBehavior::Slow { text: text.into() }));
        }
        for text in ["L-1=many", "fargate=6", "L-1=-1", "L-1"] {
            assert_eq!(
                text.parse::<QuotaValue>(),
                Err(InvalidBehavior::Quota { text: text.into() })
            );
        }
    }
}
