//! Audit of requests about patients: a response leaves only after the record of its request is written.
//!
//! [`Auditing::layer`] wraps the routes of a service. It authenticates the user, lets the handler answer, and writes one
//! record for each request, whatever its outcome. A handler adds what only it knows through its [`Trail`]; a successful
//! response of a handler that does not say whom it concerned is withheld, so that a new route cannot be forgotten. Requests
//! without a valid token have no user, see no patient, and are not recorded.

mod outbox;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use axum::{
    Router,
    extract::{ConnectInfo, FromRequestParts, MatchedPath, RawPathParams, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use contracts::audit::Event;
use http::{Method, StatusCode, request::Parts};
use parking_lot::Mutex;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    database,
    problem::Problem,
    token::{Authenticated, Claims, Verifier},
    trace,
};

pub use outbox::{Outbox, enqueue};

/// The type of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// One patient, or one family with its members.
    Read,
    /// A list.
    List,
    /// A list of matches; the text that was searched for is not recorded.
    Search,
    /// A creation.
    Create,
    /// A change.
    Update,
    /// A deletion.
    Delete,
    /// A copy of everything about a patient, or of all patients.
    Export,
    /// The versions of a patient.
    History,
    /// The audit trail itself.
    AuditRead,
}

impl Action {
    /// Returns the action as in the record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::List => "LIST",
            Self::Search => "SEARCH",
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Export => "EXPORT",
            Self::History => "HISTORY",
            Self::AuditRead => "AUDIT_READ",
        }
    }

    /// Derives the action from the method, the route's pattern and the query.
    fn of(method: &Method, route: &str, query: &str) -> Self {
        match route.rsplit('/').next().unwrap_or_default() {
            "export" | "bulk" => return Self::Export,
            "history" => return Self::History,
            // FHIR's interaction with all resources of a type is a search.
            "search" | "_search" | "Patient" => return Self::Search,
            // A notification that is sent again is changed, not created.
            "resend" => return Self::Update,
            _ => {}
        }
        match *method {
            Method::POST => Self::Create,
            Method::PUT | Method::PATCH => Self::Update,
            // A patient that leaves a family is changed, not deleted.
            Method::DELETE if route.contains("/members/") => Self::Update,
            Method::DELETE => Self::Delete,
            _ if route.contains('{') => Self::Read,
            _ if query.split('&').any(|parameter| parameter.starts_with("search=")) => Self::Search,
            _ => Self::List,
        }
    }
}

/// The place where records are written.
#[async_trait]
pub trait Sink: Send + Sync + 'static {
    /// Writes a record durably.
    ///
    /// # Errors
    /// Those of the database; the response is withheld then.
    async fn write(&self, record: Event) -> sqlx::Result<()>;
}

/// The audit of a service's routes.
#[derive(Clone)]
pub struct Auditing {
    service: &'static str,
    verifier: Verifier,
    sink: Arc<dyn Sink>,
    action: Option<Action>,
}

impl Auditing {
    /// Creates the audit of a service, which writes to `sink`.
    pub fn new(service: &'static str, verifier: Verifier, sink: impl Sink) -> Self {
        Self {
            service,
            verifier,
            sink: Arc::new(sink),
            action: None,
        }
    }

    /// Records every request as this action, in place of the one that method and route tell.
    #[must_use]
    pub fn action(self, action: Action) -> Self {
        Self {
            action: Some(action),
            ..self
        }
    }

    /// Wraps all routes of a router; those that are added later are not wrapped.
    pub fn layer<S: Clone + Send + Sync + 'static>(self, router: Router<S>) -> Router<S> {
        router.route_layer(middleware::from_fn_with_state(self, audit))
    }
}

/// The part of a record that only the handler knows; an extractor of routes below [`Auditing::layer`].
#[derive(Debug, Clone)]
pub struct Trail(Arc<Mutex<Draft>>);

#[derive(Debug)]
struct Draft {
    record: Event,
    /// True once it is known whom the request concerns, even if that is nobody.
    is_complete: bool,
    /// The outcome with which the handler wrote the record, in its own transaction.
    written: Option<StatusCode>,
}

impl Trail {
    /// Names the patient whom the request concerns; known already if the path has the id.
    pub fn patient(&self, id: Uuid) {
        let mut draft = self.0.lock();
        draft.record.patient = Some(id);
        draft.is_complete = true;
    }

    /// Names the patients whom the response shows; none is a valid answer.
    pub fn shown(&self, ids: impl IntoIterator<Item = Uuid>) {
        let mut draft = self.0.lock();
        draft.record.shown = ids.into_iter().collect();
        draft.is_complete = true;
    }

    /// Names the patient to whom a list was restricted, or else the patients whom it shows.
    pub fn listed(&self, patient: Option<Uuid>, shown: impl IntoIterator<Item = Uuid>) {
        match patient {
            Some(id) => self.patient(id),
            None => self.shown(shown),
        }
    }

    /// Names the fields that were set or changed.
    pub fn changed<T: Into<String>>(&self, fields: impl IntoIterator<Item = T>) {
        self.0.lock().record.changed_fields = fields.into_iter().map(Into::into).collect();
    }

    /// Returns the record for the transaction of a change, which will be answered with this status.
    ///
    /// The record of another status, such as after a commit that failed, is written in addition and has the same id.
    pub fn record(&self, outcome: StatusCode) -> Event {
        let mut draft = self.0.lock();
        draft.written = Some(outcome);
        draft.record(outcome)
    }

