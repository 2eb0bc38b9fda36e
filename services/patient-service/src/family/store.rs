//! Families in the database.

use kit::{Problem, Result, pagination::SortCursor};
use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use super::{Family, Member};
use crate::{idempotency, precondition::Preconditions};

type Row = (Uuid, String, i64, Json<Vec<Member>>);

/// Order of the list in its cursors; there is only one.
pub const SORT: &str = "name";
/// Maximum number of members, so that a family, and a page of families, has a bounded size.
const MAX_MEMBERS: i64 = 50;

/// Inserts a family without members.
///
/// # Errors
/// Fails if the database fails.
pub async fn create(executor: impl PgExecutor<'_>, name: &str) -> Result<Family> {
    let family = Family {
        id: Uuid::new_v4(),
        name: name.to_owned(),
        members: Vec::new(),
        version: 1,
    };
    let insert = "insert into family (id, name, version) values ($1, $2, $3)";
    sqlx::query(insert)
        .bind(family.id)
        .bind(name)
        .bind(family.version)
        .execute(executor)
        .await?;
    Ok(family)
}

/// Returns a family; `None` if there is no such family.
///
/// # Errors
/// Fails if the database fails.
pub async fn find_optional(executor: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Family>> {
    let found: Option<Row> = sqlx::query_as(
        "select f.id, f.name, f.version, coalesce((
             select jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name) order by p.name, p.id)
             from family_member m join patient p on p.id = m.patient_id where m.family_id = f.id), '[]')
         from family f where f.id = $1",
    )
    .bind(id)
    .fetch_optional(executor)
    .await?;
    Ok(found.map(family))
}

/// Returns a family.
///
/// # Errors
/// 404 if there is no such family.
pub async fn find(executor: impl PgExecutor<'_>, id: Uuid) -> Result<Family> {
    find_optional(executor, id).await?.ok_or_else(not_found)
}

/// Lists families by name: at most `rows`, starting behind the cursor.
///
/// # Errors
/// Fails if the database fails.
pub async fn list(executor: impl PgExecutor<'_>, after: Option<&SortCursor>, rows: i64) -> sqlx::Result<Vec<Family>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select f.id, f.name, f.version, coalesce((
             select jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name) order by p.name, p.id)
             from family_member m join patient p on p.id = m.patient_id where m.family_id = f.id), '[]')
         from family f where $1::text is null or (f.name, f.id) > ($1, $2)
         order by f.name, f.id limit $3",
    )
    .bind(after.map(|cursor| &cursor.key))
    .bind(after.map(|cursor| cursor.id))
    .bind(rows)
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(family).collect())
}

/// Returns the cursor behind a family.
pub fn cursor_behind(family: &Family) -> SortCursor {
    SortCursor::new(SORT, family.name.clone(), family.id)
}

/// Counts the families.
///
/// # Errors
/// Fails if the database fails.
pub async fn count(executor: impl PgExecutor<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from family")
        .fetch_one(executor)
        .await
}

/// Renames a family.
///
/// # Errors
/// 404, and 412 if a precondition does not hold.
pub async fn rename(
    transaction: &mut PgConnection,
    id: Uuid,
    name: &str,
    preconditions: &Preconditions,
) -> Result<Family> {
    preconditions.check_change(lock(transaction, id).await?)?;
    let update = "update family set name = $2, version = version + 1 where id = $1";
    sqlx::query(update)
        .bind(id)
        .bind(name)
        .execute(&mut *transaction)
        .await?;
    find(transaction, id).await
}

/// Deletes a family; its members stay patients.
///
/// # Errors
/// 404, and 412 if a precondition does not hold.
pub async fn delete(transaction: &mut PgConnection, id: Uuid, preconditions: &Preconditions) -> Result<()> {
    preconditions.check_change(lock(transaction, id).await?)?;
    idempotency::erase(transaction, id).await?;
    let delete = "delete from family where id = $1";
    sqlx::query(delete).bind(id).execute(transaction).await?;
    Ok(())
}

