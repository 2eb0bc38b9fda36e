//! The HTTP API: one file for each route, the router and the OpenAPI document.

pub mod jwks;
pub mod login;
pub mod logout;
pub mod oidc;
pub mod password;
pub mod password_reset;
pub mod refresh;
pub mod revoked_sessions;
pub mod sessions;
pub mod signup;
pub mod totp;
pub mod users;
pub mod validate;

use axum::Router;
use axum::routing::{delete, get, post, put};
use utoipa::OpenApi;

use crate::state::AppState;

/// Returns all routes; the gateway exposes them under `/auth`, except `/revoked-sessions`.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/login", post(login::login))
        .route("/validate", get(validate::validate))
        .route("/refresh", post(refresh::refresh))
        .route("/logout", post(logout::logout))
        .route("/signup", post(signup::signup))
        .route("/oidc/login", get(oidc::login))
        .route("/oidc/callback", get(oidc::callback))
        .route("/password", put(password::change))
        .route("/password/reset-request", post(password_reset::request))
        .route("/password/reset", post(password_reset::reset))
        .route("/totp", get(totp::read).post(totp::enrol))
        .route("/totp/confirm", post(totp::confirm))
        .route("/totp/remove", post(totp::remove))
        .route("/sessions", get(sessions::list).delete(sessions::end_all))
        .route("/sessions/{id}", delete(sessions::end))
        .route("/users", get(users::list).post(users::create))
        .route(
            "/users/{id}",
            get(users::read).patch(users::update).delete(users::delete),
        )
        .route("/users/{id}/password/reset", post(password_reset::force))
        .route("/users/{id}/sessions", delete(sessions::end_all_of_user))
        .route("/users/{id}/totp", delete(totp::remove_of_user))
        .route("/.well-known/jwks.json", get(jwks::jwks))
        .route("/revoked-sessions", get(revoked_sessions::revoked_sessions))
        .with_state(state)
}

/// Returns the OpenAPI document of [`router`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    ApiDoc::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Users and sessions", description = "Users, login, refresh, logout and the signing keys."),
    paths(
        login::login, validate::validate, refresh::refresh, logout::logout, signup::signup,
        oidc::login, oidc::callback,
        password::change, password_reset::request, password_reset::reset, password_reset::force,
        totp::read, totp::enrol, totp::confirm, totp::remove, totp::remove_of_user,
        sessions::list, sessions::end, sessions::end_all, sessions::end_all_of_user,
        users::list, users::create, users::read, users::update, users::delete, jwks::jwks, revoked_sessions::revoked_sessions,
    ),
    tags(
        (name = "Session", description = "Sessions: log in, refresh, log out."),
        (name = "Single sign-on", description = "A session by an external identity provider (OpenID Connect)."),
        (name = "Password", description = "Change a password, and set a new one with a link."),
        (name = "Authenticator", description = "The second factor of an account with a password (TOTP, RFC 6238)."),
        (name = "Users", description = "User accounts, for administrators."),
        (name = "Keys", description = "Public keys that verify access tokens."),
    ),
)]
struct ApiDoc;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_complete() {
        assert_eq!(kit::testing::document_faults(&openapi()), Vec::<String>::new());
    }
}
