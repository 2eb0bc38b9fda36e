//! The report of a load.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{api::Fault, mix::Operation};

/// Maximum number of failures that are listed with their time; further ones are only counted.
const MAX_LISTED: usize = 20;

pub(super) struct Sample {
    pub(super) operation: Operation,
    /// The intended start, since the start of the load.
    pub(super) intended: Duration,
    /// The time from the intended start to the complete response.
    pub(super) latency: Duration,
    pub(super) outcome: Result<(), Fault>,
}

/// Results of a load.
#[derive(Debug)]
pub struct Report {
    /// The time during which requests were started.
    pub duration: Duration,
    /// Latencies of the successful requests by operation, from their intended start.
    pub latencies: BTreeMap<Operation, Latencies>,
    /// Number of failed requests by operation and reason.
    pub failures: BTreeMap<(Operation, Fault), usize>,
    /// The first failures, in order.
    pub first_failures: Vec<Failure>,
    /// The patients whose creation was acknowledged, with the initial ones.
    pub created: Vec<Uuid>,
    /// The traces of the requests about patients that were answered, as 32 hexadecimal digits.
    pub answered: Vec<String>,
    /// Reason why some of them could not be deleted afterwards.
    pub cleanup_error: Option<Fault>,
}

/// One request that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The intended start, since the start of the load.
    pub at: Duration,
    /// The operation.
    pub operation: Operation,
    /// The reason.
    pub fault: Fault,
    /// The time from `at` until the failure was known.
    pub latency: Duration,
}

/// Latencies of requests, sorted; exact, since a run has about 100,000 at most.
#[derive(Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// Returns the number of requests.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns the quantile of this part (0 to 1) of the requests; zero if there were none.
    pub fn quantile(&self, part: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank from 0 to the number of requests"
        )]
        let rank = (part * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

impl Report {
    pub(super) fn new(mut samples: Vec<Sample>, duration: Duration, created: Vec<Uuid>) -> Report {
        samples.sort_by_key(|sample| sample.intended);
        let mut report = Report {
            duration,
            latencies: BTreeMap::new(),
            failures: BTreeMap::new(),
            first_failures: Vec::new(),
            created,
            answered: Vec::new(),
            cleanup_error: None,
        };
        for Sample {
            operation,
            intended,
            latency,
            outcome,
        } in samples
        {
            match outcome {
                Ok(()) => report.latencies.entry(operation).or_default().0.push(latency),
                Err(fault) => {
                    if report.first_failures.len() < MAX_LISTED {
                        report.first_failures.push(Failure {
                            at: intended,
                            operation,
                            fault: fault.clone(),
                            latency,
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

    /// Returns the number of successful requests.
    pub fn succeeded(&self) -> usize {
        self.latencies.values().map(Latencies::count).sum()
    }

    /// Returns the number of failed requests.
    pub fn failed(&self) -> usize {
        self.failures.values().sum()
    }

    /// Returns the successful requests per second.
    pub fn throughput(&self) -> f64 {
        self.succeeded() as f64 / self.duration.as_secs_f64().max(f64::EPSILON)
    }

    /// Returns the report as JSON; times in milliseconds.
    pub fn json(&self) -> Value {
        let operations: serde_json::Map<String, Value> = self
            .latencies
            .iter()
            .map(|(operation, latencies)| {
                let at = |part| milliseconds(latencies.quantile(part));
                let summary = json!({"count": latencies.count(), "p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": at(1.0)});
                (operation.name().to_owned(), summary)
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
            "seconds": self.duration.as_secs_f64(),
            "succeeded": self.succeeded(),
            "failed": self.failed(),
            "throughput": self.throughput(),
            "operations": operations,
            "failures": failures,
        })
    }
}

/// The report as a table.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<14} {:>9} {:>10} {:>10} {:>10} {:>10}",
            "operation", "succeeded", "p50 ms", "p95 ms", "p99 ms", "max ms"
        )?;
        for (operation, latencies) in &self.latencies {
            write!(f, "{:<14} {:>9}", operation.name(), latencies.count())?;
            for part in [0.5, 0.95, 0.99, 1.0] {
                write!(f, " {:>10.1}", milliseconds(latencies.quantile(part)))?;
            }
            writeln!(f)?;
        }
        writeln!(
            f,
            "{} succeeded in {:.1} s: {:.1} per second; {} failed",
            self.succeeded(),
            self.duration.as_secs_f64(),
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
                milliseconds(failure.latency)
            )?;
        }
        if let Some(fault) = &self.cleanup_error {
            writeln!(
                f,
                "hint: patients of this run were not deleted ({fault}); only an ADMIN can delete them"
            )?;
        }
        if self.failures.keys().any(|(_, fault)| *fault == Fault::Status(429)) {
            writeln!(
                f,
                "hint: 429 is the gateway's rate limit for one user; lower --rps, or raise RATE_LIMIT_PER_SECOND"
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
            latency: Duration::from_millis(milliseconds),
            outcome,
        }
    }

    #[test]
    fn quantiles_are_those_of_successful_requests_and_failures_are_counted() {
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
