//! The HTTP routes, for administrators, and their OpenAPI document.

use axum::{Router, extract::State, routing::get};
use kit::audit::{Auditing, Outbox, Trail};
use kit::database::Pool;
use kit::export::Held;
use kit::{Admin, AppState, Json, Page, Pagination, Path, Problem, Query, Result};
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};
use uuid::Uuid;

use crate::account::{self, Account};
use crate::config::CLI;

/// Pages of 1000 accounts at most, 100 by default.
type AccountPagination = Pagination<Uuid, 100, 1000>;

/// Returns all routes; the gateway exposes them under `/api`.
pub fn router(state: AppState) -> Router {
    let routes = Router::new()
        .route("/billing/accounts", get(list))
        .route("/billing/accounts/{id}", get(read))
        .route("/billing/patients/{patientId}/export", get(export));
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
    info(title = "Billing", description = "The billing accounts of patients, for administrators."),
    tags((name = "Billing accounts", description = "One for each patient, opened and closed with the patient.")),
    paths(list, read, export)
)]
struct ApiDoc;

/// Query parameters of the list, in addition to those of the pagination.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only the account of this patient.
    patient_id: Option<Uuid>,
}

/// List billing accounts, oldest first, page by page
///
/// Name and email of the patient are not part of an account here; patient-service has them.
#[utoipa::path(
    get,
    path = "/billing/accounts",
    operation_id = "listAccounts",
    tag = "Billing accounts",
    params(ListQuery, AccountPagination),
    responses((status = 200, description = "A page of accounts", body = [Account], headers(("X-Total-Count"), ("X-Total-Count-Relation"), ("Link")))),
    security(("bearer" = ["ADMIN"]))
)]
async fn list(
    State(pool): State<Pool>,
    _: Admin,
    trail: Trail,
    pagination: AccountPagination,
    Query(query): Query<ListQuery>,
) -> Result<Page<Account>> {
    let accounts = account::list(&pool, query.patient_id, pagination.cursor, pagination.rows()).await?;
    let total = account::count(&pool, query.patient_id).await?;
    let page = pagination.page(accounts, |account| account.account_id);
    trail.listed(query.patient_id, page.rows().iter().map(|account| account.patient_id));
    Ok(page.total(total))
}

/// Read a billing account
///
/// The account of a deleted patient is CLOSED, and stays readable.
#[utoipa::path(
    get,
    path = "/billing/accounts/{id}",
    operation_id = "readAccount",
    tag = "Billing accounts",
    params(("id" = Uuid, Path, description = "The account's id")),
    responses(
        (status = 200, description = "The account", body = Account),
        (status = 404, description = "Billing account not found", body = Problem),
    ),
    security(("bearer" = ["ADMIN"]))
)]
async fn read(State(pool): State<Pool>, _: Admin, trail: Trail, Path(id): Path<Uuid>) -> Result<Json<Account>> {
    let account = account::find(&pool, id).await?;
    let account = account.ok_or_else(|| Problem::not_found("Billing account not found"))?;
    trail.patient(account.patient_id);
    Ok(Json(account))
}

/// Export what billing-service holds about a patient
///
/// Each column of each row, by table: the account, and the holder's name and email address until it is closed. An unknown patient has
/// no rows. It is a part of `GET /patients/{id}/export`.
#[utoipa::path(
    get,
    path = "/billing/patients/{patientId}/export",
    operation_id = "exportAccounts",
    tag = "Billing accounts",
    params(("patientId" = Uuid, Path, description = "The patient's id")),
    responses((status = 200, description = "The rows", body = Object)),
    security(("bearer" = ["ADMIN"]))
)]
async fn export(State(pool): State<Pool>, _: Admin, Path(patient): Path<Uuid>) -> Result<Json<Held>> {
    Ok(Json(Held::read(&pool, &["accounts"], patient).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_complete() {
        assert_eq!(kit::testing::document_faults(&openapi()), Vec::<String>::new());
    }
}