/// Adds a patient to a family; does nothing for a member.
///
/// # Errors
/// 404 if there is no such family or patient, 409 if the family is full.
pub async fn add_member(transaction: &mut PgConnection, family: Uuid, patient: Uuid) -> Result<()> {
    // The patient first, in the order in which a change of the patient takes the locks.
    let lock_patient = "select true from patient where id = $1 for key share";
    let exists: Option<bool> = sqlx::query_scalar(lock_patient)
        .bind(patient)
        .fetch_optional(&mut *transaction)
        .await?;
    lock(transaction, family).await?;
    if exists.is_none() {
        return Err(Problem::not_found("Patient not found"));
    }
    let members = "select count(*), coalesce(bool_or(patient_id = $2), false) from family_member where family_id = $1";
    let (members, is_member): (i64, bool) = sqlx::query_as(members)
        .bind(family)
        .bind(patient)
        .fetch_one(&mut *transaction)
        .await?;
    if is_member {
        return Ok(());
    }
    if members >= MAX_MEMBERS {
        return Err(Problem::conflict(format!(
            "A family has at most {MAX_MEMBERS} members; remove one, or create another family"
        )));
    }
    let insert = "insert into family_member (family_id, patient_id) values ($1, $2)";
    sqlx::query(insert)
        .bind(family)
        .bind(patient)
        .execute(&mut *transaction)
        .await?;
    increase_version(transaction, family).await
}

/// Removes a patient from a family.
///
/// # Errors
/// 404 if the patient is not a member of the family.
pub async fn remove_member(transaction: &mut PgConnection, family: Uuid, patient: Uuid) -> Result<()> {
    let not_a_member = || Problem::not_found("The patient is not a member of this family");
    lock(transaction, family)
        .await
        .map_err(|problem| match problem.status().as_u16() {
            404 => not_a_member(),
            _ => problem,
        })?;
    let delete = "delete from family_member where family_id = $1 and patient_id = $2";
    let deleted = sqlx::query(delete)
        .bind(family)
        .bind(patient)
        .execute(&mut *transaction)
        .await?;
    if deleted.rows_affected() == 0 {
        return Err(not_a_member());
    }
    increase_version(transaction, family).await
}

/// Increases the version of a patient's families, in the transaction that renames the patient.
///
/// # Errors
/// Fails if the database fails.
pub async fn member_renamed(transaction: &mut PgConnection, patient: Uuid) -> sqlx::Result<()> {
    let families = lock_families(transaction, patient).await?;
    let update = "update family set version = version + 1 where id = any($1)";
    sqlx::query(update).bind(families).execute(transaction).await.map(drop)
}

/// Takes a patient out of its families, in the transaction of its deletion; deletes those that have no other member.
///
/// # Errors
/// Fails if the database fails.
pub async fn member_erased(transaction: &mut PgConnection, patient: Uuid) -> sqlx::Result<()> {
    let families = lock_families(transaction, patient).await?;
    sqlx::query("delete from family_member where patient_id = $1")
        .bind(patient)
        .execute(&mut *transaction)
        .await?;
    let delete = "delete from family f where id = any($1)
                  and not exists (select from family_member m where m.family_id = f.id) returning id";
    let deleted: Vec<Uuid> = sqlx::query_scalar(delete)
        .bind(&families)
        .fetch_all(&mut *transaction)
        .await?;
    for family in deleted {
        idempotency::erase(transaction, family).await?;
    }
    let update = "update family set version = version + 1 where id = any($1)";
    sqlx::query(update).bind(&families).execute(transaction).await.map(drop)
}

/// Locks the families of a patient in the order of their ids, so that two transactions do not wait for each other.
async fn lock_families(transaction: &mut PgConnection, patient: Uuid) -> sqlx::Result<Vec<Uuid>> {
    let lock = "select id from family where id in (select family_id from family_member where patient_id = $1)
                order by id for update";
    sqlx::query_scalar(lock).bind(patient).fetch_all(transaction).await
}

/// Locks a family and returns its version.
async fn lock(transaction: &mut PgConnection, id: Uuid) -> Result<i64> {
    let lock = "select version from family where id = $1 for update";
    let version = sqlx::query_scalar(lock).bind(id).fetch_optional(transaction).await?;
    version.ok_or_else(not_found)
}

async fn increase_version(transaction: &mut PgConnection, id: Uuid) -> Result<()> {
    let update = "update family set version = version + 1 where id = $1";
    sqlx::query(update).bind(id).execute(transaction).await?;
    Ok(())
}

fn family((id, name, version, Json(members)): Row) -> Family {
    Family {
        id,
        name,
        members,
        version,
    }
}

fn not_found() -> Problem {
    Problem::not_found("Family not found")
}
