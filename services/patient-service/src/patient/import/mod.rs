//! `POST /patients/import`: many patients, from a stream of rows.
//!
//! Rows are created in transactions of a hundred, each with its events, intents, idempotency keys and audit record. A row has the
//! key of the request and its line, so a request that was cut is sent again: rows that are there already are not created twice.

mod decoder;

use axum::{body::Body, extract::State};
use futures::StreamExt;
use http::{HeaderMap, StatusCode, header};
use kit::audit::{self, Trail};
use kit::{Admin, Claims, Json, Problem, Result};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use utoipa::ToSchema;

use super::{Patient, change, input::ValidPatient, store};
use crate::{calendar::Today, idempotency::IdempotencyKey, state::AppState};
use decoder::{Decoder, Format, Row};

/// Rows of a transaction.
const BATCH: usize = 100;
/// Maximum number of rows of a request.
const MAX_ROWS: u64 = 1000;
const ROUTE: &str = "POST /patients/import";

/// Result of an import.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Report {
    /// Rows of the request, without the header and empty lines.
    rows: u64,
    /// Patients that were created.
    created: u64,
    /// Rows that an earlier request with this Idempotency-Key created.
    repeated: u64,
    /// Rows that were not created, one entry for each invalid field; no values.
    rejected: Vec<Rejection>,
}

/// Reason why a row was not created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Rejection {
    /// Line of the request's body, from 1.
    #[schema(minimum = 1)]
    line: u64,
    /// MALFORMED (no row of this format), INVALID (a field), CONFLICT (another patient has the email address), CHANGED (the line was
    /// created with other values) or DELETED (the patient that the line created was deleted).
    #[schema(example = "INVALID")]
    code: &'static str,
    /// The field, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, example = "email")]
    field: Option<String>,
}

/// Import patients, one on each line
///
/// NDJSON, or CSV with a header; each row is validated as the body of a creation. At most 1000 rows and 1 MiB: send a large file in
/// parts, each with its own Idempotency-Key. If the connection breaks, or the response is 503, send the same part again with the same
/// key within 24 hours: it continues behind the last row that was created. Billing accounts are opened afterwards.
#[utoipa::path(post, path = "/patients/import", operation_id = "importPatients", tag = "Patients",
    security(("bearer" = ["ADMIN"])),
    params(("Idempotency-Key" = String, Header)),
    request_body(content(
        (String = "application/x-ndjson", example = "{\"name\":\"Ada Lovelace\",\"email\":\"ada@example.org\",\"address\":\"12 St James's Square, London\",\"dateOfBirth\":\"1990-12-10\"}\n"),
        (String = "text/csv", example = "name,email,address,dateOfBirth\r\nAda Lovelace,ada@example.org,\"12 St James's Square, London\",1990-12-10\r\n"),
    )),
    responses(
        (status = 200, description = "All rows were read", body = Report),
        (status = 400, description = "The Idempotency-Key is missing, a line is too long, CSV has no column `name`, or the body ended early", body = Problem),
        (status = 409, description = "A request with this Idempotency-Key is still running", body = Problem),
        (status = 413, description = "More than 1000 rows; these are imported", body = Problem),
        (status = 415, description = "Send application/x-ndjson or text/csv, without a Content-Encoding", body = Problem),
))]
pub async fn import(
    State(AppState { pool, calendar, .. }): State<AppState>,
    Admin(caller): Admin,
    trail: Trail,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Report>> {
    let mut decoder = Decoder::new(format(&headers)?);
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let key = key.ok_or_else(|| Problem::bad_request("An import needs an Idempotency-Key, which is its id"))?;
    // Fails for a key of the wrong form.
    IdempotencyKey::new(key, caller.sub, ROUTE, &())?;
    trail.shown([]);
    let mut import = Import {
        caller,
        trail,
        key: key.to_owned(),
        today: calendar.today(&pool).await?,
        report: Report::default(),
    };
    let (mut rows, mut body) = (Vec::with_capacity(BATCH), body.into_data_stream());
    loop {
        let chunk = body.next().await.transpose();
        let chunk = chunk.map_err(|_| Problem::bad_request("The request body ended early"))?;
        let is_end = chunk.is_none();
        decoder.push(&chunk.unwrap_or_default());
        while let Some(row) = decoder.next(is_end)? {
            rows.push(row);
            let is_full = rows.len() == BATCH;
            if import.report.rows + rows.len() as u64 > MAX_ROWS {
                rows.pop();
                import.create(&pool, &mut rows).await?;
                return Err(Problem::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format!(
                        "A request has at most {MAX_ROWS} rows, which are imported; send the others with another Idempotency-Key"
                    ),
                ));
            }
            if is_full {
                import.create(&pool, &mut rows).await?;
            }
        }
        if is_end {
            import.create(&pool, &mut rows).await?;
            return Ok(Json(import.report));
        }
    }
}

