//! `PUT /password`: changes the password of the user.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use kit::Json;
use kit::problem::{Problem, Result};
use serde::Deserialize;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

use super::login::{is_match, too_many_failures};
use crate::client_address::ClientAddress;
use crate::credentials::{new_password, present_password};
use crate::current_user::CurrentUser;
use crate::password::{HashPermit, Password};
use crate::state::AppState;
use crate::throttle::{self, Attempt};
use crate::user::User;
use crate::{refresh_token, user};

/// The present password and the new one.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"currentPassword": "correct horse", "newPassword": "battery staple"}))]
pub struct PasswordChange {
    /// 1 to 1024 bytes.
    #[schema(required = true, nullable = false, format = Password, min_length = 1, max_length = 1024)]
    current_password: Option<String>,
    /// At least 8 characters, at most 1024 bytes.
    #[schema(required = true, nullable = false, format = Password, min_length = 8, max_length = 1024)]
    new_password: Option<String>,
}

impl PasswordChange {
    fn validate(self) -> Result<(Password, Password)> {
        match (present_password(self.current_password), new_password(self.new_password)) {
            (Ok(current), Ok(new)) => Ok((current, new)),
            (current, new) => {
                let current = current.err().map(|message| ("currentPassword".to_owned(), message));
                let new = new.err().map(|message| ("newPassword".to_owned(), message));
                Err(Problem::validation(current.into_iter().chain(new).collect()))
            }
        }
    }
}

/// Change your password
///
/// Ends all your other sessions. Wrong present passwords are counted like failed logins.
#[utoipa::path(
    put, path = "/password", operation_id = "changePassword", tag = "Password", request_body = PasswordChange,
    security(("bearer" = [])),
    responses(
        (status = 204, description = "The password is changed"),
        (status = 409, description = "The password has just been changed, or you have none here", body = Problem),
        (status = 429, description = "Too many wrong passwords; retry after Retry-After", body = Problem),
    )
)]
pub async fn change(
    State(state): State<AppState>,
    CurrentUser(claims): CurrentUser,
    address: ClientAddress,
    Json(body): Json<PasswordChange>,
) -> Result<Response> {
    let (current, new) = body.validate()?;
    let verified = verify_present(&state, claims.sub, &address, current, "currentPassword").await?;
    let (user, permit) = match verified {
        Ok(verified) => verified,
        Err(throttled) => return Ok(throttled),
    };
    let hash = permit.hash(new).await?;
    let mut transaction = state.pool.begin().await?;
    if !user::set_password(&mut transaction, &user, &hash, false).await? {
        return Err(Problem::conflict("The password has just been changed; log in again"));
    }
    refresh_token::revoke_others(&mut *transaction, user.id, claims.sid).await?;
    transaction.commit().await?;
    tracing::info!(user.id = %user.id, "a user changed the password");
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Verifies the present password of a user; `Err` is the response while it is throttled.
///
/// # Errors
/// 400 for `field` if it is wrong, 409 if the user has none.
pub(super) async fn verify_present(
    state: &AppState,
    id: Uuid,
    address: &ClientAddress,
    password: Password,
    field: &'static str,
) -> Result<std::result::Result<(User, HashPermit), Response>> {
    let permit = state.passwords.acquire().await?;
    let now = OffsetDateTime::now_utc();
    let (user, hash) = user::find_with_hash(&state.pool, id)
        .await?
        .ok_or_else(Problem::unauthorized)?;
    let Some(hash) = hash else {
        return Err(Problem::conflict(
            "You have no password here; use the identity provider",
        ));
    };
    let attempt = Attempt::new(&user.email, address);
    let pause = throttle::pauses(&state.pool, &attempt, now).await?.pair;
    if pause > Duration::ZERO {
        return Ok(Err(too_many_failures(pause)));
    }
    if !is_match(permit.verify(password, Some(hash)).await?, &user) {
        throttle::record_failure(&state.pool, &attempt, now).await?;
        return Err(Problem::field(field, "This is not your present password"));
    }
    Ok(Ok((user, permit)))
}