    /// Returns a further record of a request that changes or shows patients in several steps, each with its own record.
    pub fn further_record(&self, outcome: StatusCode) -> Event {
        Event {
            event_id: Uuid::now_v7(),
            ..self.record(outcome)
        }
    }
}

impl Draft {
    fn record(&self, outcome: StatusCode) -> Event {
        Event {
            outcome: outcome.as_u16(),
            occurred_at: OffsetDateTime::now_utc(),
            ..self.record.clone()
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Trail {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let trail = parts.extensions.get::<Self>().cloned();
        trail.ok_or_else(|| Problem::internal("a route without an audit trail has a handler that needs one"))
    }
}

async fn audit(State(auditing): State<Auditing>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let claims = match Authenticated::from_request_parts(&mut parts, &auditing.verifier).await {
        Ok(Authenticated(claims)) => claims,
        Err(problem) => return problem.into_response(),
    };
    let trail = Trail(Arc::new(Mutex::new(auditing.draft(&mut parts, &claims).await)));
    parts.extensions.insert(trail.clone());
    let response = next.run(Request::from_parts(parts, body)).await;
    let status = response.status();
    let record = {
        let draft = trail.0.lock();
        if status.is_success() && !draft.is_complete {
            return Problem::internal(format_args!(
                "the handler of {} does not say which patients it concerns",
                draft.record.route
            ))
            .into_response();
        }
        if draft.written == Some(status) {
            return response;
        }
        draft.record(status)
    };
    match auditing.sink.write(record).await {
        Err(error) if !status.is_server_error() => unrecorded(&error).into_response(),
        _ => response,
    }
}

/// 503: the record of a request cannot be written, so the request is not answered.
pub fn unrecorded(error: &sqlx::Error) -> Problem {
    database::record_error(error);
    tracing::error!(
        error = database::describe(error),
        "cannot write an audit record; its request is not answered"
    );
    Problem::unavailable("The request cannot be recorded, so it is not answered; try again in a moment")
}

impl Auditing {
    async fn draft(&self, parts: &mut Parts, claims: &Claims) -> Draft {
        let route = parts.extensions.get::<MatchedPath>();
        let route = route.map_or_else(String::new, |path| path.as_str().to_owned());
        let patient = named_patient(parts, &route).await;
        let derived = Action::of(&parts.method, &route, parts.uri.query().unwrap_or_default());
        Draft {
            is_complete: patient.is_some(),
            written: None,
            record: Event {
                event_id: Uuid::now_v7(),
                occurred_at: OffsetDateTime::now_utc(),
                actor: claims.sub,
                role: claims.role.as_str().to_owned(),
                session: Some(claims.sid),
                address: client_address(parts),
                action: self.action.unwrap_or(derived).as_str().to_owned(),
                route: format!("{} {route}", parts.method),
                patient,
                shown: Vec::new(),
                changed_fields: Vec::new(),
                outcome: StatusCode::OK.as_u16(),
                trace: trace::current_ids().map(|(trace, _)| trace.to_string()),
                service: self.service.to_owned(),
            },
        }
    }
}

/// Returns the patient whom the path names: `{patientId}`, `{patient_id}`, or `{id}` behind `/patients`.
async fn named_patient(parts: &mut Parts, route: &str) -> Option<Uuid> {
    let parameters = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    let is_patient = |name: &str| match name {
        "patientId" | "patient_id" => true,
        "id" => route.contains("/patients/{id}"),
        _ => false,
    };
    let (_, id) = parameters.iter().find(|(name, _)| is_patient(name))?;
    id.parse().ok()
}

/// Returns the client's address as the gateway reports it, otherwise that of the connection.
///
/// The gateway replaces the header of a client, and only the gateway can reach a service.
fn client_address(parts: &Parts) -> Option<IpAddr> {
    let last = parts.headers.get_all("x-forwarded-for").iter().next_back();
    let reported = last
        .and_then(|value| value.to_str().ok())
        .and_then(|list| list.rsplit(',').next())
        .and_then(|address| address.trim().parse::<IpAddr>().ok());
    let connection = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    reported
        .or_else(|| connection.map(|info| info.0.ip()))
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn method_route_and_query_tell_the_action() {
        for (method, route, query, action) in [
            (Method::GET, "/patients", "", Action::List),
            (Method::HEAD, "/patients", "limit=3&sort=name", Action::List),
            (Method::GET, "/patients", "limit=3&search=x", Action::Search),
            (Method::POST, "/patients/search", "", Action::Search),
            (Method::POST, "/patients", "", Action::Create),
            (Method::GET, "/patients/{id}", "", Action::Read),
            (Method::PUT, "/patients/{id}", "", Action::Update),
            (Method::DELETE, "/patients/{id}", "", Action::Delete),
            (
                Method::DELETE,
                "/families/{id}/members/{patient_id}",
                "",
                Action::Update,
            ),
            (Method::GET, "/patients/{id}/history", "", Action::History),
            (Method::GET, "/patients/{id}/export", "", Action::Export),
            (Method::POST, "/notifications/{id}/resend", "", Action::Update),
            (Method::GET, "/patients/bulk", "", Action::Export),
            (Method::GET, "/fhir/Patient/{patient_id}", "", Action::Read),
            (Method::GET, "/fhir/Patient", "", Action::Search),
            (Method::POST, "/fhir/Patient/_search", "", Action::Search),
        ] {
            assert_eq!(Action::of(&method, route, query), action, "{method} {route}?{query}");
        }
    }
}
