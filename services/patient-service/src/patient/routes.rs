//! The routes of `/patients`.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kit::audit::{self, Trail};
use kit::database::Pool;
use kit::{
    Admin, Caller, Claims, Json, Path, Prefix, Problem, Query, Result,
    pagination::{Page, Pagination, SealedCursor},
};
use serde::Deserialize;
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    Patient, change,
    input::{PatientBody, ValidPatient},
    list::{self, ListParams},
    search::Search,
    sort::Sort,
    store,
};
use crate::{
    billing::{self, AccountHolder, BillingClient},
    calendar::Today,
    cursor,
    idempotency::{self, IdempotencyKey},
    precondition::{Preconditions, with_etag},
    state::AppState,
};

/// Name of the list, to which its cursors are bound.
const LIST: &str = "patients";

/// Query parameters of the list, in addition to those of the pagination.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Text in the name, email or address, whatever its case and accents; at most 100 characters, one of them alphanumeric.
    /// Fewer than three characters find the beginnings of words, and Chinese, Japanese or Korean ones any part of a name.
    #[param(max_length = 100)]
    search: Option<String>,
    /// The order; `name` by default.
    #[param(value_type = Option<Sort>)]
    sort: Option<String>,
}

/// The body of a search; each field as the query parameter of the list with its name.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(example = json!({"search": "lovelace", "sort": "name", "limit": 20}))]
pub struct SearchBody {
    /// Text in the name, email or address; at most 100 characters, one of them alphanumeric.
    #[schema(max_length = 100)]
    search: Option<String>,
    /// The order; `name` by default.
    #[schema(value_type = Option<Sort>)]
    sort: Option<String>,
    /// Rows of the page, 1 to 100; 20 by default.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// Start of the page: the query parameter `cursor` in the Link header of the page before.
    #[schema(min_length = 1, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

/// List patients, page by page
///
/// Addresses are written to access logs, and a search is a part of a person's data there: use `POST /patients/search` to keep it
/// out of them. A cursor is encrypted, and valid for a day at least.
#[utoipa::path(get, path = "/patients", operation_id = "listPatients", tag = "Patients", security(("bearer" = [])),
    params(ListQuery, Pagination),
    responses(
        (status = 200, description = "A page of patients", body = Vec<Patient>, headers(("X-Total-Count"), ("X-Total-Count-Relation"), ("Link"))),
))]
pub async fn list(
    State(pool): State<Pool>,
    _: Caller,
    trail: Trail,
    pagination: Pagination<SealedCursor>,
    Query(query): Query<ListQuery>,
) -> Result<Page<Patient>> {
    read_page(
        &pool,
        &trail,
        &pagination,
        query.search.as_deref(),
        query.sort.as_deref(),
    )
    .await
}

/// Search for patients, page by page, with the text in the body
///
/// The response is that of the list, without the text in any address. For the next page, send the same body to the address in
/// the Link header.
#[utoipa::path(post, path = "/patients/search", operation_id = "searchPatients", tag = "Patients", security(("bearer" = [])),
    params(Pagination),
    request_body = SearchBody,
    responses(
        (status = 200, description = "A page of patients", body = Vec<Patient>, headers(("X-Total-Count"), ("X-Total-Count-Relation"), ("Link"))),
))]
pub async fn search(
    State(pool): State<Pool>,
    _: Caller,
    trail: Trail,
    pagination: Pagination<SealedCursor>,
    Json(body): Json<SearchBody>,
) -> Result<Page<Patient>> {
    let pagination = pagination.with_body(body.limit, body.cursor.as_deref())?;
    read_page(&pool, &trail, &pagination, body.search.as_deref(), body.sort.as_deref()).await
}

async fn read_page(
    pool: &Pool,
    trail: &Trail,
    pagination: &Pagination<SealedCursor>,
    search: Option<&str>,
    sort: Option<&str>,
) -> Result<Page<Patient>> {
    let sort = Sort::parse(sort)?;
    let search = Search::parse(search)?;
    let after = cursor::open(pool, LIST, pagination.cursor.as_ref()).await?;
    if let Some(after) = &after {
        after.expect_sort(sort.as_str())?;
    }
    let params = ListParams {
        search: search.as_ref(),
        sort,
        limit: pagination.limit,
        after: after.as_ref(),
    };
    let (patients, total) = list::read(pool, params).await?;
    let page = cursor::page(pool, LIST, pagination, patients, |last| sort.cursor_behind(last)).await?;
    trail.shown(page.rows().iter().map(|patient| patient.id));
    Ok(page.total(total))
}

/// Create a patient
///
/// The billing account is opened at once if billing-service is available, and is PENDING otherwise. The repetition of a request
/// with an Idempotency-Key returns the patient as it is then.
#[utoipa::path(post, path = "/patients", operation_id = "createPatient", tag = "Patients", security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = PatientBody,
    responses(
        (status = 201, description = "Created; Location is its URL", body = Patient, headers(("Location"), ("ETag"))),
        (status = 409, description = "Email address already exists, or a request with this Idempotency-Key is still running", body = Problem),
        (status = 410, description = "The patient that this Idempotency-Key created was deleted", body = Problem),
        (status = 422, description = "This Idempotency-Key was used with another body", body = Problem),
))]
pub async fn create(
    State(AppState {
        pool,
        billing,
        calendar,
        ..
    }): State<AppState>,
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
    let creation = create_once(&mut transaction, &new, today, &caller, key.as_ref()).await;
    if let Ok(Creation::Created(patient)) = &creation {
        trail.patient(patient.id);
        trail.changed(change::changed_fields(None, patient));
        audit::enqueue(&mut transaction, trail.record(StatusCode::CREATED)).await?;
        transaction.commit().await?;
    } else {
        // Awaited, so that the claim on the key is released before the client can retry.
        transaction.rollback().await?;
    }
    let patient = match creation? {
        Creation::Repeated(patient) => {
            trail.patient(patient.id);
            patient
        }
        Creation::Created(patient) => {
            metrics::counter!("patients_created_total").increment(1);
            with_account(&billing, &pool, patient).await
        }
    };
    Ok(created(&prefix, patient))
}

