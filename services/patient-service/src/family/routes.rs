//! `/families`.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use kit::{Caller, Json, Path, Prefix, Problem, Query, Result};
use serde::Deserialize;
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Family, store};
use crate::{
    page::{self, Cursor, Total},
    patient::input::text,
};

/// A family to be.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(example = json!({"name": "The Lovelaces"}))]
pub struct FamilyBody {
    /// 1 to 100 characters.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 100, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    name: serde_json::Value,
}

/// What a list can be asked.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Families of one page, 1 to 100; 20 by default.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 100, example = 20)]
    limit: Option<String>,
    /// Where the page starts, from the Link header of the page before.
    cursor: Option<String>,
}

/// List families by name, page by page.
#[utoipa::path(get, path = "/families", operation_id = "listFamilies", tag = "Families", security(("bearer" = [])),
    params(ListQuery),
    responses(
        (status = 200, description = "A page of families", body = Vec<Family>, headers(("X-Total-Count"), ("X-Total-Count-Relation"), ("Link"))),
))]
pub async fn list(
    State(pool): State<PgPool>,
    _: Caller,
    prefix: Prefix,
    Query(query): Query<ListQuery>,
) -> Result<Response> {
    let limit = page::limit(query.limit.as_deref())?;
    let after = query
        .cursor
        .as_deref()
        .map(|cursor| Cursor::parse(cursor, store::SORT))
        .transpose()?;
    let (families, total, next) = store::page(&pool, limit, after.as_ref()).await?;
    let headers = page::headers(
        Total::Exactly(total),
        next.as_ref(),
        &prefix,
        "/families",
        &[("limit", limit.to_string())],
    );
    Ok((headers, Json(families)).into_response())
}

/// Create a family.
#[utoipa::path(post, path = "/families", operation_id = "createFamily", tag = "Families", security(("bearer" = [])),
    request_body = FamilyBody,
    responses((status = 201, description = "Created; Location names it", body = Family, headers(("Location"))),
))]
pub async fn create(
    State(pool): State<PgPool>,
    _: Caller,
    prefix: Prefix,
    Json(body): Json<FamilyBody>,
) -> Result<Response> {
    let name = text(&body.name, "Name", 100).map_err(|message| Problem::field("name", message))?;
    let family = store::create(&pool, &name).await?;
    let location = prefix.join(&format!("/families/{}", family.id));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(family)).into_response())
}

/// Read a family.
#[utoipa::path(get, path = "/families/{id}", operation_id = "readFamily", tag = "Families", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The family's id")),
    responses(
    (status = 200, description = "The family and its members", body = Family),
    (status = 404, description = "Family not found", body = Problem),
))]
pub async fn read(State(pool): State<PgPool>, _: Caller, Path(id): Path<Uuid>) -> Result<Json<Family>> {
    store::find(&pool, id).await.map(Json)
}

/// Make a patient a member of a family.
#[utoipa::path(put, path = "/families/{id}/members/{patientId}", operation_id = "addMember", tag = "Families",
    security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The family's id"), ("patientId" = Uuid, Path, description = "The patient's id")),
    responses(
        (status = 204, description = "The patient is a member"),
        (status = 404, description = "No such family or patient", body = Problem),
))]
pub async fn add_member(
    State(pool): State<PgPool>,
    _: Caller,
    Path((family, patient)): Path<(Uuid, Uuid)>,
) -> Result<StatusCode> {
    store::add_member(&pool, family, patient).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End a patient's membership.
#[utoipa::path(delete, path = "/families/{id}/members/{patientId}", operation_id = "removeMember", tag = "Families",
    security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The family's id"), ("patientId" = Uuid, Path, description = "The patient's id")),
    responses(
        (status = 204, description = "The patient is no member any more"),
        (status = 404, description = "The patient is not a member of this family", body = Problem),
))]
pub async fn remove_member(
    State(pool): State<PgPool>,
    _: Caller,
    Path((family, patient)): Path<(Uuid, Uuid)>,
) -> Result<StatusCode> {
    store::remove_member(&pool, family, patient).await?;
    Ok(StatusCode::NO_CONTENT)
}
