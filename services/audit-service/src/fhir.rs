//! Records as FHIR R4 resources `AuditEvent`: read and search, for auditors, recorded as `GET /audit` is.

mod resource;

use axum::{
    Router,
    extract::{RawQuery, State},
    routing::get,
};
use http::HeaderMap;
use kit::audit::Trail;
use kit::database::Pool;
use kit::fhir::{Base, DateRange, Known, Resource, Search, SearchSet, negotiated};
use kit::pagination::malformed_cursor;
use kit::{AppState, Auditor, Path, Problem, Result};
use uuid::Uuid;

use crate::{list::Filter, record::Record};

/// The supported parameters and their modifiers.
const KNOWN: &[Known] = &[("patient", &["Patient"]), ("date", &[]), ("agent", &["identifier"])];

/// Returns the routes.
pub fn routes() -> Router<AppState> {
    negotiated(
        Router::new()
            .route("/fhir/AuditEvent", get(search))
            .route("/fhir/AuditEvent/{id}", get(read)),
    )
}

/// Reads the record of one request.
async fn read(State(pool): State<Pool>, _: Auditor, trail: Trail, Path(id): Path<String>) -> Result<Resource> {
    trail.shown([]);
    let id: Option<Uuid> = id.parse().ok();
    let record: Option<Record> = sqlx::query_as("select * from records where event_id = $1")
        .bind(id)
        .fetch_optional(&pool)
        .await?;
    let record = record.ok_or_else(|| Problem::not_found("Audit event not found"))?;
    if let Some(patient) = record.patient_id {
        trail.patient(patient);
    }
    Ok(Resource(resource::resource(&record)))
}

/// Searches for records, newest first, page by page.
async fn search(
    State(pool): State<Pool>,
    _: Auditor,
    trail: Trail,
    base: Base,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Resource> {
    let search = Search::parse(query.as_deref().unwrap_or_default(), b"", &headers, KNOWN)?;
    let after = search
        .cursor
        .as_ref()
        .map(|cursor| cursor.parse().map_err(|_| malformed_cursor()));
    let after: Option<Uuid> = after.transpose()?;
    let filter = filter(&search)?;
    match filter.patient {
        Some(patient) => trail.patient(patient),
        None => trail.shown([]),
    }
    let mut set = SearchSet {
        url: format!("{}/AuditEvent", base.0),
        matches: Vec::new(),
        total: None,
        next: None,
    };
    if search.count == 0 {
        set.total = Some(filter.count(&pool, i64::MAX).await?);
        return Ok(Resource(set.bundle(&search)));
    }
    let mut records = filter.read(&pool, after, search.count + 1).await?;
    let limit = usize::try_from(search.count).unwrap_or_default();
    let has_next = records.len() > limit;
    records.truncate(limit);
    if let Some(last) = records.last().filter(|_| has_next) {
        let cursor = ("cursor".to_owned(), last.event_id.to_string());
        set.next = Some(search.used().iter().cloned().chain([cursor]).collect());
    }
    let url = |record: &Record| format!("{}/{}", set.url, record.event_id);
    set.matches = records
        .iter()
        .map(|record| (url(record), resource::resource(record)))
        .collect();
    Ok(Resource(set.bundle(&search)))
}

/// Returns the filter of the parameters, each of which has one value.
fn filter(search: &Search) -> Result<Filter> {
    let mut filter = Filter::default();
    for parameter in &search.parameters {
        let name = parameter.name;
        let [value] = parameter.values.as_slice() else {
            return Err(Problem::field(name, "This parameter has one value"));
        };
        let id = |separator: char| {
            let id = value.rsplit(separator).next().and_then(|id| id.parse().ok());
            id.ok_or_else(|| Problem::field(name, "This must be an id"))
        };
        match name {
            "patient" => set_once(&mut filter.patient, name, id('/')?)?,
            "agent" => set_once(&mut filter.actor, name, id('|')?)?,
            _ => {
                let range = DateRange::parse(name, value)?;
                if range.is_negated {
                    return Err(Problem::field(name, "The prefix ne is not supported; use lt and gt"));
                }
                filter.from = filter.from.max(range.start);
                filter.to = [filter.to, range.end].into_iter().flatten().min();
            }
        }
    }
    Ok(filter)
}

fn set_once(field: &mut Option<Uuid>, name: &str, id: Uuid) -> Result<()> {
    match field.replace(id) {
        Some(other) if other != id => Err(Problem::field(name, "This parameter has one value")),
        _ => Ok(()),
    }
}
