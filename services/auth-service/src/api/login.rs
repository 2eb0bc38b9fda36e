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
use crate::session::{self, Session};
use crate::throttle::{self, Pair};
use crate::user;

/// Log in
///
/// The answer to a wrong password, an unknown user and a disabled one is the same, and takes the same time.
#[utoipa::path(
    post, path = "/login", tag = "Session", request_body = Credentials,
    responses(
        (status = 200, body = Session),
        (status = 400, description = "A field is missing or malformed", body = Problem),
        (status = 401, description = "No such user, or another password", body = Problem),
        (status = 429, description = "Too many failures of this account from this address; Retry-After tells when", body = Problem),
    )
)]
pub async fn login(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    Json(credentials): Json<Credentials>,
) -> Result<Response> {
    let (email, password) = credentials.to_log_in()?;
    let pair = Pair::new(&email, &address);
    // The pair is looked up within the turn, so that no more attempts than turns slip past it at once.
    let turn = app.passwords.turn().await?;
    let now = OffsetDateTime::now_utc();
    let wait = throttle::wait(&app.pool, &pair, now).await?;
    if wait > Duration::ZERO {
        metrics::counter!("auth_logins_total", "outcome" => "throttled").increment(1);
        return Ok(too_many(wait));
    }
    let found = user::find_login(&app.pool, &email).await?;
    let (account, hash) = found.map(|login| (login.user, login.password_hash)).unzip();
    let matches = turn.matches(password, hash).await?;
    match account.filter(|user| matches && !user.disabled) {
        Some(user) => {
            throttle::succeeded(&app.pool, &pair).await?;
            metrics::counter!("auth_logins_total", "outcome" => "success").increment(1);
            tracing::info!(user.id = %user.id, "a user logged in");
            Ok(Json(session::open(&app, &user, now).await?).into_response())
        }
        None => {
            throttle::failed(&app.pool, &pair, now).await?;
            metrics::counter!("auth_logins_total", "outcome" => "failure").increment(1);
            Err(Problem::new(StatusCode::UNAUTHORIZED, "Email or password is wrong"))
        }
    }
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
