//! The HTTP side: administrators look at accounts.

use axum::{
    Router,
    extract::{FromRef, State},
    routing::get,
};
use kit::{Admin, Json, Path, Problem, Query, Result, Verifier};
use serde::Deserialize;
use sqlx::PgPool;
use utoipa::{IntoParams, OpenApi};
use uuid::Uuid;

use crate::account::{self, Account};

/// What the handlers share.
#[derive(Clone, FromRef)]
pub struct AppState {
    pub pool: PgPool,
    pub verifier: Verifier,
}

/// The routes of this service.
pub fn routes(state: AppState) -> Router {
    Router::new()
        .route("/billing/accounts", get(list))
        .route("/billing/accounts/{id}", get(show))
        .with_state(state)
}

/// The description of [`routes`].
#[derive(OpenApi)]
#[openapi(
    info(title = "Billing", description = "The billing accounts of patients, for administrators."),
    tags((name = "Billing accounts", description = "One for each patient, opened and closed with the patient.")),
    paths(list, show)
)]
pub struct ApiDoc;

/// Which accounts to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only this patient's account.
    patient_id: Option<Uuid>,
    /// At most so many accounts, 1 to 1000; 100 when not given.
    #[param(minimum = 1, maximum = 1000, example = 100)]
    limit: Option<i64>,
    /// Only accounts after this one: the last `accountId` of the page before.
    after: Option<Uuid>,
}

/// List billing accounts, oldest first
///
/// A page ends with `limit`; the next one begins after the last `accountId`.
#[utoipa::path(
    get,
    path = "/billing/accounts",
    operation_id = "listAccounts",
    tag = "Billing accounts",
    params(ListQuery),
    responses((status = 200, description = "The accounts", body = [Account])),
    security(("bearer" = ["ADMIN"]))
)]
async fn list(State(pool): State<PgPool>, _: Admin, Query(query): Query<ListQuery>) -> Result<Json<Vec<Account>>> {
    let limit = query.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(Problem::field("limit", "limit must be from 1 to 1000"));
    }
    Ok(Json(account::list(&pool, query.patient_id, query.after, limit).await?))
}

/// Read a billing account
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
async fn show(State(pool): State<PgPool>, _: Admin, Path(id): Path<Uuid>) -> Result<Json<Account>> {
    let account = account::find(&pool, id).await?;
    account
        .map(Json)
        .ok_or_else(|| Problem::not_found("Billing account not found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_complete() {
        assert_eq!(kit::testing::document_faults(&ApiDoc::openapi()), Vec::<String>::new());
    }
}
