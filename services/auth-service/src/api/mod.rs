//! The HTTP interface, one file for each route.

pub mod jwks;
pub mod login;
pub mod logout;
pub mod openapi;
pub mod refresh;
pub mod signup;
pub mod users;
pub mod validate;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;

/// All routes; the gateway shows them under `/auth`.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/login", post(login::login))
        .route("/validate", get(validate::validate))
        .route("/refresh", post(refresh::refresh))
        .route("/logout", post(logout::logout))
        .route("/signup", post(signup::signup))
        .route("/users", get(users::list).post(users::create))
        .route("/users/{id}", get(users::read).patch(users::change))
        .route("/.well-known/jwks.json", get(jwks::jwks))
        .with_state(app)
}
