//! `POST /signup`: a demo account for whoever asks.

use axum::extract::State;
use http::StatusCode;
use kit::Json;
use kit::problem::{Problem, Result};
use kit::token::Role;

use super::users::UserView;
use crate::app::App;
use crate::credentials::NewCredentials;

/// Sign up
///
/// The role is always USER, and the password has 8 characters at least. Only a system with demo data has this route.
#[utoipa::path(
    post, path = "/signup", operation_id = "signUp", tag = "Session", request_body = NewCredentials,
    responses(
        (status = 201, description = "The account is open", body = UserView),
        (status = 404, description = "This system has no demo data; an admin adds users", body = Problem),
        (status = 409, description = "The email address is taken", body = Problem),
    )
)]
pub async fn signup(
    State(app): State<App>,
    Json(credentials): Json<NewCredentials>,
) -> Result<(StatusCode, Json<UserView>)> {
    if !app.signup {
        return Err(Problem::not_found(
            "Nobody signs up here; ask an administrator for an account",
        ));
    }
    let (email, password) = credentials.to_sign_up()?;
    let user = app.register(&email, password, Role::User).await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}
