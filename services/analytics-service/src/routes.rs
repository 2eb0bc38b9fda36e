//! The routes of this service and their description.

use axum::{Router, extract::FromRef, routing::get};
use kit::Verifier;
use sqlx::PgPool;
use utoipa::OpenApi;

use crate::{history, summary, timeline};

/// What the handlers share.
#[derive(Clone, FromRef)]
pub struct AppState {
    pub pool: PgPool,
    pub verifier: Verifier,
}

/// All routes; administrators only.
pub fn routes(state: AppState) -> Router {
    Router::new()
        .route("/analytics/summary", get(summary::summary))
        .route("/analytics/timeline", get(timeline::timeline))
        .route("/analytics/events", get(history::events))
        .with_state(state)
}

/// The description of [`routes`].
#[derive(OpenApi)]
#[openapi(
    info(title = "Analytics", description = "What happens to patients, counted; for administrators."),
    tags((name = "Analytics", description = "What happens to patients, counted; a second or so behind.")),
    paths(summary::summary, timeline::timeline, history::events),
    components(schemas(timeline::Bucket))
)]
pub struct ApiDoc;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_complete() {
        assert_eq!(kit::testing::document_faults(&ApiDoc::openapi()), Vec::<String>::new());
    }
}
