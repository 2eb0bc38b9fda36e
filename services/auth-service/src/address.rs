//! The address of a client, as the gateway tells it.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;

/// The client's address, for slowing down those who guess; never for trust.
///
/// The gateway replaces whatever a client sent by the one address that it has seen, and nobody else can reach this
/// service; so the last entry is the gateway's. Callers without the header share one name.
pub struct ClientAddress(pub String);

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let last = parts.headers.get_all("x-forwarded-for").iter().next_back();
        let address = last
            .and_then(|value| value.to_str().ok())
            .and_then(|list| list.rsplit(',').next());
        Ok(ClientAddress(
            address
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .unwrap_or("direct")
                .to_owned(),
        ))
    }
}
