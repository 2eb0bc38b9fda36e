//! `/totp`: the authenticator of a user, which a login asks for a code.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use kit::problem::{Problem, Result};
use kit::{Json, Path};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

use super::login::too_many;
use super::password::verify_present;
use crate::client_address::ClientAddress;
use crate::credentials::{parse_code, present_password};
use crate::current_user::{Administrator, CurrentUser};
use crate::password::Password;
use crate::state::AppState;
use crate::{throttle, totp, user};

/// The authenticator of a user.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TotpView {
    /// True if logins ask for a code.
    enabled: bool,
    /// Number of unused recovery codes.
    #[schema(minimum = 0, example = 10)]
    recovery_codes: i64,
}

/// Read whether you have an authenticator
#[utoipa::path(
    get, path = "/totp", operation_id = "readAuthenticator", tag = "Authenticator", security(("bearer" = [])),
    responses((status = 200, description = "Your authenticator", body = TotpView))
)]
pub async fn read(State(state): State<AppState>, CurrentUser(claims): CurrentUser) -> Result<Json<TotpView>> {
    let enrolment = totp::find(&state.pool, claims.sub).await?;
    let enrolment = enrolment.filter(|enrolment| enrolment.is_confirmed);
    Ok(Json(TotpView {
        enabled: enrolment.is_some(),
        recovery_codes: enrolment.map_or(0, |enrolment| enrolment.recovery_codes),
    }))
}

/// The present password.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"password": "correct horse"}))]
pub struct PresentPassword {
    /// 1 to 1024 bytes.
    #[schema(required = true, nullable = false, format = Password, min_length = 1, max_length = 1024)]
    password: Option<String>,
}

/// The secret of a new authenticator.
#[derive(Serialize, ToSchema)]
pub struct NewAuthenticator {
    /// Address that an authenticator reads as a QR code; it contains the secret, and is shown once.
    #[schema(
        example = "otpauth://totp/patient-management:ada%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=patient-management&algorithm=SHA1&digits=6&period=30"
    )]
    uri: String,
}

/// Set up an authenticator
///
/// Logins ask for its code after `/totp/confirm`. Until then another call replaces the secret. Wrong passwords are counted like
/// failed logins.
#[utoipa::path(
    post, path = "/totp", operation_id = "enrolAuthenticator", tag = "Authenticator", request_body = PresentPassword,
    security(("bearer" = [])),
    responses(
        (status = 201, description = "The secret, which is not shown again", body = NewAuthenticator),
        (status = 409, description = "You have an authenticator, or no password here", body = Problem),
        (status = 429, description = "Too many wrong passwords; retry after Retry-After", body = Problem),
    )
)]
pub async fn enrol(
    State(state): State<AppState>,
    CurrentUser(claims): CurrentUser,
    address: ClientAddress,
    Json(body): Json<PresentPassword>,
) -> Result<Response> {
    let password = required(body.password)?;
    let user = match verify_present(&state, claims.sub, &address, password, "password").await? {
        Ok((user, _)) => user,
        Err(throttled) => return Ok(throttled),
    };
    let secret = totp::enrol(&state.pool, &state.seal, user.id).await?;
    let secret = secret.ok_or_else(|| Problem::conflict("You have an authenticator; remove it first"))?;
    let uri = secret.uri(&state.audience, &user.email);
    Ok((StatusCode::CREATED, Json(NewAuthenticator { uri })).into_response())
}

fn required(password: Option<String>) -> Result<Password> {
    present_password(password).map_err(|message| Problem::field("password", message))
}

/// A code of the authenticator.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"totp": "123456"}))]
pub struct Code {
    /// 6 digits.
    #[schema(required = true, nullable = false, min_length = 1, max_length = 40)]
    totp: Option<String>,
}

/// Codes for logins without the authenticator.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryCodes {
    /// Each is valid once, as `totp` of a login; they are not shown again.
    recovery_codes: Vec<String>,
}

/// Confirm the authenticator with its first code
///
/// From now on, logins ask for a code.
#[utoipa::path(
    post, path = "/totp/confirm", operation_id = "confirmAuthenticator", tag = "Authenticator", request_body = Code,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Recovery codes, which are not shown again", body = RecoveryCodes),
        (status = 429, description = "Too many wrong codes; retry after Retry-After", body = Problem),
    )
)]
pub async fn confirm(
    State(state): State<AppState>,
    CurrentUser(claims): CurrentUser,
    Json(body): Json<Code>,
) -> Result<Response> {
    let code = parse_code(&body.totp.unwrap_or_default())?;
    let now = OffsetDateTime::now_utc();
    if let Some(throttled) = throttled(&state, claims.sub, now).await? {
        return Ok(throttled);
    }
    let mut transaction = state.pool.begin().await?;
    let codes = totp::confirm(&mut transaction, &state.seal, claims.sub, &code, now).await?;
    transaction.commit().await?;
    let Some(recovery_codes) = codes else {
        return Err(wrong_code(&state, claims.sub, now).await?);
    };
    tracing::info!(user.id = %claims.sub, "a user set up an authenticator");
    Ok(Json(RecoveryCodes { recovery_codes }).into_response())
}

