//! `GET /patients/{id}/history`: the changes of a patient.

use axum::extract::State;
use kit::database::Pool;
use kit::{Page, Pagination, Path, Problem, Result, pagination::Total, token::AuditorOrAdmin};
use uuid::Uuid;

use super::{
    change::{self, Change},
    store,
};

/// Read the history of a patient, oldest change first, page by page
///
/// It contains no values, and is erased with the patient; changes from before this route existed are not part of it.
#[utoipa::path(get, path = "/patients/{id}/history", operation_id = "readPatientHistory", tag = "Patients",
    security(("bearer" = ["ADMIN", "AUDITOR"])),
    params(("id" = Uuid, Path, description = "The patient's id"), Pagination<i64>),
    responses(
        (status = 200, description = "A page of changes", body = Vec<Change>, headers(("X-Total-Count"), ("X-Total-Count-Relation"), ("Link"))),
        (status = 404, description = "Patient not found", body = Problem),
))]
pub async fn read(
    State(pool): State<Pool>,
    _: AuditorOrAdmin,
    Path(id): Path<Uuid>,
    pagination: Pagination<i64>,
) -> Result<Page<Change>> {
    store::find(&pool, id).await?;
    let changes = change::list(&pool, id, pagination.cursor, pagination.rows()).await?;
    let total = sqlx::query_scalar("select count(*) from patient_change where patient_id = $1").bind(id);
    let total = total.fetch_one(&pool).await?;
    Ok(pagination
        .page(changes, |last| last.version)
        .total(Total::Exactly(total)))
}
