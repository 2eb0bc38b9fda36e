//! Lists of patients: read from an index in the requested order, with and without a search.
//!
//! A search has two plans, and the planner's estimate of how often a pattern matches is too inexact to choose between them
//! at a million rows. So the frequent case is tried first: if the next rows of the order fill a page, that page is the
//! result; otherwise the matches are rare, and the trigram index returns all of them.

use kit::database::Pool;
use kit::{
    Result,
    pagination::{SortCursor, Total},
};
use sqlx::{PgConnection, Postgres, QueryBuilder};

use super::{Patient, search::Search, sort::Sort, store::SELECT};

/// Rows of the order that are tried for each row of the page; a search that matches one in this many patients is frequent.
const TRIED_ROWS: i64 = 100;
/// Maximum number of matches that are counted.
const MAX_COUNTED: i64 = 1000;

/// Parameters of a list.
#[derive(Debug, Clone, Copy)]
pub struct ListParams<'a> {
    /// Filter; all patients without one.
    pub search: Option<&'a Search>,
    /// Order of the rows.
    pub sort: Sort,
    /// Rows of the page.
    pub limit: i64,
    /// Position behind which the page starts.
    pub after: Option<&'a SortCursor>,
}

impl ListParams<'_> {
    /// Returns the number of rows to read: one more than the page has, which shows if there is another page.
    fn rows(&self) -> i64 {
        self.limit + 1
    }
}

/// Returns the patients of a page, one more if there is another page, and the number of patients on all pages.
///
/// # Errors
/// Fails if the database fails.
pub async fn read(pool: &Pool, params: ListParams<'_>) -> Result<(Vec<Patient>, Total)> {
    if let Some(search) = params.search {
        return read_matches(pool, params, search).await;
    }
    let patients = in_order(params).build_query_as().fetch_all(pool).await?;
    let total = sqlx::query_scalar("select coalesce(sum(patients), 0)::bigint from patient_count")
        .fetch_one(pool)
        .await?;
    Ok((patients, Total::Exactly(total)))
}

async fn read_matches(pool: &Pool, params: ListParams<'_>, search: &Search) -> Result<(Vec<Patient>, Total)> {
    let mut transaction = pool.begin().await?;
    // Statements that are not cached: a generic plan, or one without some plan type, would be used for all patterns.
    let tried: Vec<Patient> = in_order(params)
        .build_query_as()
        .persistent(false)
        .fetch_all(&mut *transaction)
        .await?;
    let is_frequent = i64::try_from(tried.len()) == Ok(params.rows());
    let patients = if is_frequent {
        // A frequent search reaches the maximum count within few rows, in any order.
        disable_plan_type(&mut transaction, "enable_bitmapscan").await?;
        tried
    } else {
        disable_plan_type(&mut transaction, "enable_seqscan").await?;
        disable_plan_type(&mut transaction, "enable_indexscan").await?;
        by_index(params, search)
            .build_query_as()
            .persistent(false)
            .fetch_all(&mut *transaction)
            .await?
    };
    let counted: i64 = sqlx::query_scalar(
        "select count(*) from (select 1 from patient where search_text like search_pattern($1) limit $2) matching",
    )
    .bind(search.as_str())
    .bind(MAX_COUNTED + 1)
    .persistent(false)
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    let total = if counted > MAX_COUNTED {
        Total::AtLeast(MAX_COUNTED)
    } else {
        Total::Exactly(counted)
    };
    Ok((patients, total))
}

/// Disables a plan type of the planner for the rest of the transaction.
async fn disable_plan_type(transaction: &mut PgConnection, setting: &'static str) -> sqlx::Result<()> {
    sqlx::query("select set_config($1, 'off', true)")
        .bind(setting)
        .execute(transaction)
        .await
        .map(drop)
}

/// Returns the query of the rows behind the cursor in their order; with a search, of those that match among the next ones.
fn in_order(params: ListParams<'_>) -> QueryBuilder<Postgres> {
    let (column, _) = params.sort.column();
    let (_, direction) = params.sort.direction();
    let mut query = QueryBuilder::new(SELECT);
    query.push(" join (select id, name, date_of_birth, registered_date, search_text from patient");
    push_cursor(&mut query, params, " where ");
    let rows = if params.search.is_some() {
        TRIED_ROWS * params.limit
    } else {
        params.rows()
    };
    query.push(format_args!(" order by {column} {direction}, id {direction} limit "));
    query.push_bind(rows).push(") next on next.id = p.id");
    if let Some(search) = params.search {
        query
            .push(" where next.search_text like search_pattern(")
            .push_bind(search.as_str().to_owned())
            .push(")");
    }
    query.push(format_args!(
        " order by next.{column} {direction}, next.id {direction} limit "
    ));
    query.push_bind(params.rows());
    query
}

/// Returns the query of the rows behind the cursor that match, found in the trigram index and then sorted.
fn by_index(params: ListParams<'_>, search: &Search) -> QueryBuilder<Postgres> {
    let (column, _) = params.sort.column();
    let (_, direction) = params.sort.direction();
    let mut query = QueryBuilder::new(SELECT);
    query
        .push(" join (select id, ")
        .push(column)
        .push(" from patient where search_text like search_pattern(");
    query.push_bind(search.as_str().to_owned()).push(")");
    push_cursor(&mut query, params, " and ");
    query.push(format_args!(" order by {column} {direction}, id {direction} limit "));
    query.push_bind(params.rows()).push(") found on found.id = p.id");
    query.push(format_args!(
        " order by found.{column} {direction}, found.id {direction}"
    ));
    query
}

/// Adds the condition that a row is behind the cursor.
fn push_cursor(query: &mut QueryBuilder<Postgres>, params: ListParams<'_>, keyword: &str) {
    let Some(cursor) = params.after else { return };
    let ((column, cast), (operator, _)) = (params.sort.column(), params.sort.direction());
    query.push(keyword).push(format_args!("({column}, id) {operator} ("));
    query
        .push_bind(cursor.key.clone())
        .push(format_args!("::text::{cast}, "));
    query.push_bind(cursor.id).push(")");
}
