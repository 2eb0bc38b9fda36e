//! The routes of this service and their description.

use axum::{
    Router,
    extract::{FromRef, State},
    routing::get,
};
use kit::{Caller, Json, Problem, Query, Result, Verifier};
use serde::Deserialize;
use sqlx::PgPool;
use utoipa::{IntoParams, OpenApi};
use uuid::Uuid;

use crate::notification::{self, Notification};

/// What the handlers share.
#[derive(Clone, FromRef)]
pub struct AppState {
    pub pool: PgPool,
    pub verifier: Verifier,
}

/// All routes.
pub fn routes(state: AppState) -> Router {
    Router::new().route("/notifications", get(list)).with_state(state)
}

/// The description of [`routes`].
#[derive(OpenApi)]
#[openapi(
    info(title = "Notifications", description = "What patients were told."),
    tags((name = "Notifications", description = "One for each event that a patient is told of.")),
    paths(list)
)]
pub struct ApiDoc;

/// Which notifications to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only this patient's.
    patient_id: Option<Uuid>,
    /// At most so many, 1 to 1000; 100 when not given.
    #[param(minimum = 1, maximum = 1000, example = 100)]
    limit: Option<i64>,
    /// Only those after this one: the last `id` of the page before.
    after: Option<Uuid>,
}

/// List notifications, oldest first
///
/// A page ends with `limit`; the next one begins after the last `id`.
#[utoipa::path(
    get,
    path = "/notifications",
    operation_id = "listNotifications",
    tag = "Notifications",
    params(ListQuery),
    responses((status = 200, description = "The notifications", body = [Notification])),
    security(("bearer" = []))
)]
async fn list(
    State(pool): State<PgPool>,
    _: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Vec<Notification>>> {
    let limit = query.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(Problem::field("limit", "limit must be from 1 to 1000"));
    }
    Ok(Json(
        notification::list(&pool, query.patient_id, query.after, limit).await?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_complete() {
        assert_eq!(kit::testing::document_faults(&ApiDoc::openapi()), Vec::<String>::new());
    }
}
