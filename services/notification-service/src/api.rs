//! The routes and their OpenAPI document.

use axum::{
    Router,
    extract::State,
    routing::{get, post},
};
use http::StatusCode;
use kit::audit::{self, Auditing, Outbox, Trail};
use kit::database::Pool;
use kit::export::Held;
use kit::{Admin, Caller, Json, Page, Pagination, Path, Problem, Query, Result};
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};
use uuid::Uuid;

use crate::{
    AppState,
    config::CLI,
    notification::{self, Notification, Resend},
    preference::{self, Preferences},
};

/// Pages of 1000 notifications at most, 100 by default.
type NotificationPagination = Pagination<Uuid, 100, 1000>;

/// Returns all routes; the gateway exposes them under `/api`.
pub fn router(state: AppState) -> Router {
    let routes = Router::new()
        .route("/notifications", get(list))
        .route("/notifications/{id}/resend", post(resend))
        .route(
            "/notifications/preferences/{patientId}",
            get(read_preferences).put(store_preferences),
        )
        .route("/notifications/patients/{patientId}/export", get(export));
    // Every route: none can be answered without its audit record.
    let auditing = Auditing::new(CLI.name, state.kit.verifier.clone(), Outbox(state.kit.pool.clone()));
    auditing.layer(routes).with_state(state)
}

/// Returns the OpenAPI document of [`router`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    ApiDoc::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Notifications", description = "Notifications sent to patients."),
    tags((name = "Notifications", description = "One for each event of a patient.")),
    paths(list, resend, read_preferences, store_preferences, export)
)]
struct ApiDoc;

/// Query parameters of the list, in addition to those of the pagination.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only the notifications of this patient.
    patient_id: Option<Uuid>,
}

/// List notifications, oldest first, page by page
#[utoipa::path(
    get,
    path = "/notifications",
    operation_id = "listNotifications",
    tag = "Notifications",
    params(ListQuery, NotificationPagination),
    responses((status = 200, description = "A page of notifications", body = [Notification], headers(("X-Total-Count"), ("X-Total-Count-Relation"), ("Link")))),
    security(("bearer" = []))
)]
async fn list(
    State(pool): State<Pool>,
    _: Caller,
    trail: Trail,
    pagination: NotificationPagination,
    Query(query): Query<ListQuery>,
) -> Result<Page<Notification>> {
    let notifications = notification::list(&pool, query.patient_id, pagination.cursor, pagination.rows()).await?;
    let total = notification::count(&pool, query.patient_id).await?;
    let page = pagination.page(notifications, |notification| notification.id);
    let shown = page.rows().iter().map(|notification| notification.patient_id);
    trail.listed(query.patient_id, shown);
    Ok(page.total(total))
}

/// Send a notification again
///
/// To the patient's current address, with attempts for another day; for a notification that is not pending.
#[utoipa::path(
    post,
    path = "/notifications/{id}/resend",
    operation_id = "resendNotification",
    tag = "Notifications",
    params(("id" = Uuid, Path, description = "The notification's id")),
    responses(
        (status = 202, description = "It is pending", body = Notification),
        (status = 404, description = "Notification not found", body = Problem),
        (status = 409, description = "It is pending already, or the patient was deleted", body = Problem),
    ),
    security(("bearer" = ["ADMIN"]))
)]
async fn resend(
    State(state): State<AppState>,
    Admin(admin): Admin,
    trail: Trail,
    Path(id): Path<Uuid>,
) -> Result<(StatusCode, Json<Notification>)> {
    let mut transaction = state.kit.pool.begin().await?;
    match notification::resend(&mut transaction, id).await? {
        Resend::Queued(notification) => {
            trail.patient(notification.patient_id);
            audit::enqueue(&mut transaction, trail.record(StatusCode::ACCEPTED)).await?;
            transaction.commit().await?;
            tracing::info!(notification.id = %id, admin.id = %admin.sub, "an administrator sends a notification again");
            state.queued.notify_one();
            Ok((StatusCode::ACCEPTED, Json(notification)))
        }
        Resend::Impossible => Err(Problem::conflict(
            "The notification is pending already, or the patient was deleted and no address is stored",
        )),
        Resend::Unknown => Err(Problem::not_found("Notification not found")),
    }
}

/// Read a patient's preferences
#[utoipa::path(
    get,
    path = "/notifications/preferences/{patientId}",
    operation_id = "readNotificationPreferences",
    tag = "Notifications",
    params(("patientId" = Uuid, Path, description = "The patient's id")),
    responses(
        (status = 200, description = "The preferences", body = Preferences),
        (status = 404, description = "Patient not found; a new one is known after some moments", body = Problem),
    ),
    security(("bearer" = []))
)]
async fn read_preferences(State(pool): State<Pool>, _: Caller, Path(id): Path<Uuid>) -> Result<Json<Preferences>> {
    let preferences = preference::read(&pool, id).await?;
    preferences.map(Json).ok_or_else(patient_not_found)
}

/// Store a patient's preferences
///
/// Without email, notifications are SKIPPED; the confirmation of a deletion is sent nevertheless.
#[utoipa::path(
    put,
    path = "/notifications/preferences/{patientId}",
    operation_id = "storeNotificationPreferences",
    tag = "Notifications",
    params(("patientId" = Uuid, Path, description = "The patient's id")),
    request_body = Preferences,
    responses(
        (status = 200, description = "The preferences as stored", body = Preferences),
        (status = 404, description = "Patient not found; a new one is known after some moments", body = Problem),
    ),
    security(("bearer" = []))
)]
async fn store_preferences(
    State(pool): State<Pool>,
    Caller(caller): Caller,
    trail: Trail,
    Path(id): Path<Uuid>,
    Json(preferences): Json<Preferences>,
) -> Result<Json<Preferences>> {
    let mut transaction = pool.begin().await?;
    if !preference::store(&mut *transaction, id, preferences).await? {
        return Err(patient_not_found());
    }
    trail.changed(["preferences.email"]);
    audit::enqueue(&mut transaction, trail.record(StatusCode::OK)).await?;
    transaction.commit().await?;
    tracing::info!(patient.id = %id, user.id = %caller.sub, email = preferences.email, "stored a patient's preferences");
    Ok(Json(preferences))
}

/// Export what notification-service holds about a patient
///
/// Each column of each row, by table: name, email address and preferences, and the notifications. An unknown patient has no
/// rows. It is a part of `GET /patients/{id}/export`.
#[utoipa::path(
    get,
    path = "/notifications/patients/{patientId}/export",
    operation_id = "exportNotifications",
    tag = "Notifications",
    params(("patientId" = Uuid, Path, description = "The patient's id")),
    responses((status = 200, description = "The rows", body = Object)),
    security(("bearer" = ["ADMIN"]))
)]
async fn export(State(pool): State<Pool>, _: Admin, Path(patient): Path<Uuid>) -> Result<Json<Held>> {
    Ok(Json(Held::read(&pool, &["patients", "notifications"], patient).await?))
}

fn patient_not_found() -> Problem {
    Problem::not_found("Patient not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_complete() {
        assert_eq!(kit::testing::document_faults(&openapi()), Vec::<String>::new());
    }
}
