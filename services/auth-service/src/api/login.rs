//! `POST /login`: exchanges email and password for a session.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use kit::problem::{Problem, Result};
use kit::{Email, Json};
use time::{Duration, OffsetDateTime};
use tokio::time::{Instant, sleep_until};

use crate::client_address::ClientAddress;
use crate::credentials::Credentials;
use crate::password::{HashPermit, Password, Verification};
use crate::refresh_token;
use crate::session::{self, Session};
use crate::state::AppState;
use crate::throttle::{self, Attempt};
use crate::totp;
use crate::user::{self, User};

/// Result of an attempt to log in.
enum Outcome {
    LoggedIn(Session),
    /// The password or the code is wrong, or there is no such user, or not any more.
    Refused,
    /// The password is right, and the account has an authenticator.
    CodeRequired,
    /// The password is right, and there were too many wrong codes.
    CodesThrottled(Duration),
}

/// Log in
///
/// The response to a wrong password, an unknown user and a disabled user is the same, and takes the same time. An account with
/// an authenticator needs its code too: without one, the right password is 400 with `errors.totp`; send both again with `totp`.
#[utoipa::path(
    post, path = "/login", operation_id = "logIn", tag = "Session", request_body = Credentials,
    responses(
        (status = 200, description = "A session", body = Session),
        (status = 401, description = "Invalid email, password or code", body = Problem),
        (status = 429, description = "Too many failed logins to this account from this address, or wrong codes; retry after Retry-After", body = Problem),
    )
)]
pub async fn login(
    State(state): State<AppState>,
    address: ClientAddress,
    Json(credentials): Json<Credentials>,
) -> Result<Response> {
    let code = credentials.code()?;
    let (email, password) = credentials.validate()?;
    let attempt = Attempt::new(email.as_str(), &address);
    // The pause is read after the permit is acquired, so that no more concurrent attempts than permits bypass it.
    let permit = state.passwords.acquire().await?;
    let refused_at = Instant::now() + state.passwords.refusal_time();
    let now = OffsetDateTime::now_utc();
    let pauses = throttle::pauses(&state.pool, &attempt, now).await?;
    let is_slowed_down = pauses.address > Duration::ZERO;
    if pauses.pair > Duration::ZERO {
        count("throttled");
        return Ok(too_many_failures(pauses.pair.max(pauses.address)));
    }
    if !is_slowed_down || pauses.is_familiar {
        match try_to_log_in(&state, permit, &email, password, code, now).await? {
            Outcome::LoggedIn(session) => {
                throttle::record_success(&state.pool, &attempt, now).await?;
                count("success");
                return Ok(Json(session).into_response());
            }
            Outcome::CodeRequired => {
                count("code_required");
                return Err(Problem::field("totp", "A code of your authenticator is required"));
            }
            Outcome::CodesThrottled(pause) => {
                count("throttled");
                return Ok(too_many(pause, "Too many wrong codes"));
            }
            Outcome::Refused => {}
        }
        if !is_slowed_down {
            throttle::record_failure(&state.pool, &attempt, now).await?;
            count("failure");
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "Invalid email or password"));
        }
        throttle::record_familiar_failure(&state.pool, &attempt, now).await?;
    } else {
        drop(permit);
    }
    // Whether the password was verified, because the account is familiar, does not show in the time either.
    sleep_until(refused_at).await;
    count("throttled");
    Ok(too_many_failures(pauses.address))
}

/// Starts a session if password and code are right. The same work is done if the user does not exist or is disabled.
async fn try_to_log_in(
    state: &AppState,
    permit: HashPermit,
    email: &Email,
    password: Password,
    code: Option<String>,
    now: OffsetDateTime,
) -> Result<Outcome> {
    let candidate = user::find_login_candidate(&state.pool, email).await?;
    let verification = permit.verify(password.clone(), candidate.password_hash.clone()).await?;
    let Some(user) = candidate.user else {
        return Ok(Outcome::Refused);
    };
    if !is_match(verification, &user) || user.disabled {
        return Ok(Outcome::Refused);
    }
    // While the permit is held, so that concurrent guesses do not bypass the pause.
    if let Some(outcome) = check_code(state, &user, code, now).await? {
        return Ok(outcome);
    }
    if let (Verification::OutdatedMatch, Some(former)) = (verification, candidate.password_hash) {
        let hash = permit.hash(password).await?;
        user::rehash(&state.pool, user.id, &former, &hash).await?;
        tracing::info!(user.id = %user.id, "rehashed a password");
    }
    match session::start(state, &user, refresh_token::FAMILY_LIFETIME, now).await? {
        Some(session) => {
            tracing::info!(user.id = %user.id, "a user logged in");
            Ok(Outcome::LoggedIn(session))
        }
        None => Ok(Outcome::Refused),
    }
}

/// Checks the code of a user whose password is right; `None` if the login may go on.
async fn check_code(
    state: &AppState,
    user: &User,
    code: Option<String>,
    now: OffsetDateTime,
) -> Result<Option<Outcome>> {
    let enrolment = totp::find(&state.pool, user.id).await?;
    if !enrolment.is_some_and(|enrolment| enrolment.is_confirmed) {
        return Ok(None);
    }
    let pause = throttle::code_pause(&state.pool, user.id, now).await?;
    if pause > Duration::ZERO {
        return Ok(Some(Outcome::CodesThrottled(pause)));
    }
    let Some(code) = code else {
        return Ok(Some(Outcome::CodeRequired));
    };
    let mut transaction = state.pool.begin().await?;
    let is_accepted = totp::accept(&mut transaction, &state.seal, user.id, &code, now).await?;
    transaction.commit().await?;
    if is_accepted {
        return Ok(None);
    }
    throttle::record_wrong_code(&state.pool, user.id, now).await?;
    tracing::warn!(user.id = %user.id, "a login had the right password and a wrong code");
    Ok(Some(Outcome::Refused))
}

/// Returns true if the password is that of the user; a hash that cannot be read is logged.
pub(super) fn is_match(verification: Verification, user: &User) -> bool {
    match verification {
        Verification::Match | Verification::OutdatedMatch => true,
        Verification::Mismatch => false,
        Verification::Unreadable => {
            tracing::error!(user.id = %user.id, "the stored password hash cannot be read; reset the user's password");
            false
        }
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("auth_logins_total", "outcome" => outcome).increment(1);
}

/// Returns 429 after too many failed logins.
pub(super) fn too_many_failures(pause: Duration) -> Response {
    too_many(pause, "Too many failed logins")
}

/// Returns 429 with `Retry-After`.
pub(super) fn too_many(pause: Duration, reason: &str) -> Response {
    // Rounded up, so that a client that waits for it is not too early.
    let seconds = (pause + Duration::nanoseconds(999_999_999)).whole_seconds().max(1);
    let detail = format!("{reason}; try again in {seconds} s");
    let mut response = Problem::too_many_requests(detail).into_response();
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
