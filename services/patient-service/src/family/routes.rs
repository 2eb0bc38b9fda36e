//! The routes of `/families`.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use kit::audit::Trail;
use kit::database::Pool;
use kit::{
    Caller, Json, Path, Prefix, Problem, Result,
    pagination::{Page, Pagination, SortCursor, Total},
};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Family, store};
use crate::{audit, text};

/// The body of a creation.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(example = json!({"name": "The Lovelaces"}))]
pub struct FamilyBody {
    /// 1 to 100 characters.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 100, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    name: serde_json::Value,
}

/// List families by name, page by page
#[utoipa::path(get, path = "/families", operation_id = "listFamilies", tag = "Families", security(("bearer" = [])),
    params(Pagination),
    responses(
        (status = 200, description = "A page of families", body = Vec<Family>, headers(("X-Total-Count"), ("X-Total-Count-Relation"), ("Link"))),
))]
pub async fn list(
    State(pool): State<Pool>,
    _: Caller,
    trail: Trail,
    pagination: Pagination<SortCursor>,
) -> Result<Page<Family>> {
    if let Some(cursor) = &pagination.cursor {
        cursor.expect_sort(store::SORT)?;
    }
    let families = store::list(&pool, pagination.cursor.as_ref(), pagination.rows()).await?;
    let total = store::count(&pool).await?;
    let page = pagination.page(families, store::cursor_behind);
    trail.shown(page.rows().iter().flat_map(Family::member_ids));
    Ok(page.total(Total::Exactly(total)))
}

/// Create a family
#[utoipa::path(post, path = "/families", operation_id = "createFamily", tag = "Families", security(("bearer" = [])),
    request_body = FamilyBody,
    responses((status = 201, description = "Created; Location is its URL", body = Family, headers(("Location"))),
))]
pub async fn create(
    State(pool): State<Pool>,
    _: Caller,
    trail: Trail,
    prefix: Prefix,
    Json(body): Json<FamilyBody>,
) -> Result<Response> {
    let name = text::parse(&body.name, "Name", 100).map_err(|error| Problem::field("name", error.to_string()))?;
    let mut transaction = pool.begin().await?;
    let family = store::create(&mut *transaction, &name).await?;
    trail.shown([]);
    audit::enqueue(&mut transaction, trail.record(StatusCode::CREATED)).await?;
    transaction.commit().await?;
    let location = prefix.join(&format!("/families/{}", family.id));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(family)).into_response())
}

/// Read a family
#[utoipa::path(get, path = "/families/{id}", operation_id = "readFamily", tag = "Families", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The family's id")),
    responses(
    (status = 200, description = "The family and its members", body = Family),
    (status = 404, description = "Family not found", body = Problem),
))]
pub async fn read(State(pool): State<Pool>, _: Caller, trail: Trail, Path(id): Path<Uuid>) -> Result<Json<Family>> {
    let family = store::find(&pool, id).await?;
    trail.shown(family.member_ids());
    Ok(Json(family))
}

/// Add a patient to a family
#[utoipa::path(put, path = "/families/{id}/members/{patientId}", operation_id = "addMember", tag = "Families",
    security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The family's id"), ("patientId" = Uuid, Path, description = "The patient's id")),
    responses(
        (status = 204, description = "The patient is a member"),
        (status = 404, description = "Family not found, or Patient not found", body = Problem),
))]
pub async fn add_member(
    State(pool): State<Pool>,
    _: Caller,
    trail: Trail,
    Path((family, patient)): Path<(Uuid, Uuid)>,
) -> Result<StatusCode> {
    let mut transaction = pool.begin().await?;
    store::add_member(&mut *transaction, family, patient).await?;
    trail.changed(["family"]);
    audit::enqueue(&mut transaction, trail.record(StatusCode::NO_CONTENT)).await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a patient from a family
#[utoipa::path(delete, path = "/families/{id}/members/{patientId}", operation_id = "removeMember", tag = "Families",
    security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The family's id"), ("patientId" = Uuid, Path, description = "The patient's id")),
    responses(
        (status = 204, description = "The patient is no longer a member"),
        (status = 404, description = "The patient is not a member of this family", body = Problem),
))]
pub async fn remove_member(
    State(pool): State<Pool>,
    _: Caller,
    trail: Trail,
    Path((family, patient)): Path<(Uuid, Uuid)>,
) -> Result<StatusCode> {
    let mut transaction = pool.begin().await?;
    store::remove_member(&mut *transaction, family, patient).await?;
    trail.changed(["family"]);
    audit::enqueue(&mut transaction, trail.record(StatusCode::NO_CONTENT)).await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
