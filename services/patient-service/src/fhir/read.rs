//! `GET /fhir/Patient/{id}`: one patient, with its version as the ETag.

use axum::{extract::State, response::Response};
use http::{HeaderValue, StatusCode, header};
use kit::database::Pool;
use kit::fhir::MEDIA_TYPE;
use kit::{Caller, Path, Problem, Result};
use sqlx::QueryBuilder;
use time::{OffsetDateTime, UtcOffset, macros::format_description};
use uuid::Uuid;

use super::resource::{JOIN, Row, SELECT};
use crate::precondition::Preconditions;

/// Reads a patient.
///
/// # Errors
/// 404 if there is no such patient, 412 if the version is none of If-Match.
pub(super) async fn read(
    State(pool): State<Pool>,
    _: Caller,
    Path(id): Path<String>,
    preconditions: Preconditions,
) -> Result<Response> {
    let row = find(&pool, &id)
        .await?
        .ok_or_else(|| Problem::not_found("Patient not found"))?;
    let mut response = preconditions.read(row.version, row.resource())?;
    let is_shown = response.status() == StatusCode::OK;
    let headers = response.headers_mut();
    // A weak ETag, as FHIR's version-aware interactions have it.
    if let Ok(etag) = HeaderValue::try_from(format!("W/\"{}\"", row.version)) {
        headers.insert(header::ETAG, etag);
    }
    if let Some(at) = row.changed_at.and_then(last_modified) {
        headers.insert(header::LAST_MODIFIED, at);
    }
    if is_shown {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    }
    Ok(response)
}

/// Returns a patient; `None` if there is none with this id, which is a text like any other in FHIR.
async fn find(pool: &Pool, id: &str) -> sqlx::Result<Option<Row>> {
    let parsed = Uuid::parse_str(id).ok().filter(|parsed| parsed.to_string() == id);
    let Some(id) = parsed else { return Ok(None) };
    let mut query = QueryBuilder::new(SELECT);
    query.push("patient p").push(JOIN).push(" where p.id = ").push_bind(id);
    query.build_query_as().fetch_optional(pool).await
}

/// Returns a time as an HTTP date (RFC 9110, 5.6.7).
fn last_modified(at: OffsetDateTime) -> Option<HeaderValue> {
    let format =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    let text = at.to_offset(UtcOffset::UTC).format(format).ok()?;
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_http_date_is_in_gmt() {
        let at = last_modified(datetime!(1994-11-06 09:49:37.5 +1)).expect("a header");
        assert_eq!(at, "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
