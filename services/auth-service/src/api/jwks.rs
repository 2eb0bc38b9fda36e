//! `GET /.well-known/jwks.json`: the public keys (RFC 7517).

use axum::extract::State;
use axum::response::IntoResponse;
use http::header;
use kit::Json;

use crate::app::App;

/// The public keys
///
/// Old and new ones: a key is here before it signs, and until its last token has expired.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "Keys", responses((status = 200, body = Value)))]
pub async fn jwks(State(app): State<App>) -> impl IntoResponse {
    (
        [(header::CACHE_CONTROL, "public, max-age=60")],
        Json(app.keyring.jwks()),
    )
}
