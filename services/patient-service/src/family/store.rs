//! Families in the database.

use kit::{Problem, Result, database};
use sqlx::{PgExecutor, PgPool, types::Json};
use uuid::Uuid;

use super::{Family, Member};
use crate::page::Cursor;

type Row = (Uuid, String, Json<Vec<Member>>);

/// The cursor's order; families have just one.
pub const SORT: &str = "name";

/// Keeps a new family without members.
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

/// Looks a family up.
///
/// # Errors
/// 404 when there is none.
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
    found.map(family).ok_or_else(missing)
}

/// Reads a page of families by name, how many there are, and where the next page starts.
pub async fn page(pool: &PgPool, limit: i64, after: Option<&Cursor>) -> Result<(Vec<Family>, i64, Option<Cursor>)> {
    let total = sqlx::query_scalar("select count(*) from family")
        .fetch_one(pool)
        .await?;
    let rows: Vec<Row> = sqlx::query_as(
        "select f.id, f.name, coalesce((
             select jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name) order by p.name, p.id)
             from family_member m join patient p on p.id = m.patient_id where m.family_id = f.id), '[]')
         from family f where $1::text is null or (f.name, f.id) > ($1, $2)
         order by f.name, f.id limit $3",
    )
    .bind(after.map(|cursor| &cursor.key))
    .bind(after.map(|cursor| cursor.id))
    .bind(limit + 1)
    .fetch_all(pool)
    .await?;
    let more = rows.len() as i64 > limit;
    let families: Vec<Family> = rows.into_iter().take(limit as usize).map(family).collect();
    let last = families.last().filter(|_| more);
    let next = last.map(|family| Cursor::new(SORT, family.name.clone(), family.id));
    Ok((families, total, next))
}

/// Makes a patient a member; one who is a member stays one.
///
/// # Errors
/// 404 when there is no such family or patient.
pub async fn add_member(executor: impl PgExecutor<'_>, family: Uuid, patient: Uuid) -> Result<()> {
    let insert = "insert into family_member (family_id, patient_id) values ($1, $2) on conflict do nothing";
    match sqlx::query(insert).bind(family).bind(patient).execute(executor).await {
        Ok(_) => Ok(()),
        Err(error) => Err(match database::violated_constraint(&error) {
            Some("family_member_family") => missing(),
            Some("family_member_patient") => Problem::not_found("Patient not found"),
            _ => error.into(),
        }),
    }
}

/// Ends a membership.
///
/// # Errors
/// 404 when the patient is no member of the family.
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

fn missing() -> Problem {
    Problem::not_found("Family not found")
}
