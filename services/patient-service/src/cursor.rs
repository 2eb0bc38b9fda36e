//! The keys that seal the cursors of lists by name; see the table `cursor_key`.

use kit::database::Pool;
use kit::pagination::{CursorKey, SealedCursor, SortCursor};
use kit::{Page, Pagination, Problem, Result};
use sqlx::PgExecutor;

/// Opens the cursor of a request for the list with this name.
///
/// # Errors
/// 400 if it was not made for this list, or its key is deleted.
pub async fn open(pool: &Pool, list: &str, cursor: Option<&SealedCursor>) -> Result<Option<SortCursor>> {
    let Some(cursor) = cursor else { return Ok(None) };
    let key: Option<Vec<u8>> = sqlx::query_scalar("select key from cursor_key where id = $1")
        .bind(cursor.key_id())
        .fetch_optional(pool)
        .await?;
    let key = key.ok_or_else(|| {
        Problem::field(
            "cursor",
            "Cursor is malformed or older than a day; start at the first page",
        )
    })?;
    CursorKey::new(cursor.key_id(), &key)?.open(list, cursor).map(Some)
}

/// Makes a page whose Link contains the sealed position behind its last row.
///
/// # Errors
/// Fails if the database fails.
pub async fn page<T>(
    pool: &Pool,
    list: &str,
    pagination: &Pagination<SealedCursor>,
    rows: Vec<T>,
    position: impl FnOnce(&T) -> SortCursor,
) -> Result<Page<T>> {
    let has_next = i64::try_from(rows.len()).is_ok_and(|rows| rows > pagination.limit);
    let key = if has_next { Some(current(pool).await?) } else { None };
    pagination.try_page(rows, |last| match &key {
        Some(key) => key.seal(list, &position(last)),
        None => Err(Problem::internal("a page without a next one needs no cursor")),
    })
}

/// Returns the key of the day, which the first page of the day makes.
///
/// # Errors
/// Fails if the database fails.
pub async fn current(pool: &Pool) -> Result<CursorKey> {
    if let Some(key) = find_current(pool).await? {
        return Ok(key);
    }
    sqlx::query("insert into cursor_key default values on conflict (id) do nothing")
        .execute(pool)
        .await?;
    let key = find_current(pool).await?;
    key.ok_or_else(|| Problem::unavailable("The key of cursors is not available; try again in a moment"))
}

async fn find_current(db: impl PgExecutor<'_>) -> Result<Option<CursorKey>> {
    let select = "select id, key from cursor_key where id = cursor_day()";
    let found: Option<(i32, Vec<u8>)> = sqlx::query_as(select).fetch_optional(db).await?;
    found.map(|(id, key)| CursorKey::new(id, &key)).transpose()
}

/// Deletes the keys of days before yesterday, so that nobody can read their cursors.
///
/// # Errors
/// Fails if the database fails.
pub async fn delete_expired(pool: &Pool) -> sqlx::Result<()> {
    let delete = "delete from cursor_key where id < cursor_day() - 1";
    sqlx::query(delete).execute(pool).await.map(drop)
}
