//! The routes and their OpenAPI document.

use axum::{Router, extract::State, routing::get};
use kit::database::Pool;
use kit::{AppState, Caller, Page, Pagination, Query, Result};
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};
use uuid::Uuid;

use crate::notification::{self, Notification};

/// Pages of 1000 notifications at most, 100 by default.
type NotificationPagination = Pagination<Uuid, 100, 1000>;

/// Returns all routes; the gateway exposes them under `/api`.
pub fn router(state: AppState) -> Router {
    Router::new().route("/notifications", get(list)).with_state(state)
}

/// Returns the OpenAPI document of [`router`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    ApiDoc::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Notifications", description = "Notifications sent to patients."),
    tags((name = "Notifications", description = "One for each event of a patient.")),
    paths(list)
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
    responses((status = 200, description = "A page of notifications", body = [Notification], headers(("Link")))),
    security(("bearer" = []))
)]
async fn list(
    State(pool): State<Pool>,
    _: Caller,
    pagination: NotificationPagination,
    Query(query): Query<ListQuery>,
) -> Result<Page<Notification>> {
    let notifications = notification::list(&pool, query.patient_id, pagination.cursor, pagination.rows()).await?;
    Ok(pagination.page(notifications, |notification| notification.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_complete() {
        assert_eq!(kit::testing::document_faults(&openapi()), Vec::<String>::new());
    }
}
