//! `POST /login`: exchanges email and password for a session.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use kit::Json;
use kit::problem::{Problem, Result};
use time::{Duration, OffsetDateTime};

use crate::client_address::ClientAddress;
use crate::credentials::Credentials;
use crate::password::Verification;
use crate::session::{self, Session};
use crate::state::AppState;
use crate::throttle::{self, Attempt};
use crate::user;

/// Log in
///
/// The response to a wrong password, an unknown user and a disabled user is the same, and takes the same time.
#[utoipa::path(
    post, path = "/login", operation_id = "logIn", tag = "Session", request_body = Credentials,
    responses(
        (status = 200, description = "A session", body = Session),
        (status = 401, description = "Invalid email or password", body = Problem),
        (status = 429, description = "Too many failed logins to this account from this address; retry after Retry-After", body = Problem),
    )
)]
pub async fn login(
    State(state): State<AppState>,
    address: ClientAddress,
    Json(credentials): Json<Credentials>,
) -> Result<Response> {
    let (email, password) = credentials.validate()?;
    let attempt = Attempt::new(&email, &address);
    // The pause is read after the permit is acquired, so that no more concurrent attempts than permits bypass it.
    let permit = state.passwords.acquire().await?;
    let now = OffsetDateTime::now_utc();
    let pause = throttle::remaining_pause(&state.pool, &attempt, now).await?;
    if pause > Duration::ZERO {
        count("throttled");
        return Ok(too_many_failures(pause));
    }
    // The same work is done if the user does not exist or is disabled.
    let candidate = user::find_login_candidate(&state.pool, &email).await?;
    let verification = permit.verify(password.clone(), candidate.password_hash.clone()).await?;
    let Some(user) = candidate
        .user
        .filter(|user| verification != Verification::Mismatch && !user.disabled)
    else {
        throttle::record_failure(&state.pool, &attempt, now).await?;
        count("failure");
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "Invalid email or password"));
    };
    if let (Verification::OutdatedMatch, Some(former)) = (verification, candidate.password_hash) {
        let hash = permit.hash(password).await?;
        user::rehash(&state.pool, user.id, &former, &hash).await?;
        tracing::info!(user.id = %user.id, "rehashed a password with the current cost");
    }
    throttle::record_success(&state.pool, &attempt, now).await?;
    count("success");
    tracing::info!(user.id = %user.id, "a user logged in");
    Ok(Json(session::start(&state, &user, now).await?).into_response())
}

fn count(outcome: &'static str) {
    metrics::counter!("auth_logins_total", "outcome" => outcome).increment(1);
}

fn too_many_failures(pause: Duration) -> Response {
    // Rounded up, so that a client that waits for it is not too early.
    let seconds = (pause + Duration::nanoseconds(999_999_999)).whole_seconds().max(1);
    let detail = format!("Too many failed logins; try again in {seconds} s");
    let mut response = Problem::too_many_requests(detail).into_response();
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
