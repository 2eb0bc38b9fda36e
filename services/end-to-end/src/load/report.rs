//! How it went.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{api::Fault, mix::Operation};

/// Failures that are told with their time; more are only counted.
const TOLD: usize = 20;

pub(super) struct Sample {
    pub(super) operation: Operation,
    /// When it was meant to start, counted from the start of the load.
    pub(super) intended: Duration,
    /// From then to the whole answer.
    pub(super) took: Duration,
    pub(super) outcome: Result<(), Fault>,
}

/// What a load has shown.
#[derive(Debug)]
pub struct Report {
    /// For how long requests were begun.
    pub lasted: Duration,
    /// What the successful requests of each operation took, from their intended start.
    pub latencies: BTreeMap<Operation, Latencies>,
    /// How often each operation failed, and how.
    pub failures: BTreeMap<(Operation, Fault), usize>,
    /// The first failures in their order.
    pub first_failures: Vec<Failure>,
    /// The patients whose creation was acknowledged, those from before the load among them.
    pub created: Vec<Uuid>,
    /// Why some of them could not be deleted afterwards.
    pub left_behind: Option<Fault>,
}

/// One request that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// When it was meant to start, counted from the start of the load.
    pub at: Duration,
    /// What was asked.
    pub operation: Operation,
    /// What came of it.
    pub fault: Fault,
    /// When that was known, after `at`.
    pub took: Duration,
}

/// What requests took, sorted; exact, since a run has no more than some 100 000.
#[derive(Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The time within which this part (0 to 1) of the requests was answered; zero when there were none.
    pub fn quantile(&self, part: f64) -> Duration {
        let rank = (part * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

impl Report {
    pub(super) fn new(mut samples: Vec<Sample>, lasted: Duration, created: Vec<Uuid>) -> Report {
        samples.sort_by_key(|sample| sample.intended);
        let mut report = Report {
            lasted,
            latencies: BTreeMap::new(),
            failures: BTreeMap::new(),
            first_failures: Vec::new(),
            created,
            left_behind: None,
        };
        for Sample {
            operation,
            intended,
            took,
            outcome,
        } in samples
        {
            match outcome {
                Ok(()) => report.latencies.entry(operation).or_default().0.push(took),
                Err(fault) => {
                    if report.first_failures.len() < TOLD {
                        report.first_failures.push(Failure {
                            at: intended,
                            operation,
                            fault: fault.clone(),
                            took,
                        });
                    }
                    *report.failures.entry((operation, fault)).or_default() += 1;
                }
            }
        }
        for latencies in report.latencies.values_mut() {
            latencies.0.sort();
        }
        report
    }

    /// Requests that were answered as the API promises.
    pub fn succeeded(&self) -> usize {
        self.latencies.values().map(Latencies::count).sum()
    }

    /// Requests that were not.
    pub fn failed(&self) -> usize {
        self.failures.values().sum()
    }

    /// Successful requests a second.
    pub fn throughput(&self) -> f64 {
        self.succeeded() as f64 / self.lasted.as_secs_f64().max(f64::EPSILON)
    }

    /// The report for programs; times in milliseconds.
    pub fn json(&self) -> Value {
        let operations: serde_json::Map<String, Value> = self
            .latencies
            .iter()
            .map(|(operation, latencies)| {
                let at = |part| milliseconds(latencies.quantile(part));
                let told = json!({"count": latencies.count(), "p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": at(1.0)});
                (operation.name().to_owned(), told)
            })
            .collect();
        let failures: Vec<Value> = self
            .failures
            .iter()
            .map(|((operation, fault), count)| {
                json!({"operation": operation.name(), "fault": fault.to_string(), "count": count})
            })
            .collect();
        json!({
            "seconds": self.lasted.as_secs_f64(),
            "succeeded": self.succeeded(),
            "failed": self.failed(),
            "throughput": self.throughput(),
            "operations": operations,
            "failures": failures,
        })
    }
}

/// The report for people.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<14} {:>8} {:>10} {:>10} {:>10} {:>10}",
            "operation", "answered", "p50 ms", "p95 ms", "p99 ms", "max ms"
        )?;
        for (operation, latencies) in &self.latencies {
            write!(f, "{:<14} {:>8}", operation.name(), latencies.count())?;
            for part in [0.5, 0.95, 0.99, 1.0] {
                write!(f, " {:>10.1}", milliseconds(latencies.quantile(part)))?;
            }
            writeln!(f)?;
        }
        writeln!(
            f,
            "{} answered in {:.1} s: {:.1} a second; {} failed",
            self.succeeded(),
            self.lasted.as_secs_f64(),
            self.throughput(),
            self.failed()
        )?;
        for ((operation, fault), count) in &self.failures {
            writeln!(f, "  {count} x {}: {fault}", operation.name())?;
        }
        for failure in &self.first_failures {
            writeln!(
                f,
                "  at {:.3} s {}: {} (known after {:.0} ms)",
                failure.at.as_secs_f64(),
                failure.operation.name(),
                failure.fault,
                milliseconds(failure.took)
            )?;
        }
        if let Some(fault) = &self.left_behind {
            writeln!(
                f,
                "hint: patients of this run are still there ({fault}); only an ADMIN may delete them"
            )?;
        }
        if self.failures.keys().any(|(_, fault)| *fault == Fault::Status(429)) {
            writeln!(
                f,
                "hint: 429 is the gateway's limit for one user; ask less, or raise its RATE_LIMIT_PER_SECOND"
            )?;
        }
        Ok(())
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(milliseconds: u64, outcome: Result<(), Fault>) -> Sample {
        Sample {
            operation: Operation::Read,
            intended: Duration::from_millis(1000 - milliseconds),
            took: Duration::from_millis(milliseconds),
            outcome,
        }
    }

    #[test]
    fn quantiles_are_those_of_the_answers_and_failures_are_counted_apart() {
        let mut samples: Vec<Sample> = (1..=100).map(|ms| sample(ms, Ok(()))).collect();
        samples.push(sample(900, Err(Fault::Status(503))));
        let report = Report::new(samples, Duration::from_secs(2), Vec::new());
        let read = &report.latencies[&Operation::Read];
        let at = |part| read.quantile(part).as_millis();
        assert_eq!((at(0.5), at(0.95), at(0.99), at(1.0)), (50, 95, 99, 100));
        assert_eq!(
            (report.succeeded(), report.failed(), report.throughput()),
            (100, 1, 50.0)
        );
        assert!(report.to_string().contains("1 x read: 503"), "{report}");
        assert_eq!(report.json()["operations"]["read"]["p99"], 99.0);
    }
}
