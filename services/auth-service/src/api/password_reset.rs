//! `/password/reset-request`, `/password/reset` and `/users/{id}/password/reset`: a new password by a link that is mailed.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use kit::problem::{Problem, Result};
use kit::{Email, Json, Path};
use serde::Deserialize;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

use super::login::too_many;
use crate::client_address::ClientAddress;
use crate::credentials::new_password;
use crate::current_user::Administrator;
use crate::password::Password;
use crate::state::AppState;
use crate::{password_reset, refresh_token, throttle, user};

/// The address of an account.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"email": "ada@example.org"}))]
pub struct ResetRequest {
    /// Surrounding spaces are removed; upper and lower case are equal.
    #[schema(required = true, nullable = false, format = "email", max_length = 254)]
    email: Option<String>,
}

/// Request a link for a new password
///
/// The response is the same whether or not there is such an account, and takes the same time. The link is valid once, within
/// 30 minutes, and replaces a former one.
#[utoipa::path(
    post, path = "/password/reset-request", operation_id = "requestPasswordReset", tag = "Password", request_body = ResetRequest,
    responses(
        (status = 202, description = "If there is such an account, a mail is sent"),
        (status = 429, description = "Too many requests for this account from this address; retry after Retry-After", body = Problem),
    )
)]
pub async fn request(
    State(state): State<AppState>,
    address: ClientAddress,
    Json(body): Json<ResetRequest>,
) -> Result<Response> {
    let email = Email::parse(&body.email.unwrap_or_default())
        .map_err(|error| Problem::field("email", error.to_string()))?
        .into_lowercase();
    let now = OffsetDateTime::now_utc();
    let pause = throttle::count_reset_request(&state.pool, email.as_str(), &address, now).await?;
    if pause.visible > Duration::ZERO {
        return Ok(too_many(pause.visible, "Too many requests for a new password"));
    }
    if state.mailer.is_none() {
        tracing::warn!(
            "a new password was requested, and no mail can be sent: set SMTP_URL or MAIL_TRANSPORT, and MAIL_FROM"
        );
    } else if !pause.is_account_exhausted {
        password_reset::request(&state.pool, &state.seal, email.as_str(), false, now)
            .await
            .map_err(Problem::internal)?;
        state.reset_requested.notify_one();
    }
    Ok(StatusCode::ACCEPTED.into_response())
}

/// The token of a link, and the new password.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"token": "the token of the mail", "newPassword": "battery staple"}))]
pub struct PasswordReset {
    /// From the mail.
    #[schema(required = true, nullable = false, min_length = 1)]
    token: Option<String>,
    /// At least 8 characters, at most 1024 bytes.
    #[schema(required = true, nullable = false, format = Password, min_length = 8, max_length = 1024)]
    new_password: Option<String>,
}

impl PasswordReset {
    fn validate(self) -> Result<(String, Password)> {
        let token = self.token.filter(|token| !token.is_empty());
        match (token, new_password(self.new_password)) {
            (Some(token), Ok(password)) => Ok((token, password)),
            (token, password) => {
                let token = token
                    .is_none()
                    .then(|| ("token".to_owned(), "Token is required".to_owned()));
                let password = password.err().map(|message| ("newPassword".to_owned(), message));
                Err(Problem::validation(token.into_iter().chain(password).collect()))
            }
        }
    }
}

/// Set a new password with the token of a link
///
/// Ends all sessions of the user. A token that is unknown, used, replaced or expired is 400.
#[utoipa::path(
    post, path = "/password/reset", operation_id = "resetPassword", tag = "Password", request_body = PasswordReset,
    responses((status = 204, description = "The password is set"))
)]
pub async fn reset(State(state): State<AppState>, Json(body): Json<PasswordReset>) -> Result<StatusCode> {
    let (token, password) = body.validate()?;
    let now = OffsetDateTime::now_utc();
    let invalid = || {
        let message = "Token is not valid: it is unknown, used, replaced or expired; request another one";
        Problem::field("token", message)
    };
    // A hash is computed for valid tokens only.
    let owner = password_reset::owner(&state.pool, &token, now)
        .await?
        .ok_or_else(invalid)?;
    let hash = state.passwords.acquire().await?.hash(password).await?;
    let mut transaction = state.pool.begin().await?;
    let user = user::lock(&mut *transaction, owner).await?.ok_or_else(invalid)?;
    // Of concurrent uses one passes: the others waited for the lock, and the token is gone.
    if password_reset::owner(&mut *transaction, &token, now).await? != Some(user.id) || user.disabled {
        return Err(invalid());
    }
    user::set_password(&mut transaction, &user, &hash, false).await?;
    refresh_token::revoke_all(&mut *transaction, user.id).await?;
    transaction.commit().await?;
    tracing::info!(user.id = %user.id, "a user set a new password with a link");
    Ok(StatusCode::NO_CONTENT)
}

/// Force a user to set a new password
///
/// The present password is no longer valid, all sessions end, and the user gets a link by mail.
#[utoipa::path(
    post, path = "/users/{id}/password/reset", operation_id = "forcePasswordReset", tag = "Users",
    security(("bearer" = ["ADMIN"])), params(("id" = Uuid, Path, description = "The user's id")),
    responses(
        (status = 202, description = "The password is no longer valid, and the mail will be sent"),
        (status = 404, description = "User not found", body = Problem),
        (status = 409, description = "No mail can be sent, or the user is disabled, the last administrator, or of the identity provider", body = Problem),
    )
)]
pub async fn force(
    State(state): State<AppState>,
    Administrator(admin): Administrator,
    Path(id): Path<Uuid>,
) -> Result<StatusCode> {
    if state.mailer.is_none() {
        return Err(Problem::conflict(
            "No mail can be sent, so the user would get no link; set SMTP_URL or MAIL_TRANSPORT, and MAIL_FROM, of auth-service",
        ));
    }
    let hash = state.passwords.acquire().await?.hash(Password::random()).await?;
    let now = OffsetDateTime::now_utc();
    let mut transaction = state.pool.begin().await?;
    if user::lock_admins(&mut *transaction).await? == [id] {
        return Err(Problem::conflict(
            "The last administrator would be locked out if the mail got lost; use PUT /auth/password",
        ));
    }
    let user = user::lock(&mut *transaction, id)
        .await?
        .ok_or_else(|| Problem::not_found("User not found"))?;
    if user.disabled {
        return Err(Problem::conflict("The user is disabled; enable the user first"));
    }
    if user.single_sign_on {
        return Err(Problem::conflict(
            "The user has no password here; reset it at the identity provider",
        ));
    }
    user::set_password(&mut transaction, &user, &hash, false).await?;
    refresh_token::revoke_all(&mut *transaction, id).await?;
    password_reset::request(&mut *transaction, &state.seal, &user.email, true, now)
        .await
        .map_err(Problem::internal)?;
    transaction.commit().await?;
    state.reset_requested.notify_one();
    tracing::info!(user.id = %id, admin.id = %admin.sub, "an administrator reset the password of a user");
    Ok(StatusCode::ACCEPTED)
}