fn format(headers: &HeaderMap) -> Result<Format> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let kind = text(header::CONTENT_TYPE)
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match kind.as_str() {
        _ if !matches!(text(header::CONTENT_ENCODING), "" | "identity") => {}
        "application/x-ndjson" | "application/jsonl" => return Ok(Format::Ndjson),
        "text/csv" => return Ok(Format::Csv),
        _ => {}
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "Send the rows as application/x-ndjson or text/csv, in UTF-8 and without a Content-Encoding",
    ))
}

/// An import in progress.
struct Import {
    caller: Claims,
    trail: Trail,
    key: String,
    today: Today,
    report: Report,
}

/// Result of one row.
enum Creation {
    Created(Patient),
    Repeated,
    Rejected(Rejection),
}

impl Import {
    /// Creates the rows in one transaction, with one audit record, and empties the list.
    async fn create(&mut self, pool: &kit::database::Pool, rows: &mut Vec<Row>) -> Result<()> {
        let mut report = Report {
            rows: rows.len() as u64,
            ..Report::default()
        };
        let mut created: Vec<Patient> = Vec::new();
        let mut transaction = pool.begin().await?;
        for Row { line, body } in rows.drain(..) {
            let rejection = |code, field| Rejection { line, code, field };
            let valid = match body.map(|body| body.validate(self.today)) {
                Some(Ok(valid)) => valid,
                Some(Err(problem)) => {
                    let fields = problem.errors().keys().cloned();
                    report
                        .rejected
                        .extend(fields.map(|field| rejection("INVALID", Some(field))));
                    continue;
                }
                None => {
                    report.rejected.push(rejection("MALFORMED", None));
                    continue;
                }
            };
            match self.create_row(&mut transaction, line, &valid).await? {
                Creation::Created(patient) => created.push(patient),
                Creation::Repeated => report.repeated += 1,
                Creation::Rejected(rejected) => report.rejected.push(rejected),
            }
        }
        if let Some(first) = created.first() {
            self.trail.shown(created.iter().map(|patient| patient.id));
            self.trail.changed(change::changed_fields(None, first));
            let record = self.trail.further_record(StatusCode::OK);
            audit::enqueue(&mut transaction, record).await?;
        }
        transaction.commit().await?;
        report.created = created.len() as u64;
        metrics::counter!("patients_created_total").increment(report.created);
        self.report.rows += report.rows;
        self.report.created += report.created;
        self.report.repeated += report.repeated;
        self.report.rejected.append(&mut report.rejected);
        Ok(())
    }

    async fn create_row(&self, transaction: &mut PgConnection, line: u64, new: &ValidPatient) -> Result<Creation> {
        let rejected = |code, field: Option<&str>| {
            let field = field.map(str::to_owned);
            Ok(Creation::Rejected(Rejection { line, code, field }))
        };
        let key = IdempotencyKey::of_line(&self.key, line, self.caller.sub, ROUTE, new)?;
        match key.claim(transaction).await {
            Ok(None) => {}
            Ok(Some(id)) => {
                return match store::find_optional(transaction, id).await? {
                    Some(_) => Ok(Creation::Repeated),
                    None => rejected("DELETED", None),
                };
            }
            Err(problem) if problem.status() == StatusCode::UNPROCESSABLE_ENTITY => return rejected("CHANGED", None),
            Err(problem) => return Err(problem),
        }
        // A savepoint: a row that the database rejects must not undo the others.
        let mut savepoint = transaction.begin().await?;
        match store::create(&mut savepoint, new, self.today, Some(&self.caller)).await {
            Ok(patient) => {
                key.store(&mut savepoint, patient.id).await?;
                savepoint.commit().await?;
                Ok(Creation::Created(patient))
            }
            Err(problem) if problem.status() == StatusCode::CONFLICT => {
                savepoint.rollback().await?;
                rejected("CONFLICT", Some("email"))
            }
            Err(problem) => Err(problem),
        }
    }
}
