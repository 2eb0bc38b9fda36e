//! `GET /fhir/Patient` and `POST /fhir/Patient/_search`: the patients that match, page by page in the order of their ids.

use axum::extract::{RawQuery, State};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use kit::audit::Trail;
use kit::database::Pool;
use kit::fhir::{Base, Resource, Search, SearchSet};
use kit::pagination::{Cursor, SealedCursor, SortCursor};
use kit::{Caller, Problem, Result};
use sqlx::{AssertSqlSafe, Executor, Postgres, QueryBuilder};
use uuid::Uuid;

use super::{
    criteria::{Criterion, KNOWN},
    resource::{JOIN, Row, SELECT},
};
use crate::cursor;

/// Name of the list, to which its cursors are bound.
const LIST: &str = "fhir";
/// Rows in the order of ids that are tried for each row of the page; a search that matches one in this many is frequent.
const TRIED_ROWS: i64 = 100;
/// Maximum length of a search in a cursor, in bytes of JSON: a cursor is part of a URL.
const MAX_SEARCH_BYTES: usize = 1600;

/// Searches with the parameters of the query string, which access logs keep.
///
/// # Errors
/// 400 if a parameter is malformed.
pub(super) async fn by_query(
    State(pool): State<Pool>,
    _: Caller,
    trail: Trail,
    base: Base,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Resource> {
    let query = query.unwrap_or_default();
    search(&pool, &trail, &base, &Search::parse(&query, b"", &headers, KNOWN)?).await
}

/// Searches with the parameters of the body and the query string.
///
/// # Errors
/// 400 if a parameter is malformed, 415 if the body is no form.
pub(super) async fn by_form(
    State(pool): State<Pool>,
    _: Caller,
    trail: Trail,
    base: Base,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: std::result::Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Resource> {
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(),
        _ => Problem::bad_request("The request body ended early"),
    })?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Send the parameters as application/x-www-form-urlencoded",
        ));
    }
    let query = query.unwrap_or_default();
    search(&pool, &trail, &base, &Search::parse(&query, &body, &headers, KNOWN)?).await
}

async fn search(pool: &Pool, trail: &Trail, base: &Base, asked: &Search) -> Result<Resource> {
    let (effective, after) = match &asked.cursor {
        Some(_) if !asked.used().is_empty() => {
            return Err(Problem::bad_request(
                "The parameter cursor contains the whole search; send no other parameter with it",
            ));
        }
        Some(cursor) => {
            let (search, after) = open(pool, cursor).await?;
            (search, Some(after))
        }
        None => (asked.clone(), None),
    };
    let criteria: Vec<Criterion> = effective
        .parameters
        .iter()
        .map(Criterion::parse)
        .collect::<Result<_>>()?;
    let mut set = SearchSet {
        url: format!("{}/Patient", base.0),
        matches: Vec::new(),
        total: None,
        next: None,
    };
    trail.shown([]);
    if effective.count == 0 {
        set.total = Some(count(pool, &criteria).await?);
        return Ok(Resource(set.bundle(asked)));
    }
    let mut rows = read(pool, &criteria, after, effective.count + 1).await?;
    let limit = usize::try_from(effective.count).unwrap_or_default();
    let has_next = rows.len() > limit;
    rows.truncate(limit);
    if let Some(last) = rows.last().filter(|_| has_next) {
        let sealed = seal(pool, &effective, last.id).await?;
        set.next = Some(vec![("cursor".to_owned(), sealed)]);
    } else if after.is_none() {
        set.total = i64::try_from(rows.len()).ok();
    }
    trail.shown(rows.iter().map(|row| row.id));
    let url = |row: &Row| format!("{}/{}", set.url, row.id);
    set.matches = rows.iter().map(|row| (url(row), row.resource())).collect();
    Ok(Resource(set.bundle(asked)))
}

/// Returns the patients behind the id `after` that match, in the order of ids.
///
/// As in the list of patients, the next rows of the order are tried before the trigram index for a search of text.
async fn read(pool: &Pool, criteria: &[Criterion], after: Option<Uuid>, rows: i64) -> sqlx::Result<Vec<Row>> {
    if !criteria.iter().any(Criterion::is_text) {
        return select(criteria, after, rows, None)
            .build_query_as()
            .fetch_all(pool)
            .await;
    }
    let mut transaction = pool.begin().await?;
    // Statements that are not cached: a generic plan would be used for all patterns.
    let tried: Vec<Row> = select(criteria, after, rows, Some(TRIED_ROWS * rows))
        .build_query_as()
        .persistent(false)
        .fetch_all(&mut *transaction)
        .await?;
    if i64::try_from(tried.len()) == Ok(rows) {
        return Ok(tried);
    }
    let settings = "set local enable_seqscan = off; set local enable_indexscan = off";
    transaction.execute(AssertSqlSafe(settings.to_owned())).await?;
    let found = select(criteria, after, rows, None)
        .build_query_as()
        .persistent(false)
        .fetch_all(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(found)
}

/// Returns the query of at most `rows` matches, among the next `tried` patients if it is set.
fn select(criteria: &[Criterion], after: Option<Uuid>, rows: i64, tried: Option<i64>) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(SELECT);
    let after = after.unwrap_or_default();
    match tried {
        Some(tried) => {
            query.push("(select * from patient where id > ").push_bind(after);
            query.push(" order by id limit ").push_bind(tried).push(") p");
        }
        None => {
            query.push("patient p");
        }
    }
    query.push(JOIN).push(" where p.id > ").push_bind(after);
    for criterion in criteria {
        criterion.push(&mut query);
    }
    query.push(" order by p.id limit ").push_bind(rows);
    query
}

async fn count(pool: &Pool, criteria: &[Criterion]) -> sqlx::Result<i64> {
    let mut query = QueryBuilder::new("select count(*) from patient p where true");
    for criterion in criteria {
        criterion.push(&mut query);
    }
    query.build_query_scalar().persistent(false).fetch_one(pool).await
}

/// Returns the search and the id of the last patient as a cursor, which nobody reads without the key of the day.
async fn seal(pool: &Pool, search: &Search, last: Uuid) -> Result<String> {
    let used = serde_json::to_string(search.used()).map_err(Problem::internal)?;
    // The cursor is JSON too, in which each quotation mark of the text has a backslash.
    let escaped = serde_json::to_string(&used).map_err(Problem::internal)?;
    if escaped.len() > MAX_SEARCH_BYTES {
        return Err(Problem::bad_request(
            "The search is too long for pages; search for less text",
        ));
    }
    let key = cursor::current(pool).await?;
    Ok(key.seal(LIST, &SortCursor::new(LIST, used, last))?.encode())
}

async fn open(pool: &Pool, text: &str) -> Result<(Search, Uuid)> {
    let sealed = SealedCursor::decode(text).ok_or_else(kit::pagination::malformed_cursor)?;
    let opened = cursor::open(pool, LIST, Some(&sealed)).await?;
    let opened = opened.ok_or_else(kit::pagination::malformed_cursor)?;
    let used: Vec<(String, String)> = serde_json::from_str(&opened.key).map_err(Problem::internal)?;
    let pairs = used.into_iter().map(|(name, value)| (name.into(), value.into()));
    Ok((Search::from_pairs(pairs, KNOWN)?, opened.id))
}
