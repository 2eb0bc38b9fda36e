//! `/patients`.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kit::{Admin, Caller, Json, Path, Prefix, Problem, Query, Result};
use serde::Deserialize;
use sqlx::{PgConnection, PgPool};
use time::Date;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{
    Patient,
    input::{PatientBody, ValidPatient},
    list::{self, Wanted},
    search::Search,
    sort::Sort,
    store,
    version::{IfMatch, etag},
};
use crate::{billing::Billing, calendar::Calendar, idempotency::Key, page};

/// What a list can be asked.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Text that the name, email or address holds, whatever its capitals; at most 100 characters, one of them a letter or
    /// a digit. Fewer than three characters find the beginnings of words.
    #[param(max_length = 100, example = "ada")]
    search: Option<String>,
    /// The order; `name` when not given.
    #[param(value_type = Option<Sort>)]
    sort: Option<String>,
    /// Patients of one page, 1 to 100; 20 by default.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 100, example = 20)]
    limit: Option<String>,
    /// Where the page starts, from the Link header of the page before.
    cursor: Option<String>,
}

/// List patients, page by page.
#[utoipa::path(get, path = "/patients", operation_id = "listPatients", tag = "Patients", security(("bearer" = [])),
    params(ListQuery),
    responses(
        (status = 200, description = "A page of patients", body = Vec<Patient>, headers(("X-Total-Count"), ("X-Total-Count-Relation"), ("Link"))),
))]
pub async fn list(
    State(pool): State<PgPool>,
    _: Caller,
    prefix: Prefix,
    Query(query): Query<ListQuery>,
) -> Result<Response> {
    let sort = Sort::parse(query.sort.as_deref())?;
    let limit = page::limit(query.limit.as_deref())?;
    let after = query.cursor.as_deref().map(|cursor| sort.cursor(cursor)).transpose()?;
    let search = Search::parse(query.search.as_deref())?;
    let wanted = Wanted {
        search: search.as_ref(),
        sort,
        limit,
        after: after.as_ref(),
    };
    let page = list::page(&pool, wanted).await?;
    let mut parameters = vec![("sort", sort.as_str().to_owned()), ("limit", limit.to_string())];
    parameters.extend(search.map(|search| ("search", search.text().to_owned())));
    let headers = page::headers(page.total, page.next.as_ref(), &prefix, "/patients", &parameters);
    Ok((headers, Json(page.patients)).into_response())
}

/// Create a patient.
#[utoipa::path(post, path = "/patients", operation_id = "createPatient", tag = "Patients", security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = PatientBody,
    responses(
        (status = 201, description = "Created; Location names it", body = Patient, headers(("Location"), ("ETag"))),
        (status = 409, description = "The email address is taken, or the same key is still running", body = Problem),
        (status = 422, description = "The key was used with another body", body = Problem),
))]
pub async fn create(
    State(pool): State<PgPool>,
    State(billing): State<Arc<Billing>>,
    State(calendar): State<Calendar>,
    Caller(caller): Caller,
    prefix: Prefix,
    headers: HeaderMap,
    Json(body): Json<PatientBody>,
) -> Result<Response> {
    let today = calendar.today(&pool).await?;
    let new = body.validate(today)?;
    let key = Key::read(&headers, caller.sub, "POST /patients", &new)?;
    let mut transaction = pool.begin().await?;
    let made = make(&mut transaction, &new, today, key.as_ref()).await;
    if !matches!(made, Ok(Made::New(_))) {
        // Awaited, so that the claim on the key is gone before the client can try again.
        transaction.rollback().await?;
    } else {
        transaction.commit().await?;
    }
    let patient = match made? {
        Made::Before(patient) => patient,
        Made::New(mut patient) => {
            metrics::counter!("patients_created_total").increment(1);
            if let Some(state) = billing.open_now(&pool, &patient).await {
                patient.billing = state;
            }
            patient
        }
    };
    Ok(created(&prefix, patient))
}

/// A creation, or the answer of the same one before.
enum Made {
    New(Patient),
    Before(Patient),
}

async fn make(transaction: &mut PgConnection, new: &ValidPatient, today: Date, key: Option<&Key>) -> Result<Made> {
    if let Some(key) = key
        && let Some(mut first) = key.claim::<Patient>(transaction).await?
    {
        // The answer is the first one; only what billing did since is told as it is.
        if let Ok(now) = store::find(transaction, first.id).await {
            first.billing = now.billing;
        }
        return Ok(Made::Before(first));
    }
    let patient = store::create(transaction, new, today).await?;
    if let Some(key) = key {
        key.keep(transaction, &patient).await?;
    }
    Ok(Made::New(patient))
}

/// Read a patient.
#[utoipa::path(get, path = "/patients/{id}", operation_id = "readPatient", tag = "Patients", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The patient's id")),
    responses(
    (status = 200, description = "The patient; the ETag is its version", body = Patient, headers(("ETag"))),
    (status = 404, description = "Patient not found", body = Problem),
))]
pub async fn read(State(pool): State<PgPool>, _: Caller, Path(id): Path<Uuid>) -> Result<Response> {
    Ok(shown(store::find(&pool, id).await?))
}

/// Replace what is known of a patient.
#[utoipa::path(put, path = "/patients/{id}", operation_id = "updatePatient", tag = "Patients", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The patient's id"), ("If-Match" = Option<String>, Header)),
    request_body = PatientBody,
    responses(
        (status = 200, description = "The patient after the change", body = Patient, headers(("ETag"))),
        (status = 404, description = "Patient not found", body = Problem),
        (status = 409, description = "The email address is taken", body = Problem),
        (status = 412, description = "The patient has changed since", body = Problem),
))]
pub async fn update(
    State(pool): State<PgPool>,
    State(calendar): State<Calendar>,
    _: Caller,
    Path(id): Path<Uuid>,
    expected: IfMatch,
    Json(body): Json<PatientBody>,
) -> Result<Response> {
    let new = body.validate(calendar.today(&pool).await?)?;
    let mut transaction = pool.begin().await?;
    let patient = store::update(&mut transaction, id, &new, &expected).await?;
    transaction.commit().await?;
    Ok(shown(patient))
}

/// Delete a patient and close its billing account.
#[utoipa::path(delete, path = "/patients/{id}", operation_id = "deletePatient", tag = "Patients",
    security(("bearer" = ["ADMIN"])),
    params(("id" = Uuid, Path, description = "The patient's id"), ("If-Match" = Option<String>, Header)),
    responses(
        (status = 204, description = "Gone"),
        (status = 404, description = "Patient not found", body = Problem),
        (status = 412, description = "The patient has changed since", body = Problem),
))]
pub async fn delete(
    State(pool): State<PgPool>,
    State(billing): State<Arc<Billing>>,
    _: Admin,
    Path(id): Path<Uuid>,
    expected: IfMatch,
) -> Result<StatusCode> {
    let mut transaction = pool.begin().await?;
    store::delete(&mut transaction, id, &expected).await?;
    transaction.commit().await?;
    billing.close_now(&pool, id).await;
    Ok(StatusCode::NO_CONTENT)
}

fn shown(patient: Patient) -> Response {
    ([(header::ETAG, etag(patient.version))], Json(patient)).into_response()
}

fn created(prefix: &Prefix, patient: Patient) -> Response {
    let mut response = (StatusCode::CREATED, shown(patient.clone())).into_response();
    if let Ok(location) = HeaderValue::from_str(&prefix.join(&format!("/patients/{}", patient.id))) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
