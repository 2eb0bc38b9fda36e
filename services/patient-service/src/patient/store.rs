//! Patients in the database; each change stores its event and its billing intent.

use contracts::events::{PATIENT_CREATED, PATIENT_DELETED, PATIENT_UPDATED};
use kit::{Problem, Result, database};
use sqlx::{PgConnection, PgExecutor};
use time::Date;
use uuid::Uuid;

use super::{Patient, etag::IfMatch, event, input::ValidPatient};
use crate::billing::{
    AccountState,
    intent::{self, DesiredState},
};

/// The columns of a [`Patient`] and their tables.
pub(super) const SELECT: &str = "
    select p.id, p.name, p.email, p.address, p.date_of_birth, p.registered_date, p.version,
           coalesce(b.status, 'PENDING') as billing_status, b.account_id
    from patient p left join billing_intent b on b.patient_id = p.id";

const SELECT_ONE: &str = "
    select p.id, p.name, p.email, p.address, p.date_of_birth, p.registered_date, p.version,
           coalesce(b.status, 'PENDING') as billing_status, b.account_id
    from patient p left join billing_intent b on b.patient_id = p.id
    where p.id = $1";

/// Returns a patient.
///
/// # Errors
/// 404 if there is no such patient.
pub async fn find(executor: impl PgExecutor<'_>, id: Uuid) -> Result<Patient> {
    let found = sqlx::query_as(SELECT_ONE).bind(id).fetch_optional(executor).await?;
    found.ok_or_else(not_found)
}

/// Inserts a patient, its event, and the intent to open its account.
///
/// # Errors
/// 409 if another patient has the email address.
pub async fn create(transaction: &mut PgConnection, new: &ValidPatient, today: Date) -> Result<Patient> {
    let patient = Patient {
        id: Uuid::new_v4(),
        name: new.name.clone(),
        email: new.email.as_str().to_owned(),
        address: new.address.clone(),
        date_of_birth: new.date_of_birth,
        registered_date: new.registered_date.unwrap_or(today),
        version: 1,
        billing: AccountState::pending(),
    };
    sqlx::query(
        "insert into patient (id, name, email, address, date_of_birth, registered_date, version)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(patient.id)
    .bind(&patient.name)
    .bind(&patient.email)
    .bind(&patient.address)
    .bind(patient.date_of_birth)
    .bind(patient.registered_date)
    .bind(patient.version)
    .execute(&mut *transaction)
    .await
    .map_err(to_problem)?;
    intent::insert(transaction, patient.id, DesiredState::Open).await?;
    event::enqueue(transaction, PATIENT_CREATED, &patient).await?;
    Ok(patient)
}

/// Updates a patient, and inserts its event; returns the names of the changed fields too.
///
/// # Errors
/// 404, 409 if another patient has the email address, 412 if the precondition does not hold.
pub async fn update(
    transaction: &mut PgConnection,
    id: Uuid,
    new: &ValidPatient,
    expected: &IfMatch,
) -> Result<(Patient, Vec<&'static str>)> {
    expected.check(lock(transaction, id).await?)?;
    let before = find(&mut *transaction, id).await?;
    intent::retry_now(transaction, id).await?;
    sqlx::query(
        "update patient set name = $2, email = $3, address = $4, date_of_birth = $5,
             registered_date = coalesce($6, registered_date), version = version + 1
         where id = $1",
    )
    .bind(id)
    .bind(&new.name)
    .bind(new.email.as_str())
    .bind(&new.address)
    .bind(new.date_of_birth)
    .bind(new.registered_date)
    .execute(&mut *transaction)
    .await
    .map_err(to_problem)?;
    let patient = find(&mut *transaction, id).await?;
    event::enqueue(transaction, PATIENT_UPDATED, &patient).await?;
    let changed = patient.changed_fields(&before);
    Ok((patient, changed))
}

/// Deletes a patient, and inserts its event and the intent to close its account.
///
/// # Errors
/// 404, and 412 if the precondition does not hold.
pub async fn delete(transaction: &mut PgConnection, id: Uuid, expected: &IfMatch) -> Result<()> {
    expected.check(lock(transaction, id).await?)?;
    let mut patient = find(&mut *transaction, id).await?;
    sqlx::query("delete from patient where id = $1")
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    // The deletion has its own version, so that it supersedes every earlier event.
    patient.version += 1;
    intent::insert(transaction, id, DesiredState::Closed).await?;
    event::enqueue(transaction, PATIENT_DELETED, &patient).await?;
    Ok(())
}

/// Locks the patient's row, which also orders its events, and returns its version.
async fn lock(transaction: &mut PgConnection, id: Uuid) -> Result<i64> {
    let select = "select version from patient where id = $1 for update";
    let version = sqlx::query_scalar(select).bind(id).fetch_optional(transaction).await?;
    version.ok_or_else(not_found)
}

fn not_found() -> Problem {
    Problem::not_found("Patient not found")
}

fn to_problem(error: sqlx::Error) -> Problem {
    match database::violated_constraint(&error) {
        Some("patient_email") => Problem::conflict("Email address already exists"),
        _ => error.into(),
    }
}
