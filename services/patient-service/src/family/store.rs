//! Families in the database.

use kit::{Problem, Result, database, pagination::SortCursor};
use sqlx::{PgExecutor, types::Json};
use uuid::Uuid;

use super::{Family, Member};

type Row = (Uuid, String, Json<Vec<Member>>);

/// Order of the list in its cursors; there is only one.
pub const SORT: &str = "name";

/// Inserts a family without members.
///
/// # Errors
/// Fails if the database fails.
pub async fn create(executor: impl PgExecutor<'_>, name: &str) -> Result<Family> {
    let family = Family {
        id: Uuid::new_v4(),
        name: name.to_owned(),
        members: Vec::new(),
    };
    let insert = "insert into family (id, name) values ($1, $2)";
    sqlx::query(insert).bind(family.id).bind(name).execute(executor).await?;
    Ok(family)
}

/// Returns a family.
///
/// # Errors
/// 404 if there is no such family.
pub async fn find(executor: impl PgExecutor<'_>, id: Uuid) -> Result<Family> {
    let found: Option<Row> = sqlx::query_as(
        "select f.id, f.name, coalesce((
             select jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name) order by p.name, p.id)
             from family_member m join patient p on p.id = m.patient_id where m.family_id = f.id), '[]')
         from family f where f.id = $1",
    )
    .bind(id)
    .fetch_optional(executor)
    .await?;
    found.map(family).ok_or_else(not_found)
}

/// Lists families by name: at most `rows`, starting behind the cursor.
///
/// # Errors
/// Fails if the database fails.
pub async fn list(executor: impl PgExecutor<'_>, after: Option<&SortCursor>, rows: i64) -> sqlx::Result<Vec<Family>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select f.id, f.name, coalesce((
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

/// Adds a patient to a family; does nothing for a member.
///
/// # Errors
/// 404 if there is no such family or patient.
pub async fn add_member(executor: impl PgExecutor<'_>, family: Uuid, patient: Uuid) -> Result<()> {
    let insert = "insert into family_member (family_id, patient_id) values ($1, $2) on conflict do nothing";
    match sqlx::query(insert).bind(family).bind(patient).execute(executor).await {
        Ok(_) => Ok(()),
        Err(error) => Err(match database::violated_constraint(&error) {
            Some("family_member_family") => not_found(),
            Some("family_member_patient") => Problem::not_found("Patient not found"),
            _ => error.into(),
        }),
    }
}

/// Removes a patient from a family.
///
/// # Errors
/// 404 if the patient is not a member of the family.
pub async fn remove_member(executor: impl PgExecutor<'_>, family: Uuid, patient: Uuid) -> Result<()> {
    let delete = "delete from family_member where family_id = $1 and patient_id = $2";
    let done = sqlx::query(delete).bind(family).bind(patient).execute(executor).await?;
    if done.rows_affected() == 0 {
        return Err(Problem::not_found("The patient is not a member of this family"));
    }
    Ok(())
}

fn family((id, name, Json(members)): Row) -> Family {
    Family { id, name, members }
}

fn not_found() -> Problem {
    Problem::not_found("Family not found")
}
