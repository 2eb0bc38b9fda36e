//! `GET /audit`: the records, newest first, page by page.

use axum::extract::State;
use kit::audit::Trail;
use kit::database::Pool;
use kit::instant::parse_instant;
use kit::pagination::{Page, Pagination, Total};
use kit::{Auditor, Problem, Query, Result};
use serde::Deserialize;
use sqlx::{Postgres, QueryBuilder};
use time::OffsetDateTime;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::record::Record;

/// Maximum number of matches that are counted.
const MAX_COUNTED: i64 = 1000;

/// Query parameters of the list, in addition to those of the pagination.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only requests that named this patient, or whose list showed it.
    patient_id: Option<Uuid>,
    /// Only requests of this user.
    actor: Option<Uuid>,
    /// Only this action, such as READ, LIST, SEARCH, CREATE, UPDATE, DELETE, EXPORT, HISTORY or `AUDIT_READ`.
    #[param(max_length = 40, pattern = "^[A-Z_]+$")]
    action: Option<String>,
    /// Start as a date or an RFC 3339 time (UTC).
    #[param(example = "2026-01-01")]
    from: Option<String>,
    /// End as a date or time, exclusive.
    to: Option<String>,
}

/// List audit records, newest first, page by page
///
/// The request is recorded itself, as `AUDIT_READ`. Records contain ids and names of fields, and no value of a patient; they
/// outlive a deleted patient.
#[utoipa::path(get, path = "/audit", operation_id = "listAuditRecords", tag = "Audit", security(("bearer" = ["AUDITOR"])),
    params(ListQuery, Pagination),
    responses(
        (status = 200, description = "A page of records", body = Vec<Record>, headers(("X-Total-Count"), ("X-Total-Count-Relation"), ("Link"))),
        (status = 400, description = "A parameter is malformed", body = Problem),
))]
pub async fn list(
    State(pool): State<Pool>,
    _: Auditor,
    trail: Trail,
    pagination: Pagination,
    Query(query): Query<ListQuery>,
) -> Result<Page<Record>> {
    match query.patient_id {
        Some(patient) => trail.patient(patient),
        None => trail.shown([]),
    }
    let filter = Filter::parse(query)?;
    let records = filter.read(&pool, pagination.cursor, pagination.rows()).await?;
    let total = match filter.count(&pool, MAX_COUNTED + 1).await? {
        counted if counted > MAX_COUNTED => Total::AtLeast(MAX_COUNTED),
        counted => Total::Exactly(counted),
    };
    Ok(pagination.page(records, |record| record.event_id).total(total))
}

/// A valid [`ListQuery`].
#[derive(Default)]
pub(crate) struct Filter {
    pub patient: Option<Uuid>,
    pub actor: Option<Uuid>,
    action: Option<String>,
    pub from: Option<OffsetDateTime>,
    pub to: Option<OffsetDateTime>,
}

impl Filter {
    fn parse(query: ListQuery) -> Result<Self> {
        let instant = |name: &str, text: Option<String>| {
            text.map(|text| {
                let malformed = || {
                    Problem::field(
                        name,
                        format!("{name} must be a date or an RFC 3339 time, from 1970 to 9998"),
                    )
                };
                parse_instant(&text).ok_or_else(malformed)
            })
            .transpose()
        };
        let is_action = |text: &String| {
            (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        };
        if query.action.as_ref().is_some_and(|action| !is_action(action)) {
            return Err(Problem::field(
                "action",
                "action must be an action in capitals, such as READ",
            ));
        }
        Ok(Self {
            patient: query.patient_id,
            actor: query.actor,
            action: query.action,
            from: instant("from", query.from)?,
            to: instant("to", query.to)?,
        })
    }

    /// Returns at most `rows` records, newest first, behind the record of the event `after`.
    pub async fn read(&self, pool: &Pool, after: Option<Uuid>, rows: i64) -> sqlx::Result<Vec<Record>> {
        let mut select = QueryBuilder::new("select * from records where true");
        self.push(&mut select);
        if let Some(after) = after {
            select
                .push(" and position < (select position from records where event_id = ")
                .push_bind(after)
                .push(")");
        }
        select.push(" order by position desc limit ").push_bind(rows);
        select.build_query_as().fetch_all(pool).await
    }

    /// Counts the records, at most `limit`.
    pub async fn count(&self, pool: &Pool, limit: i64) -> sqlx::Result<i64> {
        let mut select = QueryBuilder::new("select count(*) from (select from records where true");
        self.push(&mut select);
        select.push(" limit ").push_bind(limit).push(") matching");
        select.build_query_scalar().fetch_one(pool).await
    }

    fn push(&self, query: &mut QueryBuilder<Postgres>) {
        if let Some(patient) = self.patient {
            // The expression of the index.
            query
                .push(" and array_append(shown_patient_ids, patient_id) @> array[")
                .push_bind(patient)
                .push("]");
        }
        if let Some(actor) = self.actor {
            query.push(" and actor = ").push_bind(actor);
        }
        if let Some(action) = &self.action {
            query.push(" and action = ").push_bind(action.clone());
        }
        if let Some(from) = self.from {
            query.push(" and occurred_at >= ").push_bind(from);
        }
        if let Some(to) = self.to {
            query.push(" and occurred_at < ").push_bind(to);
        }
    }
}
