//! The routes and their OpenAPI document.

use axum::{
    Router,
    routing::{get, post, put},
};
use kit::audit::{Auditing, Outbox};
use utoipa::OpenApi;

use crate::{config::CLI, family::routes as families, fhir, patient, patient::routes as patients, state::AppState};

/// Returns all routes; the gateway exposes them under `/api`, and those of FHIR, which `/fhir/metadata` describes, as they are.
pub fn router(state: AppState) -> Router {
    let routes = Router::new()
        .route("/patients", get(patients::list).post(patients::create))
        .route(
            "/patients/{id}",
            get(patients::read).put(patients::update).delete(patients::delete),
        )
        .route("/patients/search", post(patients::search))
        .route("/patients/bulk", get(patient::bulk::read))
        .route("/patients/import", post(patient::import::import))
        .route("/patients/{id}/history", get(patient::history::read))
        .route("/patients/{id}/export", get(patient::export::read))
        .route("/families", get(families::list).post(families::create))
        .route(
            "/families/{id}",
            get(families::read).put(families::rename).delete(families::delete),
        )
        .route(
            "/families/{id}/members/{patient_id}",
            put(families::add_member).delete(families::remove_member),
        )
        .merge(fhir::routes());
    // Every route: none can be answered without its audit record.
    let auditing = Auditing::new(CLI.name, state.verifier.clone(), Outbox(state.pool.clone()));
    auditing.layer(routes).merge(fhir::public_routes()).with_state(state)
}

/// Returns the OpenAPI document of [`router`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    ApiDoc::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Patients", description = "Patients and their families."),
    tags(
        (name = "Patients", description = "Patients; each has a version, which is its ETag."),
        (name = "Families", description = "Named groups of patients; each has a version, which is its ETag."),
    ),
    paths(
        patients::list, patients::create, patients::read, patients::update, patients::delete,
        patients::search, patient::bulk::read, patient::import::import, patient::history::read, patient::export::read,
        families::list, families::create, families::read, families::rename, families::delete, families::add_member, families::remove_member,
    ),
    components(schemas(patient::bulk::Format, patient::sort::Sort)),
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
