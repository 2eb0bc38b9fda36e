//! `POST /login`: email and password for a session.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use kit::Json;
use kit::problem::{Problem, Result};
use time::{Duration, OffsetDateTime};

use crate::address::ClientAddress;
use crate::app::App;
use crate::credentials::Credentials;
use crate::password::Verdict;
use crate::session::{self, Session};
use crate::throttle::{self, Attempt};
use crate::user;

/// Log in
///
/// The answer to a wrong password, an unknown user and a disabled one is the same, and takes the same time.
#[utoipa::path(
    post, path = "/login", operation_id = "logIn", tag = "Session", request_body = Credentials,
    responses(
        (status = 200, description = "A session", body = Session),
        (status = 401, description = "No such user, or another password", body = Problem),
        (status = 429, description = "Too many failures of this account from this address; Retry-After tells when", body = Problem),
    )
)]
pub async fn login(
    State(app): State<App>,
    address: ClientAddress,
    Json(credentials): Json<Credentials>,
) -> Result<Response> {
    let (email, password) = credentials.to_log_in()?;
    let attempt = Attempt::new(&email, &address);
    // The attempt is looked up within the turn, so that no more attempts than turns slip past it at once.
    let turn = app.passwords.turn().await?;
    let now = OffsetDateTime::now_utc();
    let wait = throttle::wait(&app.pool, &attempt, now).await?;
    if wait > Duration::ZERO {
        metrics::counter!("auth_logins_total", "outcome" => "throttled").increment(1);
        return Ok(too_many(wait));
    }
    // The same work whether or not there is such a user, and whether or not that user may log in.
    let candidate = user::find_login(&app.pool, &email).await?;
    let verdict = turn.matches(password.clone(), candidate.password_hash.clone()).await?;
    let Some(user) = candidate
        .user
        .filter(|user| verdict != Verdict::Wrong && !user.disabled)
    else {
        throttle::failed(&app.pool, &attempt, now).await?;
        metrics::counter!("auth_logins_total", "outcome" => "failure").increment(1);
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "Email or password is wrong"));
    };
    if let (Verdict::Outdated, Some(former)) = (verdict, candidate.password_hash) {
        let hash = turn.hash(password).await?;
        user::rehash(&app.pool, user.id, &former, &hash).await?;
        tracing::info!(user.id = %user.id, "a password was hashed again, at the present cost");
    }
    throttle::succeeded(&app.pool, &attempt, now).await?;
    metrics::counter!("auth_logins_total", "outcome" => "success").increment(1);
    tracing::info!(user.id = %user.id, "a user logged in");
    Ok(Json(session::open(&app, &user, now).await?).into_response())
}

fn too_many(wait: Duration) -> Response {
    let seconds = wait.as_seconds_f64().ceil().max(1.0) as u64;
    let words = format!("Too many failed logins; try again in {seconds} s");
    let mut response = Problem::too_many_requests(words).into_response();
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
