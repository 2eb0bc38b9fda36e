//! Patients as FHIR R4 resources, and the statement of what the platform's FHIR API can do.

mod criteria;
mod metadata;
mod read;
mod resource;
mod search;

use axum::{Router, routing::get, routing::post};
use kit::fhir::negotiated;

use crate::state::AppState;

/// Returns the routes of patients, which are audited.
pub(crate) fn routes() -> Router<AppState> {
    negotiated(
        Router::new()
            .route("/fhir/Patient", get(search::by_query))
            .route("/fhir/Patient/_search", post(search::by_form))
            .route("/fhir/Patient/{patient_id}", get(read::read)),
    )
}

/// Returns the public routes.
pub(crate) fn public_routes() -> Router<AppState> {
    negotiated(Router::new().route("/fhir/metadata", get(metadata::read)))
}
