//! Pages of patients: from an index in the wanted order, whatever is searched for.
//!
//! A search has two ways, and the planner's guess at how often a pattern matches is too rough to choose between them at a
//! million rows. So it is tried: when a page is filled within the next rows of the order (a frequent search), that is
//! the answer; otherwise the matches are few, and the trigram index gives all of them.

use kit::Result;
use sqlx::{PgConnection, PgPool, Postgres, QueryBuilder};

use super::{Patient, search::Search, sort::Sort, store::SELECT};
use crate::page::{Cursor, Total};

/// Rows of the order that are tried for each row of the page: a search that matches one patient in so many is frequent.
const TRIED: i64 = 100;
/// Matches of a search are counted up to this.
const COUNTED: i64 = 1000;

/// A page of patients, how many there are in all, and where the next page starts.
pub struct Page {
    pub patients: Vec<Patient>,
    pub total: Total,
    pub next: Option<Cursor>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub search: Option<&'a Search>,
    pub sort: Sort,
    pub limit: i64,
    pub after: Option<&'a Cursor>,
}

/// Reads a page.
///
/// # Errors
/// When the database fails.
pub async fn page(pool: &PgPool, wanted: Wanted<'_>) -> Result<Page> {
    // One row more tells whether there is another page.
    let most = wanted.limit + 1;
    let (mut patients, total) = match wanted.search {
        None => {
            let patients = in_order(wanted).build_query_as().fetch_all(pool).await?;
            let total = sqlx::query_scalar("select coalesce(sum(patients), 0)::bigint from patient_count")
                .fetch_one(pool)
                .await?;
            (patients, Total::Exactly(total))
        }
        Some(search) => found(pool, wanted, search).await?,
    };
    let more = patients.len() as i64 == most;
    patients.truncate(wanted.limit as usize);
    let next = patients
        .last()
        .filter(|_| more)
        .map(|last: &Patient| wanted.sort.behind(last));
    Ok(Page { patients, total, next })
}

async fn found(pool: &PgPool, wanted: Wanted<'_>, search: &Search) -> Result<(Vec<Patient>, Total)> {
    let mut transaction = pool.begin().await?;
    // Statements that are not kept: a plan for any pattern, or made with a way taken away, would be used for all.
    let tried: Vec<Patient> = in_order(wanted)
        .build_query_as()
        .persistent(false)
        .fetch_all(&mut *transaction)
        .await?;
    let frequent = tried.len() as i64 > wanted.limit;
    let patients = if frequent {
        // Frequent enough that the count is reached within few rows, in whatever order they lie.
        plan(&mut transaction, "enable_bitmapscan").await?;
        tried
    } else {
        plan(&mut transaction, "enable_seqscan").await?;
        plan(&mut transaction, "enable_indexscan").await?;
        by_index(wanted, search)
            .build_query_as()
            .persistent(false)
            .fetch_all(&mut *transaction)
            .await?
    };
    let counted: i64 = sqlx::query_scalar(
        "select count(*) from (select 1 from patient where search_text like lower($1) limit $2) matching",
    )
    .bind(search.pattern())
    .bind(COUNTED + 1)
    .persistent(false)
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    let total = if counted > COUNTED {
        Total::AtLeast(COUNTED)
    } else {
        Total::Exactly(counted)
    };
    Ok((patients, total))
}

/// Takes a way away from the planner for the rest of the transaction.
async fn plan(transaction: &mut PgConnection, setting: &'static str) -> sqlx::Result<()> {
    sqlx::query("select set_config($1, 'off', true)")
        .bind(setting)
        .execute(transaction)
        .await
        .map(drop)
}

/// The rows behind the cursor in their order; with a search, those that match among the next ones.
fn in_order(wanted: Wanted<'_>) -> QueryBuilder<Postgres> {
    let (column, _) = wanted.sort.column();
    let (_, direction) = wanted.sort.direction();
    let mut query = QueryBuilder::new(SELECT);
    query.push(" join (select id, name, date_of_birth, registered_date, search_text from patient");
    behind(&mut query, wanted, " where ");
    let rows = if wanted.search.is_some() {
        TRIED * wanted.limit
    } else {
        wanted.limit + 1
    };
    query.push(format_args!(" order by {column} {direction}, id {direction} limit "));
    query.push_bind(rows).push(") next on next.id = p.id");
    if let Some(search) = wanted.search {
        query
            .push(" where next.search_text like lower(")
            .push_bind(search.pattern().to_owned())
            .push(")");
    }
    query.push(format_args!(
        " order by next.{column} {direction}, next.id {direction} limit "
    ));
    query.push_bind(wanted.limit + 1);
    query
}

/// The rows behind the cursor that match, found by what they hold and then put in order.
fn by_index(wanted: Wanted<'_>, search: &Search) -> QueryBuilder<Postgres> {
    let (column, _) = wanted.sort.column();
    let (_, direction) = wanted.sort.direction();
    let mut query = QueryBuilder::new(SELECT);
    query
        .push(" join (select id, ")
        .push(column)
        .push(" from patient where search_text like lower(");
    query.push_bind(search.pattern().to_owned()).push(")");
    behind(&mut query, wanted, " and ");
    query.push(format_args!(" order by {column} {direction}, id {direction} limit "));
    query.push_bind(wanted.limit + 1).push(") found on found.id = p.id");
    query.push(format_args!(
        " order by found.{column} {direction}, found.id {direction}"
    ));
    query
}

fn behind(query: &mut QueryBuilder<Postgres>, wanted: Wanted<'_>, word: &str) {
    let Some(cursor) = wanted.after else { return };
    let ((column, kind), (compares, _)) = (wanted.sort.column(), wanted.sort.direction());
    query.push(word).push(format_args!("({column}, id) {compares} ("));
    query
        .push_bind(cursor.key.clone())
        .push(format_args!("::text::{kind}, "));
    query.push_bind(cursor.id).push(")");
}
