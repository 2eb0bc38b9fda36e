//! The routes and their OpenAPI document.

use axum::{Router, routing::get};
use kit::{
    AppState,
    audit::{Auditing, Outbox},
};
use utoipa::OpenApi;

use crate::{config::CLI, patient_events, summary, timeline};

/// Returns all routes; the gateway exposes them under `/api`.
pub fn router(state: AppState) -> Router {
    let routes = Router::new()
        .route("/analytics/summary", get(summary::summary))
        .route("/analytics/timeline", get(timeline::timeline))
        .route("/analytics/events", get(patient_events::list))
        .route("/analytics/patients/{patientId}/export", get(patient_events::export));
    // Every route: none can be answered without its audit record.
    let auditing = Auditing::new(CLI.name, state.verifier.clone(), Outbox(state.pool.clone()));
    auditing.layer(routes).with_state(state)
}

/// Returns the OpenAPI document of [`router`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    ApiDoc::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Analytics", description = "Statistics of patient events, for administrators."),
    tags((name = "Analytics", description = "Statistics of patient events, about one second after the change.")),
    paths(summary::summary, timeline::timeline, patient_events::list, patient_events::export),
    components(schemas(timeline::Bucket))
)]
struct ApiDoc;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_complete() {
        assert_eq!(kit::testing::document_faults(&openapi()), Vec::<String>::new());
        let mut document = serde_json::to_value(openapi()).expect("JSON");
        kit::openapi::for_each_operation(&mut document, |path, method, operation| {
            assert!(
                operation["description"].is_string(),
                "{method} {path} has no description"
            );
        });
    }
}
