//! Verification of the chain: by the command `verify`, and in the background.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use kit::database::{self, Pool};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{chain::Head, record::Record};

/// Records that are read at once.
const BATCH: i64 = 500;
/// Interval at which new records are verified.
const INTERVAL: Duration = Duration::from_mins(1);
/// Interval at which all records are verified again.
const COMPLETE_INTERVAL: Duration = Duration::from_hours(24);

/// Result of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// Every record follows from the one before; this is the last one.
    Intact(Head),
    /// The chain is not intact.
    Broken(Broken),
}

/// The first fault of a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The record, or one before it, was changed.
    #[error("record {0} is broken: its hash does not follow from its content and the record before it")]
    Changed(i64),
    /// The record is missing, although later ones are there.
    #[error("record {0} is missing: later records are there")]
    Missing(i64),
    /// The chain does not contain a head that was printed earlier.
    #[error("record {0} is missing or another one: the chain was cut or rewritten since its head was printed")]
    NotExpected(i64),
}

/// Verifies the records behind `from`; `expected` is a head that the chain must contain.
///
/// # Errors
/// Fails if the database fails.
pub async fn verify(pool: &Pool, from: Head, expected: Option<&Head>) -> sqlx::Result<Verification> {
    let mut head = from;
    let mut found = expected.is_none_or(|expected| *expected == head);
    loop {
        let select = "select * from records where position > $1 order by position limit $2";
        let records: Vec<Record> = sqlx::query_as(select)
            .bind(head.position)
            .bind(BATCH)
            .fetch_all(pool)
            .await?;
        let is_last = records.len() < usize::try_from(BATCH).unwrap_or_default();
        for record in records {
            if record.position != head.position + 1 {
                return Ok(Verification::Broken(Broken::Missing(head.position + 1)));
            }
            if record.hash != record.hash_after(&head.hash) {
                return Ok(Verification::Broken(Broken::Changed(record.position)));
            }
            head = Head {
                position: record.position,
                hash: record.hash,
            };
            found |= expected == Some(&head);
        }
        if is_last {
            break;
        }
    }
    Ok(match expected {
        Some(expected) if !found => Verification::Broken(Broken::NotExpected(expected.position)),
        _ => Verification::Intact(head),
    })
}

/// Runs the command `verify`: prints the head, or the first fault.
pub async fn command(pool: &Pool, expected: Option<&Head>) -> ExitCode {
    match verify(pool, Head::default(), expected).await {
        Ok(Verification::Intact(head)) => {
            println!("{head}");
            eprintln!(
                "{} records are intact; keep the line above elsewhere, for AUDIT_EXPECTED_HEAD",
                head.position
            );
            ExitCode::SUCCESS
        }
        Ok(Verification::Broken(broken)) => {
            eprintln!("{broken}");
            ExitCode::from(1)
        }
        Err(error) => {
            eprintln!("the chain could not be read: {}", database::describe(&error));
            ExitCode::from(2)
        }
    }
}

/// Verifies new records every minute, and all of them once a day, until the shutdown.
///
/// # Errors
/// Never; the signature is that of a background task.
pub async fn run(pool: Pool, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut head = Head::default();
    let mut started = Instant::now();
    loop {
        if started.elapsed() >= COMPLETE_INTERVAL {
            (head, started) = (Head::default(), Instant::now());
        }
        match verify(&pool, head.clone(), None).await {
            Ok(Verification::Intact(verified)) => {
                metrics::gauge!("audit_verified_position").set(verified.position as f64);
                metrics::gauge!("audit_chain_broken").set(0.0);
                head = verified;
            }
            Ok(Verification::Broken(broken)) => {
                metrics::gauge!("audit_chain_broken").set(1.0);
                tracing::error!(error = %broken, "the audit trail was tampered with");
            }
            Err(error) => tracing::warn!(error = database::describe(&error), "cannot verify the audit trail"),
        }
        if shutdown.run_until_cancelled(sleep(INTERVAL)).await.is_none() {
            return Ok(());
        }
    }
}
