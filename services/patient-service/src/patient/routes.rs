//! The routes of `/patients`.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kit::audit::Trail;
use kit::database::Pool;
use kit::{
    Admin, Caller, Json, Path, Prefix, Problem, Query, Result,
    pagination::{Page, Pagination, SortCursor},
};
use serde::Deserialize;
use sqlx::PgConnection;
use time::Date;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{
    FIELDS, Patient,
    etag::{IfMatch, etag},
    input::{PatientBody, ValidPatient},
    list::{self, ListParams},
    search::Search,
    sort::Sort,
    store,
};
use crate::{
    audit,
    billing::{self, AccountHolder, BillingClient},
    calendar::Calendar,
    idempotency::IdempotencyKey,
};

/// Query parameters of the list, in addition to those of the pagination.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Text in the name, email or address, in upper or lower case; at most 100 characters, one of them alphanumeric. Fewer
    /// than three characters find the beginnings of words.
    #[param(max_length = 100, example = "ada")]
    search: Option<String>,
    /// The order; `name` by default.
    #[param(value_type = Option<Sort>)]
    sort: Option<String>,
}

/// List patients, page by page
#[utoipa::path(get, path = "/patients", operation_id = "listPatients", tag = "Patients", security(("bearer" = [])),
    params(ListQuery, Pagination),
    responses(
        (status = 200, description = "A page of patients", body = Vec<Patient>, headers(("X-Total-Count"), ("X-Total-Count-Relation"), ("Link"))),
))]
pub async fn list(
    State(pool): State<Pool>,
    _: Caller,
    trail: Trail,
    pagination: Pagination<SortCursor>,
    Query(query): Query<ListQuery>,
) -> Result<Page<Patient>> {
    let sort = Sort::parse(query.sort.as_deref())?;
    let search = Search::parse(query.search.as_deref())?;
    if let Some(cursor) = &pagination.cursor {
        sort.check_cursor(cursor)?;
    }
    let params = ListParams {
        search: search.as_ref(),
        sort,
        limit: pagination.limit,
        after: pagination.cursor.as_ref(),
    };
    let (patients, total) = list::read(&pool, params).await?;
    let page = pagination.page(patients, |last| sort.cursor_behind(last));
    trail.shown(page.rows().iter().map(|patient| patient.id));
    Ok(page.total(total))
}

/// Create a patient
#[utoipa::path(post, path = "/patients", operation_id = "createPatient", tag = "Patients", security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = PatientBody,
    responses(
        (status = 201, description = "Created; Location is its URL", body = Patient, headers(("Location"), ("ETag"))),
        (status = 409, description = "Email address already exists, or a request with this Idempotency-Key is still running", body = Problem),
        (status = 422, description = "This Idempotency-Key was used with another body", body = Problem),
))]
pub async fn create(
    State(pool): State<Pool>,
    State(billing): State<Arc<BillingClient>>,
    State(calendar): State<Calendar>,
    Caller(caller): Caller,
    trail: Trail,
    prefix: Prefix,
    headers: HeaderMap,
    Json(body): Json<PatientBody>,
) -> Result<Response> {
    let today = calendar.today(&pool).await?;
    let new = body.validate(today)?;
    let key = IdempotencyKey::from_headers(&headers, caller.sub, "POST /patients", &new)?;
    let mut transaction = pool.begin().await?;
    let creation = create_once(&mut transaction, &new, today, key.as_ref()).await;
    if let Ok(Creation::Created(patient)) = &creation {
        trail.patient(patient.id);
        trail.changed(FIELDS);
        audit::enqueue(&mut transaction, trail.record(StatusCode::CREATED)).await?;
        transaction.commit().await?;
    } else {
        // Awaited, so that the claim on the key is released before the client can retry.
        transaction.rollback().await?;
    }
    let patient = match creation? {
        Creation::Replayed(patient) => {
            trail.patient(patient.id);
            patient
        }
        Creation::Created(mut patient) => {
            metrics::counter!("patients_created_total").increment(1);
            let holder = AccountHolder {
                patient_id: patient.id,
                name: &patient.name,
                email: &patient.email,
            };
            if let Some(account) = billing::try_open(&billing, &pool, holder).await {
                patient.billing = account;
            }
            patient
        }
    };
    Ok(created(&prefix, patient))
}