/// Returns the response while codes are throttled.
async fn throttled(state: &AppState, user: Uuid, now: OffsetDateTime) -> Result<Option<Response>> {
    let pause = throttle::code_pause(&state.pool, user, now).await?;
    Ok((pause > Duration::ZERO).then(|| too_many(pause, "Too many wrong codes")))
}

/// Counts a wrong code, and returns the problem for it.
async fn wrong_code(state: &AppState, user: Uuid, now: OffsetDateTime) -> Result<Problem> {
    throttle::record_wrong_code(&state.pool, user, now).await?;
    Ok(Problem::field(
        "totp",
        "This code is not valid: it is wrong, expired or used, or nothing was set up",
    ))
}

/// The present password and a code.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"password": "correct horse", "totp": "123456"}))]
pub struct Removal {
    /// 1 to 1024 bytes.
    #[schema(required = true, nullable = false, format = Password, min_length = 1, max_length = 1024)]
    password: Option<String>,
    /// The present code of the authenticator, or a recovery code.
    #[schema(required = true, nullable = false, min_length = 1, max_length = 40)]
    totp: Option<String>,
}

/// Remove your authenticator
///
/// Wrong passwords are counted like failed logins, and wrong codes too.
#[utoipa::path(
    post, path = "/totp/remove", operation_id = "removeAuthenticator", tag = "Authenticator", request_body = Removal,
    security(("bearer" = [])),
    responses(
        (status = 204, description = "The authenticator and the recovery codes are removed"),
        (status = 409, description = "You have no password here", body = Problem),
        (status = 429, description = "Too many wrong passwords or codes; retry after Retry-After", body = Problem),
    )
)]
pub async fn remove(
    State(state): State<AppState>,
    CurrentUser(claims): CurrentUser,
    address: ClientAddress,
    Json(body): Json<Removal>,
) -> Result<Response> {
    let code = parse_code(&body.totp.unwrap_or_default())?;
    let password = required(body.password)?;
    // The permit is held, so that concurrent guesses do not bypass the pause.
    let (user, _permit) = match verify_present(&state, claims.sub, &address, password, "password").await? {
        Ok(verified) => verified,
        Err(throttled) => return Ok(throttled),
    };
    let now = OffsetDateTime::now_utc();
    if let Some(throttled) = throttled(&state, user.id, now).await? {
        return Ok(throttled);
    }
    let mut transaction = state.pool.begin().await?;
    let is_accepted = totp::accept(&mut transaction, &state.seal, user.id, &code, now).await?;
    if is_accepted {
        totp::remove(&mut *transaction, user.id).await?;
    }
    transaction.commit().await?;
    if !is_accepted {
        return Err(wrong_code(&state, user.id, now).await?);
    }
    tracing::info!(user.id = %user.id, "a user removed the authenticator");
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Remove the authenticator of a user
///
/// For a user who has lost it and the recovery codes. Your own needs its code: `/totp/remove`.
#[utoipa::path(
    delete, path = "/users/{id}/totp", operation_id = "removeAuthenticatorOfUser", tag = "Users", security(("bearer" = ["ADMIN"])),
    params(("id" = Uuid, Path, description = "The user's id")),
    responses(
        (status = 204, description = "The authenticator and the recovery codes are removed"),
        (status = 404, description = "The user does not exist, or has no authenticator", body = Problem),
        (status = 409, description = "It is your own", body = Problem),
    )
)]
pub async fn remove_of_user(
    State(state): State<AppState>,
    Administrator(admin): Administrator,
    Path(id): Path<Uuid>,
) -> Result<StatusCode> {
    if admin.sub == id {
        return Err(Problem::conflict(
            "Your own authenticator needs its code; use POST /auth/totp/remove",
        ));
    }
    if user::find(&state.pool, id).await?.is_none() {
        return Err(Problem::not_found("User not found"));
    }
    if !totp::remove(&state.pool, id).await? {
        return Err(Problem::not_found("The user has no authenticator"));
    }
    tracing::warn!(user.id = %id, admin.id = %admin.sub, "an administrator removed the authenticator of a user");
    Ok(StatusCode::NO_CONTENT)
}
