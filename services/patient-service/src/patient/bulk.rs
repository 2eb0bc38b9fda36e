//! `GET /patients/bulk`: all patients, streamed in chunks.
//!
//! A chunk is read, and recorded in the audit trail, when the client has taken the one before: memory and what is recorded follow
//! the client. Chunks are read by id and hold no connection of the database between each other.

use axum::{
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse, Response},
};
use futures::stream;
use http::{StatusCode, header};
use kit::audit::{Outbox, Sink, Trail};
use kit::database::{self, Pool};
use kit::{Admin, Problem, Query, Result};
use serde::Deserialize;
use sqlx::QueryBuilder;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Patient, store::SELECT};

/// Patients of a chunk.
const CHUNK: usize = 500;
/// The first line of CSV.
const CSV_HEADER: &str = "id,name,email,address,dateOfBirth,registeredDate,version\r\n";

/// Format of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Format {
    /// A JSON object on each line, as in the list.
    Ndjson,
    /// RFC 4180, with a header.
    Csv,
}

/// Query parameters of the export.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BulkQuery {
    /// The format; `ndjson` by default.
    #[param(value_type = Option<Format>)]
    format: Option<String>,
    /// Only patients behind this id, such as the last one that arrived before a connection broke.
    after: Option<Uuid>,
}

/// Export all patients, as a stream in the order of their ids
///
/// A response that is cut short ends without its last chunk (RFC 9112, 7.1); continue with `after`. Each patient is as it is at the time
/// of its chunk, and one that is created during the export may be missing. In CSV, a value that a spreadsheet would take for a formula
/// begins with an apostrophe.
#[utoipa::path(get, path = "/patients/bulk", operation_id = "exportPatients", tag = "Patients",
    security(("bearer" = ["ADMIN"])),
    params(BulkQuery),
    responses(
        (status = 200, description = "The patients", content((String = "application/x-ndjson"), (String = "text/csv"))),
))]
pub async fn read(
    State(pool): State<Pool>,
    _: Admin,
    trail: Trail,
    Query(query): Query<BulkQuery>,
) -> Result<Response> {
    let format = match query.format.as_deref() {
        None | Some("ndjson") => Format::Ndjson,
        Some("csv") => Format::Csv,
        Some(_) => return Err(Problem::field("format", "Format must be ndjson or csv")),
    };
    // The record of the first chunk is that of the request.
    let first = chunk(&pool, query.after).await?;
    trail.shown(first.iter().map(|patient| patient.id));
    let mut text = String::new();
    if format == Format::Csv {
        text.push_str(CSV_HEADER);
    }
    format.write(&mut text, &first)?;
    let export = Export {
        pool,
        trail,
        format,
        after: behind(&first),
        first: Some(text),
    };
    let (content_type, disposition) = match format {
        Format::Ndjson => ("application/x-ndjson", "attachment; filename=\"patients.ndjson\""),
        Format::Csv => (
            "text/csv; charset=utf-8; header=present",
            "attachment; filename=\"patients.csv\"",
        ),
    };
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, Body::from_stream(stream::try_unfold(export, next))).into_response())
}

/// The rest of an export.
struct Export {
    pool: Pool,
    trail: Trail,
    format: Format,
    /// The last patient so far; `None` if there are no further ones.
    after: Option<Uuid>,
    /// The first chunk, until it is sent.
    first: Option<String>,
}

/// Returns the next chunk; an error cuts the response, so that the client does not take it for complete.
async fn next(mut export: Export) -> std::result::Result<Option<(Bytes, Export)>, Interrupted> {
    if let Some(first) = export.first.take() {
        return Ok(Some((first.into(), export)));
    }
    let Some(after) = export.after else { return Ok(None) };
    let mut text = String::new();
    let patients = chunk(&export.pool, Some(after))
        .await
        .map_err(|error| interrupted(&error))?;
    export.format.write(&mut text, &patients).map_err(|_| Interrupted)?;
    if patients.is_empty() {
        return Ok(None);
    }
    export.trail.shown(patients.iter().map(|patient| patient.id));
    let record = export.trail.further_record(StatusCode::OK);
    let written = Outbox(export.pool.clone()).write(record).await;
    written.map_err(|error| interrupted(&error))?;
    export.after = behind(&patients);
    Ok(Some((text.into(), export)))
}

/// The end of a response before its time; the reason is logged.
#[derive(Debug, thiserror::Error)]
#[error("the export is interrupted")]
struct Interrupted;

fn interrupted(error: &sqlx::Error) -> Interrupted {
    database::record_error(error);
    tracing::error!(error = database::describe(error), "an export is cut short");
    Interrupted
}

/// Returns the patients behind an id, in the order of ids.
async fn chunk(pool: &Pool, after: Option<Uuid>) -> sqlx::Result<Vec<Patient>> {
    let mut query = QueryBuilder::new(SELECT);
    query.push(" where p.id > ").push_bind(after.unwrap_or_default());
    query.push(format_args!(" order by p.id limit {CHUNK}"));
    query.build_query_as().fetch_all(pool).await
}

/// Returns the last id of a chunk behind which there may be another one.
fn behind(patients: &[Patient]) -> Option<Uuid> {
    patients.last().filter(|_| patients.len() == CHUNK).map(|last| last.id)
}

impl Format {
    fn write(self, text: &mut String, patients: &[Patient]) -> Result<()> {
        for patient in patients {
            match self {
                Self::Ndjson => {
                    text.push_str(&serde_json::to_string(patient).map_err(Problem::internal)?);
                    text.push('\n');
                }
                Self::Csv => push_csv(text, patient),
            }
        }
        Ok(())
    }
}

fn push_csv(text: &mut String, patient: &Patient) {
    let cells = [
        patient.id.to_string(),
        cell(&patient.name),
        cell(&patient.email),
        cell(&patient.address),
        patient.date_of_birth.to_string(),
        patient.registered_date.to_string(),
        patient.version.to_string(),
    ];
    text.push_str(&cells.join(","));
    text.push_str("\r\n");
}

/// Returns a quoted cell (RFC 4180, 2.5 to 2.7) that no spreadsheet takes for a formula.
fn cell(value: &str) -> String {
    let apostrophe = if is_formula(value) { "'" } else { "" };
    format!("\"{apostrophe}{}\"", value.replace('"', "\"\""))
}

/// Returns true if a spreadsheet would take a cell for a formula.
pub(super) fn is_formula(value: &str) -> bool {
    value.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_and_no_formula() {
        for (value, expected) in [
            ("Ada", r#""Ada""#),
            ("1 Main St, \"The House\"", r#""1 Main St, ""The House""""#),
            ("=1+1", r#""'=1+1""#),
            ("+49", r#""'+49""#),
            ("-2", r#""'-2""#),
            ("@SUM(A1)", r#""'@SUM(A1)""#),
            ("a=b", r#""a=b""#),
        ] {
            assert_eq!(cell(value), expected);
        }
    }
}