/// Result of a creation with or without an Idempotency-Key.
enum Creation {
    /// The patient was created in this transaction.
    Created(Patient),
    /// The patient that an earlier request with the same key created, as it is now.
    Repeated(Patient),
}

async fn create_once(
    transaction: &mut PgConnection,
    new: &ValidPatient,
    today: Today,
    caller: &Claims,
    key: Option<&IdempotencyKey>,
) -> Result<Creation> {
    if let Some(key) = key
        && let Some(id) = key.claim(transaction).await?
    {
        let patient = store::find_optional(transaction, id).await?;
        return patient.map(Creation::Repeated).ok_or_else(idempotency::gone);
    }
    let patient = store::create(transaction, new, today, Some(caller)).await?;
    if let Some(key) = key {
        key.store(transaction, patient.id).await?;
    }
    Ok(Creation::Created(patient))
}

/// Read a patient
///
/// The billing account is no part of the version, so while it is PENDING, If-None-Match is ignored.
#[utoipa::path(get, path = "/patients/{id}", operation_id = "readPatient", tag = "Patients", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The patient's id"), ("If-None-Match" = Option<String>, Header), ("If-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "The patient; the ETag is its version", body = Patient, headers(("ETag"))),
        (status = 304, description = "The version is one of If-None-Match", headers(("ETag"))),
        (status = 404, description = "Patient not found", body = Problem),
        (status = 412, description = "The version is none of If-Match", body = Problem),
))]
pub async fn read(
    State(pool): State<Pool>,
    _: Caller,
    Path(id): Path<Uuid>,
    preconditions: Preconditions,
) -> Result<Response> {
    let patient = store::find(&pool, id).await?;
    let preconditions = if patient.billing.is_pending() {
        preconditions.without_none_match()
    } else {
        preconditions
    };
    preconditions.read(patient.version, &patient)
}

/// Update a patient
///
/// The body replaces all fields. The account's holder in billing-service follows.
#[utoipa::path(put, path = "/patients/{id}", operation_id = "updatePatient", tag = "Patients", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The patient's id"), ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)),
    request_body = PatientBody,
    responses(
        (status = 200, description = "The patient after the change", body = Patient, headers(("ETag"))),
        (status = 404, description = "Patient not found", body = Problem),
        (status = 409, description = "Email address already exists", body = Problem),
        (status = 412, description = "The patient was changed since, or If-None-Match names its version", body = Problem),
))]
pub async fn update(
    State(AppState {
        pool,
        billing,
        calendar,
        ..
    }): State<AppState>,
    Caller(caller): Caller,
    trail: Trail,
    Path(id): Path<Uuid>,
    preconditions: Preconditions,
    Json(body): Json<PatientBody>,
) -> Result<Response> {
    let new = body.validate(calendar.today(&pool).await?)?;
    let mut transaction = pool.begin().await?;
    let updated = store::update(&mut transaction, id, &new, &preconditions, &caller).await?;
    trail.changed(updated.changed_fields);
    audit::enqueue(&mut transaction, trail.record(StatusCode::OK)).await?;
    transaction.commit().await?;
    let mut patient = updated.patient;
    if updated.is_billing_due {
        patient = with_account(&billing, &pool, patient).await;
    }
    Ok(with_etag(patient.version, patient))
}

/// Delete a patient, and close its billing account
///
/// All that is stored about the person is erased, a family without another member among it. The event of the deletion contains
/// ids only; earlier events leave the topic after its retention time.
#[utoipa::path(delete, path = "/patients/{id}", operation_id = "deletePatient", tag = "Patients",
    security(("bearer" = ["ADMIN"])),
    params(("id" = Uuid, Path, description = "The patient's id"), ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "Patient not found", body = Problem),
        (status = 412, description = "The patient was changed since, or If-None-Match names its version", body = Problem),
))]
pub async fn delete(
    State(pool): State<Pool>,
    State(billing): State<Arc<BillingClient>>,
    _: Admin,
    trail: Trail,
    Path(id): Path<Uuid>,
    preconditions: Preconditions,
) -> Result<StatusCode> {
    let mut transaction = pool.begin().await?;
    store::delete(&mut transaction, id, &preconditions).await?;
    audit::enqueue(&mut transaction, trail.record(StatusCode::NO_CONTENT)).await?;
    transaction.commit().await?;
    billing::try_close(&billing, &pool, id).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Calls billing-service for the account of a patient who was created or changed, and returns the patient with the account.
async fn with_account(billing: &BillingClient, pool: &Pool, mut patient: Patient) -> Patient {
    let holder = AccountHolder {
        patient_id: patient.id,
        name: &patient.name,
        email: &patient.email,
        version: patient.version,
    };
    let is_open = patient.billing.account_id.is_some();
    if let Some(account) = billing::try_hold(billing, pool, holder, is_open).await {
        patient.billing = account;
    }
    patient
}

fn created(prefix: &Prefix, patient: Patient) -> Response {
    let location = prefix.join(&format!("/patients/{}", patient.id));
    let mut response = (StatusCode::CREATED, with_etag(patient.version, patient)).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
