//! `/sessions`: the logins of a user, and their end.

use axum::extract::State;
use http::StatusCode;
use kit::Path;
use kit::pagination::{Page, Pagination, Total};
use kit::problem::{Problem, Result};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::current_user::{Administrator, CurrentUser};
use crate::refresh_token::{self, LiveSession};
use crate::state::AppState;
use crate::user;

/// A login that has not ended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    pub id: Uuid,
    /// Time of the login.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Time of the last refresh, or of the login.
    #[serde(with = "time::serde::rfc3339")]
    pub last_used_at: OffsetDateTime,
    /// True for the session of this request.
    pub current: bool,
}

/// List your sessions, the newest first, page by page
#[utoipa::path(
    get, path = "/sessions", operation_id = "listSessions", tag = "Session", params(Pagination), security(("bearer" = [])),
    responses((status = 200, description = "A page of sessions", body = Vec<SessionView>,
        headers(("X-Total-Count"), ("X-Total-Count-Relation"), ("Link"))))
)]
pub async fn list(
    State(state): State<AppState>,
    CurrentUser(claims): CurrentUser,
    pagination: Pagination,
) -> Result<Page<SessionView>> {
    let now = OffsetDateTime::now_utc();
    let (cursor, limit) = (pagination.cursor, pagination.rows());
    let sessions = refresh_token::list_sessions(&state.pool, claims.sub, cursor, limit, now).await?;
    let total = refresh_token::count_sessions(&state.pool, claims.sub, now).await?;
    let page = pagination.page(sessions, |session| session.id);
    Ok(page.total(Total::Exactly(total)).map(|session| {
        let (created_at, LiveSession { id, last_used_at }) = (session.created_at(), session);
        SessionView {
            id,
            created_at,
            last_used_at,
            current: id == claims.sid,
        }
    }))
}

/// End one of your sessions
///
/// Its access token is rejected everywhere within 2 seconds.
#[utoipa::path(
    delete, path = "/sessions/{id}", operation_id = "endSession", tag = "Session", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The session's id")),
    responses(
        (status = 204, description = "The session has ended"),
        (status = 404, description = "You have no such session", body = Problem),
    )
)]
pub async fn end(
    State(state): State<AppState>,
    CurrentUser(claims): CurrentUser,
    Path(id): Path<Uuid>,
) -> Result<StatusCode> {
    let mut transaction = state.pool.begin().await?;
    let has_ended = refresh_token::revoke(&mut transaction, claims.sub, id).await?;
    transaction.commit().await?;
    if !has_ended {
        return Err(Problem::not_found("You have no such session"));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Log out everywhere
///
/// Ends all your sessions, this one included. Their access tokens are rejected everywhere within 2 seconds.
#[utoipa::path(
    delete, path = "/sessions", operation_id = "endAllSessions", tag = "Session", security(("bearer" = [])),
    responses((status = 204, description = "The sessions have ended"))
)]
pub async fn end_all(State(state): State<AppState>, CurrentUser(claims): CurrentUser) -> Result<StatusCode> {
    let mut transaction = state.pool.begin().await?;
    user::lock(&mut *transaction, claims.sub).await?;
    refresh_token::revoke_all(&mut *transaction, claims.sub).await?;
    transaction.commit().await?;
    tracing::info!(user.id = %claims.sub, "a user logged out everywhere");
    Ok(StatusCode::NO_CONTENT)
}

/// End all sessions of a user
#[utoipa::path(
    delete, path = "/users/{id}/sessions", operation_id = "endSessionsOfUser", tag = "Users", security(("bearer" = ["ADMIN"])),
    params(("id" = Uuid, Path, description = "The user's id")),
    responses(
        (status = 204, description = "The sessions have ended"),
        (status = 404, description = "User not found", body = Problem),
    )
)]
pub async fn end_all_of_user(
    State(state): State<AppState>,
    Administrator(admin): Administrator,
    Path(id): Path<Uuid>,
) -> Result<StatusCode> {
    let mut transaction = state.pool.begin().await?;
    if user::lock(&mut *transaction, id).await?.is_none() {
        return Err(Problem::not_found("User not found"));
    }
    refresh_token::revoke_all(&mut *transaction, id).await?;
    transaction.commit().await?;
    tracing::info!(user.id = %id, admin.id = %admin.sub, "an administrator ended the sessions of a user");
    Ok(StatusCode::NO_CONTENT)
}
