//! Patients in the database; each change stores its event, its history and its billing intent.

use contracts::events::{PATIENT_CREATED, PATIENT_DELETED, PATIENT_UPDATED};
use kit::{Claims, Email, Problem, Result, database};
use sqlx::{PgConnection, PgExecutor, QueryBuilder};
use uuid::Uuid;

use super::{
    Patient, change, event,
    input::{REGISTERED_BEFORE_BIRTH, ValidPatient},
};
use crate::{
    billing::{
        AccountState,
        intent::{self, DesiredState},
    },
    calendar::Today,
    family, idempotency,
    precondition::Preconditions,
};

/// The columns of a [`Patient`] and their tables.
///
/// An account with an id is open, also while its intent is pending because the holder changed.
pub(super) const SELECT: &str = "
    select p.id, p.name, p.email, p.address, p.date_of_birth, p.registered_date, p.version,
           case when b.status = 'PENDING' and b.account_id is not null then 'ACTIVE' else coalesce(b.status, 'PENDING') end
               as billing_status, b.account_id
    from patient p left join billing_intent b on b.patient_id = p.id";

/// Returns a patient; `None` if there is no such patient.
///
/// # Errors
/// Fails if the database fails.
pub async fn find_optional(executor: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Patient>> {
    let mut query = QueryBuilder::new(SELECT);
    query.push(" where p.id = ").push_bind(id);
    query.build_query_as().fetch_optional(executor).await
}

/// Returns a patient.
///
/// # Errors
/// 404 if there is no such patient.
pub async fn find(executor: impl PgExecutor<'_>, id: Uuid) -> Result<Patient> {
    find_optional(executor, id).await?.ok_or_else(not_found)
}

/// Inserts a patient, its event, its history, and the intent to open its account.
///
/// # Errors
/// 409 if another patient has the email address.
pub async fn create(
    transaction: &mut PgConnection,
    new: &ValidPatient,
    today: Today,
    user: Option<&Claims>,
) -> Result<Patient> {
    let patient = Patient {
        id: Uuid::new_v4(),
        name: new.name.clone(),
        email: new.email.as_str().to_owned(),
        address: new.address.clone(),
        date_of_birth: new.date_of_birth,
        registered_date: new.registered_date.unwrap_or(today.date),
        version: 1,
        billing: AccountState::pending(),
    };
    sqlx::query(
        "insert into patient (id, name, email, email_key, address, date_of_birth, registered_date, version)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(patient.id)
    .bind(&patient.name)
    .bind(&patient.email)
    .bind(email_key(&new.email))
    .bind(&patient.address)
    .bind(patient.date_of_birth)
    .bind(patient.registered_date)
    .bind(patient.version)
    .execute(&mut *transaction)
    .await
    .map_err(to_problem)?;
    change::insert(transaction, None, &patient, user).await?;
    intent::insert(transaction, patient.id, DesiredState::Open).await?;
    event::enqueue(transaction, PATIENT_CREATED, &patient).await?;
    Ok(patient)
}

/// A patient after an update.
pub struct Updated {
    pub patient: Patient,
    /// True if billing-service must be called for the account's holder.
    pub is_billing_due: bool,
    /// Names of the fields whose value changed.
    pub changed_fields: Vec<&'static str>,
}

/// Updates a patient, and inserts its event, its history and the intent to update its account's holder.
///
/// # Errors
/// 400 if it was registered before its new date of birth, 404, 409 if another patient has the email address, 412 if a
/// precondition does not hold.
pub async fn update(
    transaction: &mut PgConnection,
    id: Uuid,
    new: &ValidPatient,
    preconditions: &Preconditions,
    user: &Claims,
) -> Result<Updated> {
    let old = lock(transaction, id).await?;
    preconditions.check_change(old.version)?;
    let patient = Patient {
        id,
        name: new.name.clone(),
        email: new.email.as_str().to_owned(),
        address: new.address.clone(),
        date_of_birth: new.date_of_birth,
        registered_date: new.registered_date.unwrap_or(old.registered_date),
        version: old.version + 1,
        billing: old.billing.clone(),
    };
    if patient.registered_date < patient.date_of_birth {
        return Err(Problem::field("registeredDate", REGISTERED_BEFORE_BIRTH));
    }
    sqlx::query(
        "update patient set name = $2, email = $3, email_key = $4, address = $5, date_of_birth = $6,
             registered_date = $7, version = $8
         where id = $1",
    )
    .bind(id)
    .bind(&patient.name)
    .bind(&patient.email)
    .bind(email_key(&new.email))
    .bind(&patient.address)
    .bind(patient.date_of_birth)
    .bind(patient.registered_date)
    .bind(patient.version)
    .execute(&mut *transaction)
    .await
    .map_err(to_problem)?;
    change::insert(transaction, Some(&old), &patient, Some(user)).await?;
    if old.name != patient.name {
        family::store::member_renamed(transaction, id).await?;
    }
    let is_holder = (&old.name, &old.email) != (&patient.name, &patient.email);
    let is_billing_due = intent::update(transaction, id, patient.version, is_holder).await?;
    event::enqueue(transaction, PATIENT_UPDATED, &patient).await?;
    let changed_fields = change::changed_fields(Some(&old), &patient);
    Ok(Updated {
        patient,
        is_billing_due,
        changed_fields,
    })
}

/// Deletes a patient and all that is stored about it, and inserts its event and the intent to close its account.
///
/// A family without another member is deleted, too: its name is that of the person.
///
/// # Errors
/// 404, and 412 if a precondition does not hold.
pub async fn delete(transaction: &mut PgConnection, id: Uuid, preconditions: &Preconditions) -> Result<()> {
    let mut patient = lock(transaction, id).await?;
    preconditions.check_change(patient.version)?;
    family::store::member_erased(transaction, id).await?;
    idempotency::erase(transaction, id).await?;
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

/// Returns the canonical address where it is not the address in lower case.
fn email_key(email: &Email) -> Option<String> {
    let canonical = email.canonical();
    (canonical != email.as_str().to_ascii_lowercase() || !canonical.is_ascii()).then_some(canonical)
}

/// Locks the patient's row, which also orders its events, and returns the patient.
async fn lock(transaction: &mut PgConnection, id: Uuid) -> Result<Patient> {
    let lock = "select from patient where id = $1 for update";
    sqlx::query(lock).bind(id).execute(&mut *transaction).await?;
    find(transaction, id).await
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
