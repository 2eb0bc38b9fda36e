//! Patients in the database, each change with its event and its billing intent.

use contracts::events::{PATIENT_CREATED, PATIENT_DELETED, PATIENT_UPDATED};
use kit::{Problem, Result, database};
use sqlx::{PgConnection, PgExecutor};
use time::Date;
use uuid::Uuid;

use super::{BillingState, Patient, event, input::ValidPatient, version::IfMatch};

/// The columns of a [`Patient`] and where they come from.
pub(super) const SELECT: &str = "
    select p.id, p.name, p.email, p.address, p.date_of_birth, p.registered_date, p.version,
           coalesce(b.status, 'PENDING') as billing_status, b.account_id
    from patient p left join billing_intent b on b.patient_id = p.id";

const SELECT_ONE: &str = "
    select p.id, p.name, p.email, p.address, p.date_of_birth, p.registered_date, p.version,
           coalesce(b.status, 'PENDING') as billing_status, b.account_id
    from patient p left join billing_intent b on b.patient_id = p.id
    where p.id = $1";

/// Looks a patient up.
///
/// # Errors
/// 404 when there is none.
pub async fn find(executor: impl PgExecutor<'_>, id: Uuid) -> Result<Patient> {
    let found = sqlx::query_as(SELECT_ONE).bind(id).fetch_optional(executor).await?;
    found.ok_or_else(missing)
}

/// Creates a patient, tells of it, and leaves the intent to open its account.
///
/// # Errors
/// 409 when another patient has the address.
pub async fn create(transaction: &mut PgConnection, new: &ValidPatient, today: Date) -> Result<Patient> {
    let patient = Patient {
        id: Uuid::new_v4(),
        name: new.name.clone(),
        email: new.email.clone(),
        address: new.address.clone(),
        date_of_birth: new.date_of_birth,
        registered_date: new.registered_date.unwrap_or(today),
        version: 1,
        billing: BillingState::pending(),
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
    .map_err(taken)?;
    intend(transaction, patient.id, "OPEN").await?;
    event::tell(transaction, PATIENT_CREATED, &patient).await?;
    Ok(patient)
}

/// Changes a patient and tells of it.
///
/// # Errors
/// 404, 409 when another patient has the address, 412 when the precondition does not hold.
pub async fn update(
    transaction: &mut PgConnection,
    id: Uuid,
    new: &ValidPatient,
    expected: &IfMatch,
) -> Result<Patient> {
    expected.check(lock(transaction, id).await?)?;
    sqlx::query(
        // What billing refuses may be what is changed here, so it is asked again.
        "with again as (
             update billing_intent set next_attempt = now(), attempts = 0, refused = null
             where patient_id = $1 and status = 'PENDING'
         )
         update patient set name = $2, email = $3, address = $4, date_of_birth = $5,
             registered_date = coalesce($6, registered_date), version = version + 1
         where id = $1",
    )
    .bind(id)
    .bind(&new.name)
    .bind(&new.email)
    .bind(&new.address)
    .bind(new.date_of_birth)
    .bind(new.registered_date)
    .execute(&mut *transaction)
    .await
    .map_err(taken)?;
    let patient = find(&mut *transaction, id).await?;
    event::tell(transaction, PATIENT_UPDATED, &patient).await?;
    Ok(patient)
}

/// Deletes a patient, tells of it, and leaves the intent to close its account.
///
/// # Errors
/// 404, and 412 when the precondition does not hold.
pub async fn delete(transaction: &mut PgConnection, id: Uuid, expected: &IfMatch) -> Result<()> {
    expected.check(lock(transaction, id).await?)?;
    let mut patient = find(&mut *transaction, id).await?;
    sqlx::query("delete from patient where id = $1")
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    // The deletion is a version of its own, so that it wins over every event before it.
    patient.version += 1;
    intend(transaction, id, "CLOSED").await?;
    event::tell(transaction, PATIENT_DELETED, &patient).await?;
    Ok(())
}

/// Takes the patient's row for this transaction, which also puts its events in order, and gives its version.
async fn lock(transaction: &mut PgConnection, id: Uuid) -> Result<i64> {
    let select = "select version from patient where id = $1 for update";
    let version = sqlx::query_scalar(select).bind(id).fetch_optional(transaction).await?;
    version.ok_or_else(missing)
}

/// Leaves an intent for billing; the reconciler looks at it when the call that follows the commit had its chance.
async fn intend(transaction: &mut PgConnection, patient: Uuid, wanted: &str) -> sqlx::Result<()> {
    sqlx::query(
        "insert into billing_intent (patient_id, wanted, next_attempt) values ($1, $2, now() + interval '3 seconds')
         on conflict (patient_id) do update
         set wanted = excluded.wanted, status = 'PENDING', attempts = 0, next_attempt = excluded.next_attempt, refused = null",
    )
    .bind(patient)
    .bind(wanted)
    .execute(transaction)
    .await
    .map(drop)
}

fn missing() -> Problem {
    Problem::not_found("Patient not found")
}

fn taken(error: sqlx::Error) -> Problem {
    match database::violated_constraint(&error) {
        Some("patient_email") => Problem::conflict("Email address already exists"),
        _ => error.into(),
    }
}
