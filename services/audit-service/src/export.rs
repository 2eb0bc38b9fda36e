//! `GET /audit/patients/{patientId}/export`: every record that concerns a patient, for a copy of the patient's data.

use axum::{
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse, Response},
};
use futures::{
    StreamExt,
    future::ready,
    stream::{once, try_unfold},
};
use http::header;
use kit::database::Pool;
use kit::{Admin, Path, Result};
use sqlx::FromRow;
use uuid::Uuid;

/// Maximum number of records that are in memory.
const BATCH: i64 = 5000;

/// The next records as JSON, oldest first.
///
/// Left out are data of others: the other patients of a list, and the address and session of the user.
const SELECT: &str = "
    select max(position) as last, count(*) as records, string_agg(json, ',' order by position) as json from (
        select position, jsonb_strip_nulls(jsonb_build_object('eventId', event_id, 'occurredAt', occurred_at, 'actor', actor, 'role', role,
            'action', action, 'route', route, 'isListed', patient_id is distinct from $1, 'changedFields', changed_fields,
            'outcome', outcome, 'traceId', trace_id, 'service', service))::text as json
        from records where array_append(shown_patient_ids, patient_id) @> array[$1] and position > $2
        order by position limit $3
    ) next";

#[derive(Debug, FromRow)]
struct Batch {
    last: Option<i64>,
    records: i64,
    json: Option<String>,
}

impl Batch {
    async fn read(pool: &Pool, patient: Uuid, after: i64) -> sqlx::Result<Self> {
        let batch = sqlx::query_as(SELECT).bind(patient).bind(after).bind(BATCH);
        batch.fetch_one(pool).await
    }
}

/// Export the records that concern a patient, oldest first
///
/// They are requests that named the patient, and lists that showed it (`isListed`): who, when, which action, names of fields, and the
/// outcome. It is a part of `GET /patients/{id}/export`. A user's address and session are data of that user, and left out.
#[utoipa::path(get, path = "/audit/patients/{patientId}/export", operation_id = "exportAuditRecords", tag = "Audit",
    security(("bearer" = ["ADMIN"])),
    params(("patientId" = Uuid, Path, description = "The patient's id")),
    responses((status = 200, description = "The records", body = Object)))]
pub async fn export(State(pool): State<Pool>, _: Admin, Path(patient): Path<Uuid>) -> Result<Response> {
    let first = Batch::read(&pool, patient, 0).await?;
    let batches = try_unfold(Some((String::new(), first)), move |batch| {
        let pool = pool.clone();
        async move {
            let Some((separator, batch)) = batch else {
                return Ok(None);
            };
            let next = match batch.last.filter(|_| batch.records == BATCH) {
                Some(last) => Some(Batch::read(&pool, patient, last).await?),
                None => None,
            };
            let separator = batch.json.as_ref().map_or(String::new(), |_| separator);
            let text = separator + &batch.json.unwrap_or_default();
            Ok::<_, sqlx::Error>(Some((Bytes::from(text), next.map(|next| (",".to_owned(), next)))))
        }
    });
    let part = |text: &'static str| once(ready(Ok(Bytes::from_static(text.as_bytes()))));
    let body = part("{\"records\":[").chain(batches).chain(part("]}"));
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((json, Body::from_stream(body)).into_response())
}
