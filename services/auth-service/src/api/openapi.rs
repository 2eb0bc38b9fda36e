//! The OpenAPI document.

use utoipa::OpenApi;

use super::{jwks, login, logout, refresh, signup, users, validate};

/// The document of this service.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Users and sessions", description = "Users, login, refresh, logout and the signing keys."),
    paths(
        login::login, validate::validate, refresh::refresh, logout::logout, signup::signup,
        users::list, users::create, users::read, users::change, jwks::jwks,
    ),
    tags(
        (name = "Session", description = "Log in, stay, and go."),
        (name = "Users", description = "Who may log in; for administrators."),
        (name = "Keys", description = "What access tokens are checked with."),
    ),
)]
struct Document;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_complete() {
        assert_eq!(kit::testing::document_faults(&document()), Vec::<String>::new());
    }
}
