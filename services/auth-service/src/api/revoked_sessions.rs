//! `GET /revoked-sessions`: the sessions that ended, for the other services.

use axum::extract::State;
use kit::token::RevokedSessions;
use kit::{Json, Query, Result};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::state::AppState;

/// The part of the list that a verifier does not know yet.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Since {
    /// Only sessions that ended at this time or later, in seconds since 1970; by default all whose tokens may be valid.
    since: Option<i64>,
}

/// Read the sessions that ended
///
/// Verifiers of access tokens read it every second. It has ids only, and the gateway does not expose it.
#[utoipa::path(
    get, path = "/revoked-sessions", operation_id = "readRevokedSessions", tag = "Operations", params(Since),
    responses((status = 200, description = "The sessions", body = RevokedSessions))
)]
pub async fn revoked_sessions(State(state): State<AppState>, query: Query<Since>) -> Result<Json<RevokedSessions>> {
    Ok(Json(state.revocations.since(query.0.since).await?))
}
