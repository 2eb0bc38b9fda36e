//! `GET /.well-known/jwks.json`: the public keys (RFC 7517).

use axum::extract::State;
use axum::response::IntoResponse;
use http::header;
use kit::Json;
use utoipa::ToSchema;

use crate::state::AppState;

/// Schema of the public keys.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema matters; the keyring returns the keys as JSON")]
struct KeySet {
    /// P-256 keys for ES256, each with its `kid`.
    #[schema(value_type = Vec<Object>, min_items = 1)]
    keys: (),
}

/// Read the public keys
///
/// Old and new ones: a key is published before it signs, and until its last token has expired.
#[utoipa::path(get, path = "/.well-known/jwks.json", operation_id = "readKeys", tag = "Keys", responses(
    (status = 200, description = "A JWK Set (RFC 7517)", body = KeySet, headers(("Cache-Control"))),
))]
pub async fn jwks(State(state): State<AppState>) -> impl IntoResponse {
    (
        [(header::CACHE_CONTROL, "public, max-age=60")],
        Json(state.keyring.jwks()),
    )
}
