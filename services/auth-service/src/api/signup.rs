//! `POST /signup`: creates an account without an administrator, in a system with demo data.

use axum::extract::State;
use http::StatusCode;
use kit::Json;
use kit::problem::{Problem, Result};
use kit::token::Role;

use super::users::{UserView, register};
use crate::credentials::NewCredentials;
use crate::state::AppState;

/// Sign up
///
/// The role is always USER, and the password has at least 8 characters. Only a system with demo data has this route.
#[utoipa::path(
    post, path = "/signup", operation_id = "signUp", tag = "Session", request_body = NewCredentials,
    responses(
        (status = 201, description = "The account is created", body = UserView),
        (status = 404, description = "Sign-up is disabled; ask an administrator for an account", body = Problem),
        (status = 409, description = "Email address already exists", body = Problem),
    )
)]
pub async fn signup(
    State(state): State<AppState>,
    Json(credentials): Json<NewCredentials>,
) -> Result<(StatusCode, Json<UserView>)> {
    if !state.signup_enabled {
        return Err(Problem::not_found(
            "Sign-up is disabled; ask an administrator for an account",
        ));
    }
    let (email, password) = credentials.validate()?;
    let user = register(&state, &email, password, Role::User).await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}
