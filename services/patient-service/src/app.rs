//! The routes, the state they share, and their document.

use std::sync::Arc;

use axum::{
    Router,
    extract::FromRef,
    routing::{get, put},
};
use contracts::topics;
use kit::{
    Verifier,
    kafka::{self, KafkaArgs, TopicSpec},
};
use sqlx::{PgPool, migrate::Migrator};
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi;

use crate::{billing::Billing, calendar::Calendar, family, patient};

/// The schema, step by step.
pub static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// What every handler may use.
#[derive(Clone, FromRef)]
pub struct App {
    /// The service's own database.
    pub pool: PgPool,
    /// Checks access tokens.
    pub verifier: Verifier,
    /// The gRPC client of billing-service.
    pub billing: Arc<Billing>,
    /// Which day it is.
    pub calendar: Calendar,
}

/// The service's own routes.
pub fn routes(app: App) -> Router {
    use {family::routes as families, patient::routes as patients};
    Router::new()
        .route("/patients", get(patients::list).post(patients::create))
        .route(
            "/patients/{id}",
            get(patients::read).put(patients::update).delete(patients::delete),
        )
        .route("/families", get(families::list).post(families::create))
        .route("/families/{id}", get(families::read))
        .route(
            "/families/{id}/members/{patient_id}",
            put(families::add_member).delete(families::remove_member),
        )
        .with_state(app)
}

/// The OpenAPI document of [`routes`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Patients", description = "Patients and their families."),
    tags(
        (name = "Patients", description = "Who is known here; each has a version, which is its ETag."),
        (name = "Families", description = "Named groups of patients."),
    ),
    paths(
        patient::routes::list, patient::routes::create, patient::routes::read,
        patient::routes::update, patient::routes::delete,
        family::routes::list, family::routes::create, family::routes::read,
        family::routes::add_member, family::routes::remove_member,
    ),
    components(schemas(patient::sort::Sort)),
)]
struct Document;

/// Creates this service's topics where the platform cannot; a failure is logged and tried again, never fatal.
///
/// # Errors
/// None: the signature is that of a background.
pub async fn ensure_topics(args: KafkaArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    let wanted = [
        TopicSpec {
            name: topics::PATIENT,
            partitions: topics::PATIENT_PARTITIONS,
        },
        TopicSpec {
            name: topics::PATIENT_DLQ,
            partitions: 1,
        },
    ];
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            made = kafka::ensure_topics(&args, &wanted) => match made {
                Ok(()) => return Ok(()),
                Err(error) => tracing::warn!(error = format!("{error:#}"), "topics could not be created; trying again"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_complete() {
        assert_eq!(kit::testing::document_faults(&openapi()), Vec::<String>::new());
    }
}
