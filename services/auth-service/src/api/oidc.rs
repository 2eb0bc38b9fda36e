//! `/oidc/login` and `/oidc/callback`: a session by single sign-on.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use kit::problem::{Problem, Result};
use kit::{Json, Query};
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::IntoParams;

use crate::oidc::{OidcError, PendingLogin, Provider, account};
use crate::session::{self, Session};
use crate::state::AppState;

/// Lifetime of the cookie in seconds; the sealed time inside it counts.
const COOKIE_SECONDS: u32 = 600;

/// Log in by single sign-on
///
/// Sends the browser to the identity provider, with a cookie for its return. A login has 10 minutes, and a browser one at a time.
#[utoipa::path(
    get, path = "/oidc/login", operation_id = "startSingleSignOn", tag = "Single sign-on",
    responses(
        (status = 302, description = "To the identity provider", headers(("Location"))),
        (status = 404, description = "Single sign-on is not configured", body = Problem),
        (status = 502, description = "The identity provider gave a response that cannot be used", body = Problem),
    )
)]
pub async fn login(State(state): State<AppState>) -> Result<Response> {
    let provider = configured(&state)?;
    let login = PendingLogin::new(OffsetDateTime::now_utc());
    let url = provider.authorization_url(&login).await.map_err(failed)?;
    let sealed = login.seal(&state.seal).map_err(Problem::internal)?;
    let location = HeaderValue::try_from(url.as_str()).map_err(Problem::internal)?;
    let cookie = set_cookie(&provider, &sealed, COOKIE_SECONDS)?;
    Ok((StatusCode::FOUND, [(LOCATION, location), (SET_COOKIE, cookie)]).into_response())
}

/// The response of the identity provider (RFC 6749, 4.1.2; RFC 9207; parameters of some providers that are ignored).
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "the ignored parameters are documented, so that they are not refused as unknown"
)]
pub struct AuthorizationResponse {
    /// Exchanged for the user's claims.
    code: Option<String>,
    /// Of the login that this browser has started.
    state: Option<String>,
    /// The provider.
    iss: Option<String>,
    /// Reason for which the login ended.
    error: Option<String>,
    /// Ignored.
    error_description: Option<String>,
    /// Ignored.
    error_uri: Option<String>,
    /// Ignored.
    session_state: Option<String>,
    /// Ignored.
    scope: Option<String>,
    /// Ignored.
    authuser: Option<String>,
    /// Ignored.
    hd: Option<String>,
    /// Ignored.
    prompt: Option<String>,
}

/// Complete a login by single sign-on
///
/// The identity provider sends the browser here. A user is created at the first login; address and role follow the claims at
/// every login, and another role ends the user's sessions. Only the browser that started the login can complete it, once.
#[utoipa::path(
    get, path = "/oidc/callback", operation_id = "completeSingleSignOn", tag = "Single sign-on", params(AuthorizationResponse),
    responses(
        (status = 200, description = "A session", body = Session),
        (status = 403, description = "The provider ended the login, gives no role or no verified address, or the user is disabled", body = Problem),
        (status = 404, description = "Single sign-on is not configured", body = Problem),
        (status = 409, description = "Another account has the email address", body = Problem),
        (status = 502, description = "The identity provider gave a response that cannot be used", body = Problem),
    )
)]
pub async fn callback(
    State(state): State<AppState>,
    headers: HeaderMap,
    Query(response): Query<AuthorizationResponse>,
) -> Result<Response> {
    let provider = configured(&state)?;
    let session = complete(&state, &provider, &headers, response).await?;
    count("success");
    let cookie = set_cookie(&provider, "", 0)?;
    Ok(([(SET_COOKIE, cookie)], Json(session)).into_response())
}

async fn complete(
    state: &AppState,
    provider: &Provider,
    headers: &HeaderMap,
    response: AuthorizationResponse,
) -> Result<Session> {
    let now = OffsetDateTime::now_utc();
    let login = cookie(headers, cookie_name(provider))
        .zip(response.state)
        .and_then(|(cookie, value)| PendingLogin::open(&state.seal, cookie, &value, now))
        .ok_or(OidcError::UnknownState)
        .map_err(failed)?;
    login.consume(&state.pool, now).await.map_err(failed)?;
    let code = match (response.error, response.code) {
        (None, Some(code)) => code,
        // Anyone can send any error here: it is neither logged nor repeated, and no failure of ours.
        (Some(_), _) => return Err(failed(OidcError::Ended)),
        (None, None) => return Err(failed(OidcError::InvalidCode)),
    };
    let identity = provider.identify(&login, &code, response.iss.as_deref()).await;
    let settings = provider.settings();
    let user = account::sync(&state.pool, &identity.map_err(failed)?, settings, now).await;
    let user = user.map_err(failed)?;
    let session = session::start(state, &user, settings.session_lifetime, now).await?;
    tracing::info!(user.id = %user.id, "a user logged in by single sign-on");
    // Disabled or deleted in between.
    session.ok_or_else(|| failed(OidcError::Disabled))
}

/// Returns the provider.
///
/// # Errors
/// 404 if there is none.
fn configured(state: &AppState) -> Result<Arc<Provider>> {
    let missing = "Single sign-on is not configured; log in with email and password";
    state.oidc.clone().ok_or_else(|| Problem::not_found(missing))
}

/// Returns the name of the cookie; the prefix keeps other hosts of the domain from setting it (RFC 6265bis, 4.1.3.2).
fn cookie_name(provider: &Provider) -> &'static str {
    if is_https(provider) {
        "__Host-oidc_login"
    } else {
        "oidc_login"
    }
}

fn is_https(provider: &Provider) -> bool {
    provider.settings().redirect_uri.scheme() == "https"
}

/// Writes the cookie. It is sent with the return from the provider, which is a navigation from another site: `Lax`.
fn set_cookie(provider: &Provider, value: &str, seconds: u32) -> Result<HeaderValue> {
    let secure = if is_https(provider) { "; Secure" } else { "" };
    let name = cookie_name(provider);
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(text).map_err(Problem::internal)
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|list| list.split(';')).map(str::trim);
    pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn failed(error: OidcError) -> Problem {
    count(error.outcome());
    error.into()
}

fn count(outcome: &'static str) {
    metrics::counter!("auth_single_sign_on_logins_total", "outcome" => outcome).increment(1);
}
