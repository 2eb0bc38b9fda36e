//! The routes and their OpenAPI document.

use axum::{Router, routing::get};
use kit::{
    AppState,
    audit::{Action, Auditing},
};
use utoipa::OpenApi;

use crate::{config::CLI, export, fhir, list, own_requests::OwnRequests};

/// Returns all routes; the gateway exposes them under `/api`, and those of FHIR as they are.
pub fn router(state: AppState) -> Router {
    let auditing = Auditing::new(CLI.name, state.verifier.clone(), OwnRequests(state.pool.clone()));
    let export = Router::new().route("/audit/patients/{patientId}/export", get(export::export));
    let list = Router::new().route("/audit", get(list::list)).merge(fhir::routes());
    let list = auditing.clone().action(Action::AuditRead).layer(list);
    auditing.layer(export).merge(list).with_state(state)
}

/// Returns the OpenAPI document of [`router`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    ApiDoc::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Audit", description = "Who read or changed which patient, for auditors."),
    tags((name = "Audit", description = "The audit trail: a chain of records that is only ever appended to.")),
    paths(list::list, export::export),
)]
struct ApiDoc;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_complete() {
        assert_eq!(kit::testing::document_faults(&openapi()), Vec::<String>::new());
    }
}
