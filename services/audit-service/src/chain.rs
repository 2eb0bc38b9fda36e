//! The chain of records: appended one at a time, each once.

use std::{fmt, str::FromStr};

use contracts::audit::Event;
use kit::database::Pool;
use time::OffsetDateTime;

use crate::record::Record;

/// Begins the transaction of one record: replicas append one after another ("audit" in ASCII).
const BEGIN: &str = "begin; select pg_advisory_xact_lock(x'6175646974'::bigint)";

/// The last record of a chain, or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Position of the record; 0 for an empty chain.
    pub position: i64,
    /// Hash of the record.
    pub hash: Vec<u8>,
}

/// The head of an empty chain.
impl Default for Head {
    fn default() -> Self {
        Self {
            position: 0,
            hash: vec![0; 32],
        }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.position, hex::encode(&self.hash))
    }
}

/// Rejection of a text that is not a [`Head`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a head is POSITION:HASH, as `verify` prints it, with 64 hexadecimal digits")]
pub struct MalformedHead;

impl FromStr for Head {
    type Err = MalformedHead;

    fn from_str(text: &str) -> Result<Self, MalformedHead> {
        let (position, hash) = text.trim().split_once(':').ok_or(MalformedHead)?;
        let hash = hex::decode(hash).ok().filter(|hash| hash.len() == 32);
        Ok(Self {
            position: position.parse().map_err(|_| MalformedHead)?,
            hash: hash.ok_or(MalformedHead)?,
        })
    }
}

/// Result of appending an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The event is the new head.
    Appended,
    /// The chain had the event already.
    Duplicate,
}

impl Appended {
    /// Returns the value of the metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Appended => "appended",
            Self::Duplicate => "duplicate",
        }
    }
}

/// Appends an event to the chain in one transaction, unless the chain has it already.
///
/// # Errors
/// Fails if the database fails; nothing is appended then.
pub async fn append(pool: &Pool, event: &Event) -> sqlx::Result<Appended> {
    let mut transaction = pool.begin_with(BEGIN).await?;
    // A statement after the lock, so that it sees the record of the previous holder.
    let head: Option<(i64, Vec<u8>, bool)> = sqlx::query_as(
        "select position, hash, exists (select from records where event_id = $1)
         from records order by position desc limit 1",
    )
    .bind(event.event_id)
    .fetch_optional(&mut *transaction)
    .await?;
    let head = match head {
        Some((_, _, true)) => return Ok(Appended::Duplicate),
        Some((position, hash, false)) => Head { position, hash },
        None => Head::default(),
    };
    let record = Record::new(event, head.position + 1, OffsetDateTime::now_utc(), &head.hash);
    sqlx::query(
        "insert into records (position, event_id, occurred_at, recorded_at, actor, role, session_id, client_address, action,
             route, patient_id, shown_patient_ids, changed_fields, outcome, trace_id, service, hash)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    )
    .bind(record.position)
    .bind(record.event_id)
    .bind(record.occurred_at)
    .bind(record.recorded_at)
    .bind(record.actor)
    .bind(record.role)
    .bind(record.session_id)
    .bind(record.client_address)
    .bind(record.action)
    .bind(record.route)
    .bind(record.patient_id)
    .bind(record.shown_patient_ids)
    .bind(record.changed_fields)
    .bind(record.outcome)
    .bind(record.trace_id)
    .bind(record.service)
    .bind(record.hash)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(Appended::Appended)
}
