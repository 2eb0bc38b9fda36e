//! FHIR R4 (4.0.1) over HTTP: media types, errors, search parameters and search sets, for services with routes under `/fhir/`.

mod date;
mod negotiation;
mod outcome;
mod search;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde_json::Value;

pub use date::{DateRange, instant};
pub use negotiation::{Base, negotiated};
pub(crate) use outcome::outcomes;
pub use search::{Known, Parameter, Search, SearchSet};

/// The version of FHIR.
pub const VERSION: &str = "4.0.1";
/// The media type of resources.
pub const MEDIA_TYPE: &str = "application/fhir+json";

/// A resource as a response.
#[derive(Debug, Clone)]
pub struct Resource(pub Value);

impl IntoResponse for Resource {
    fn into_response(self) -> Response {
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))];
        (content_type, axum::Json(self.0)).into_response()
    }
}
