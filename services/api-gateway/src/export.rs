//! `GET /api/patients/{id}/export`: the document of patient-service, with what the other services hold about the person.
//!
//! The gateway has a connection to every service and the caller's token, so no service needs another connection or more rights
//! than its caller. patient-service answers first: it checks the role, knows if there is such a patient, and records the export.

use axum::body::{Body, Bytes};
use futures::future::{join_all, ready};
use futures::stream::{self, StreamExt};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use kit::Problem;
use uuid::Uuid;

use crate::backend::Backend;
use crate::upstream::{Outgoing, Upstream};

/// The parts in the order of the document: the field, the service, and the beginning of the path at the service.
///
/// The audit trail is the last one, because only it can be large.
const PARTS: [(&str, Backend, &str); 4] = [
    ("billing", Backend::Billing, "/billing"),
    ("notifications", Backend::Notification, "/notifications"),
    ("analytics", Backend::Analytics, "/analytics"),
    ("audit", Backend::Audit, "/audit"),
];

/// Headers of the client's request that the other services receive, too.
const HEADERS: [&str; 5] = [
    "authorization",
    "traceparent",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-prefix",
];

/// Maximum size of the document of patient-service, in bytes; 100,000 changes of a patient have less.
const MAX_DOCUMENT_BYTES: usize = 32 << 20;

/// The parts of an export that other services hold.
pub struct Parts {
    patient: Uuid,
    /// HEAD: there is no body, and no part is requested.
    is_head: bool,
    headers: HeaderMap,
}

impl Parts {
    /// Returns the parts of an export; `None` if the request is none.
    pub fn of(request: &Outgoing) -> Option<Self> {
        let is_head = request.method == Method::HEAD;
        let patient = request
            .path
            .path()
            .strip_prefix("/patients/")?
            .strip_suffix("/export")?;
        let patient = patient
            .parse()
            .ok()
            .filter(|_| is_head || request.method == Method::GET)?;
        let headers = request.headers.iter();
        let headers = headers.filter(|(name, _)| HEADERS.contains(&name.as_str()));
        Some(Self {
            patient,
            is_head,
            headers: headers.map(|(name, value)| (name.clone(), value.clone())).collect(),
        })
    }

    /// Adds the parts to the document of patient-service.
    ///
    /// The parts are sent on as they arrive. If one breaks off, so does the response: its end is missing, and no client takes it for
    /// complete.
    ///
    /// # Errors
    /// 503 if a part is missing; the problem names the services.
    pub async fn add_to(self, response: Response<Body>, upstream: &Upstream) -> Result<Response<Body>, Problem> {
        let (mut head, body) = response.into_parts();
        head.headers.remove(header::CONTENT_LENGTH);
        if self.is_head {
            // Without a known length, which would be that of no document.
            let nothing = stream::empty::<Result<Bytes, axum::Error>>();
            return Ok(Response::from_parts(head, Body::from_stream(nothing)));
        }
        let document = Limited::new(body, MAX_DOCUMENT_BYTES).collect().await;
        let document = document.ok().map(http_body_util::Collected::to_bytes);
        let Some(document) = document.filter(|document| document.ends_with(b"}")) else {
            return Err(incomplete(&[Backend::Patient]));
        };
        let mut streams = vec![text(document.slice(..document.len() - 1))];
        let mut missing = Vec::new();
        let responses = join_all(PARTS.map(|(_, backend, path)| self.request(upstream, backend, path))).await;
        for ((field, backend, _), response) in PARTS.into_iter().zip(responses) {
            match response {
                Some(response) => streams.extend([
                    text(format!(",\"{field}\":").into()),
                    StreamExt::boxed(response.into_body().into_data_stream()),
                ]),
                None => missing.push(backend),
            }
        }
        if !missing.is_empty() {
            return Err(incomplete(&missing));
        }
        streams.push(text(Bytes::from_static(b"}")));
        Ok(Response::from_parts(
            head,
            Body::from_stream(stream::iter(streams).flatten()),
        ))
    }

    /// Returns the response with a part; `None` if the service has not returned it.
    async fn request(&self, upstream: &Upstream, backend: Backend, path: &str) -> Option<Response<Body>> {
        let path = PathAndQuery::try_from(format!("{path}/patients/{}/export", self.patient)).ok()?;
        let outgoing = Outgoing {
            method: Method::GET,
            path,
            headers: self.headers.clone(),
            body: Bytes::new(),
            is_repeatable: true,
        };
        // A failure is logged and counted by the client.
        let response = upstream.send(backend, outgoing).await.ok()?;
        let status = response.status();
        if status != StatusCode::OK {
            tracing::warn!(
                peer = backend.name(),
                status = status.as_u16(),
                "a part of an export is missing"
            );
            return None;
        }
        Some(response)
    }
}

fn text(bytes: Bytes) -> stream::BoxStream<'static, Result<Bytes, axum::Error>> {
    StreamExt::boxed(stream::once(ready(Ok(bytes))))
}

fn incomplete(missing: &[Backend]) -> Problem {
    let names: Vec<_> = missing.iter().map(|backend| backend.name()).collect();
    Problem::unavailable(format!(
        "The export would be incomplete, because these services did not return their part: {}; try again in a moment",
        names.join(", ")
    ))
}