/// Result of a creation with or without an Idempotency-Key.
enum Creation {
    /// The patient was created in this transaction.
    Created(Patient),
    /// The response to an earlier request with the same key.
    Replayed(Patient),
}

async fn create_once(
    transaction: &mut PgConnection,
    new: &ValidPatient,
    today: Date,
    key: Option<&IdempotencyKey>,
) -> Result<Creation> {
    if let Some(key) = key
        && let Some(mut first) = key.claim::<Patient>(transaction).await?
    {
        // The response is that of the first request, except for the account, which may have been opened since.
        if let Ok(current) = store::find(transaction, first.id).await {
            first.billing = current.billing;
        }
        return Ok(Creation::Replayed(first));
    }
    let patient = store::create(transaction, new, today).await?;
    if let Some(key) = key {
        key.store(transaction, &patient).await?;
    }
    Ok(Creation::Created(patient))
}

/// Read a patient
#[utoipa::path(get, path = "/patients/{id}", operation_id = "readPatient", tag = "Patients", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The patient's id")),
    responses(
    (status = 200, description = "The patient; the ETag is its version", body = Patient, headers(("ETag"))),
    (status = 404, description = "Patient not found", body = Problem),
))]
pub async fn read(State(pool): State<Pool>, _: Caller, Path(id): Path<Uuid>) -> Result<Response> {
    Ok(with_etag(store::find(&pool, id).await?))
}

/// Update a patient
///
/// The body replaces all fields.
#[utoipa::path(put, path = "/patients/{id}", operation_id = "updatePatient", tag = "Patients", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The patient's id"), ("If-Match" = Option<String>, Header)),
    request_body = PatientBody,
    responses(
        (status = 200, description = "The patient after the change", body = Patient, headers(("ETag"))),
        (status = 404, description = "Patient not found", body = Problem),
        (status = 409, description = "Email address already exists", body = Problem),
        (status = 412, description = "The patient was changed since", body = Problem),
))]
pub async fn update(
    State(pool): State<Pool>,
    State(calendar): State<Calendar>,
    _: Caller,
    trail: Trail,
    Path(id): Path<Uuid>,
    expected: IfMatch,
    Json(body): Json<PatientBody>,
) -> Result<Response> {
    let new = body.validate(calendar.today(&pool).await?)?;
    let mut transaction = pool.begin().await?;
    let (patient, changed) = store::update(&mut transaction, id, &new, &expected).await?;
    trail.changed(changed);
    audit::enqueue(&mut transaction, trail.record(StatusCode::OK)).await?;
    transaction.commit().await?;
    Ok(with_etag(patient))
}

/// Delete a patient, and close its billing account
#[utoipa::path(delete, path = "/patients/{id}", operation_id = "deletePatient", tag = "Patients",
    security(("bearer" = ["ADMIN"])),
    params(("id" = Uuid, Path, description = "The patient's id"), ("If-Match" = Option<String>, Header)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "Patient not found", body = Problem),
        (status = 412, description = "The patient was changed since", body = Problem),
))]
pub async fn delete(
    State(pool): State<Pool>,
    State(billing): State<Arc<BillingClient>>,
    _: Admin,
    trail: Trail,
    Path(id): Path<Uuid>,
    expected: IfMatch,
) -> Result<StatusCode> {
    let mut transaction = pool.begin().await?;
    store::delete(&mut transaction, id, &expected).await?;
    audit::enqueue(&mut transaction, trail.record(StatusCode::NO_CONTENT)).await?;
    transaction.commit().await?;
    billing::try_close(&billing, &pool, id).await;
    Ok(StatusCode::NO_CONTENT)
}

fn with_etag(patient: Patient) -> Response {
    ([(header::ETAG, etag(patient.version))], Json(patient)).into_response()
}

fn created(prefix: &Prefix, patient: Patient) -> Response {
    let location = prefix.join(&format!("/patients/{}", patient.id));
    let mut response = (StatusCode::CREATED, with_etag(patient)).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
