//! The HTTP API: one file for each route, the router and the OpenAPI document.

pub mod jwks;
pub mod login;
pub mod logout;
pub mod refresh;
pub mod signup;
pub mod users;
pub mod validate;

use axum::Router;
use axum::routing::{get, post};
use utoipa::OpenApi;

use crate::state::AppState;

/// Returns all routes; the gateway exposes them under `/auth`.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/login", post(login::login))
        .route("/validate", get(validate::validate))
        .route("/refresh", post(refresh::refresh))
        .route("/logout", post(logout::logout))
        .route("/signup", post(signup::signup))
        .route("/users", get(users::list).post(users::create))
        .route("/users/{id}", get(users::read).patch(users::update))
        .route("/.well-known/jwks.json", get(jwks::jwks))
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
        users::list, users::create, users::read, users::update, jwks::jwks,
    ),
    tags(
        (name = "Session", description = "Sessions: log in, refresh, log out."),
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
