//! The routes of `/families`.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use kit::audit::{self, Trail};
use kit::database::Pool;
use kit::{
    Caller, Json, Path, Prefix, Problem, Result,
    pagination::{Page, Pagination, SealedCursor, Total},
    text,
};
use serde::Deserialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Family, store};
use crate::{
    cursor,
    idempotency::{self, IdempotencyKey},
    precondition::{Preconditions, with_etag},
};

/// Name of the list, to which its cursors are bound.
const LIST: &str = "families";

/// The body of a creation or a new name.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(example = json!({"name": "The Lovelaces"}))]
pub struct FamilyBody {
    /// 1 to 100 characters, none of them invisible.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 100, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    name: serde_json::Value,
}

impl FamilyBody {
    fn name(&self) -> Result<String> {
        text::parse(&self.name, "Name", 100).map_err(|error| Problem::field("name", error.to_string()))
    }
}

/// List families by name, page by page
///
/// A family has at most 50 members, so a page has a bounded size.
#[utoipa::path(get, path = "/families", operation_id = "listFamilies", tag = "Families", security(("bearer" = [])),
    params(Pagination),
    responses(
        (status = 200, description = "A page of families", body = Vec<Family>, headers(("X-Total-Count"), ("X-Total-Count-Relation"), ("Link"))),
))]
pub async fn list(
    State(pool): State<Pool>,
    _: Caller,
    trail: Trail,
    pagination: Pagination<SealedCursor>,
) -> Result<Page<Family>> {
    let after = cursor::open(&pool, LIST, pagination.cursor.as_ref()).await?;
    let families = store::list(&pool, after.as_ref(), pagination.rows()).await?;
    let total = store::count(&pool).await?;
    let page = cursor::page(&pool, LIST, &pagination, families, store::cursor_behind).await?;
    trail.shown(page.rows().iter().flat_map(Family::member_ids));
    Ok(page.total(Total::Exactly(total)))
}

/// Create a family
///
/// It has no members. The repetition of a request with an Idempotency-Key returns the family as it is then.
#[utoipa::path(post, path = "/families", operation_id = "createFamily", tag = "Families", security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = FamilyBody,
    responses(
        (status = 201, description = "Created; Location is its URL", body = Family, headers(("Location"), ("ETag"))),
        (status = 409, description = "A request with this Idempotency-Key is still running", body = Problem),
        (status = 410, description = "The family that this Idempotency-Key created was deleted", body = Problem),
        (status = 422, description = "This Idempotency-Key was used with another body", body = Problem),
))]
pub async fn create(
    State(pool): State<Pool>,
    Caller(caller): Caller,
    trail: Trail,
    prefix: Prefix,
    headers: HeaderMap,
    Json(body): Json<FamilyBody>,
) -> Result<Response> {
    let name = body.name()?;
    let key = IdempotencyKey::from_headers(&headers, caller.sub, "POST /families", &name)?;
    let mut transaction = pool.begin().await?;
    let created = create_once(&mut transaction, &name, key.as_ref()).await;
    // Awaited also after a failure, so that the claim on the key is released before the client can retry.
    if let Ok(family) = &created {
        trail.shown(family.member_ids());
        audit::enqueue(&mut transaction, trail.record(StatusCode::CREATED)).await?;
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    let family = created?;
    let location = prefix.join(&format!("/families/{}", family.id));
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        with_etag(family.version, family),
    )
        .into_response())
}

async fn create_once(transaction: &mut PgConnection, name: &str, key: Option<&IdempotencyKey>) -> Result<Family> {
    let Some(key) = key else {
        return store::create(transaction, name).await;
    };
    if let Some(id) = key.claim(transaction).await? {
        let family = store::find_optional(transaction, id).await?;
        return family.ok_or_else(idempotency::gone);
    }
    let family = store::create(&mut *transaction, name).await?;
    key.store(transaction, family.id).await?;
    Ok(family)
}

/// Read a family
///
/// With its members, by name.
#[utoipa::path(get, path = "/families/{id}", operation_id = "readFamily", tag = "Families", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The family's id"), ("If-None-Match" = Option<String>, Header), ("If-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "The family and its members; the ETag is its version", body = Family, headers(("ETag"))),
        (status = 304, description = "The version is one of If-None-Match", headers(("ETag"))),
        (status = 404, description = "Family not found", body = Problem),
        (status = 412, description = "The version is none of If-Match", body = Problem),
))]
pub async fn read(
    State(pool): State<Pool>,
    _: Caller,
    trail: Trail,
    Path(id): Path<Uuid>,
    preconditions: Preconditions,
) -> Result<Response> {
    let family = store::find(&pool, id).await?;
    trail.shown(family.member_ids());
    preconditions.read(family.version, family)
}

/// Rename a family
///
/// Its members stay.
#[utoipa::path(put, path = "/families/{id}", operation_id = "renameFamily", tag = "Families", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The family's id"), ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)),
    request_body = FamilyBody,
    responses(
        (status = 200, description = "The family after the change", body = Family, headers(("ETag"))),
        (status = 404, description = "Family not found", body = Problem),
        (status = 412, description = "The family was changed since, or If-None-Match names its version", body = Problem),
))]
pub async fn rename(
    State(pool): State<Pool>,
    _: Caller,
    trail: Trail,
    Path(id): Path<Uuid>,
    preconditions: Preconditions,
    Json(body): Json<FamilyBody>,
) -> Result<Response> {
    let name = body.name()?;
    let mut transaction = pool.begin().await?;
    let family = store::rename(&mut transaction, id, &name, &preconditions).await?;
    trail.shown(family.member_ids());
    trail.changed(["name"]);
    audit::enqueue(&mut transaction, trail.record(StatusCode::OK)).await?;
    transaction.commit().await?;
    Ok(with_etag(family.version, family))
}

/// Delete a family
///
/// Its members stay patients.
#[utoipa::path(delete, path = "/families/{id}", operation_id = "deleteFamily", tag = "Families", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The family's id"), ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "Family not found", body = Problem),
        (status = 412, description = "The family was changed since, or If-None-Match names its version", body = Problem),
))]
pub async fn delete(
    State(pool): State<Pool>,
    _: Caller,
    trail: Trail,
    Path(id): Path<Uuid>,
    preconditions: Preconditions,
) -> Result<StatusCode> {
    let mut transaction = pool.begin().await?;
    store::delete(&mut transaction, id, &preconditions).await?;
    trail.shown([]);
    audit::enqueue(&mut transaction, trail.record(StatusCode::NO_CONTENT)).await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Add a patient to a family
///
/// Does nothing for a member. A family has at most 50 members.
#[utoipa::path(put, path = "/families/{id}/members/{patientId}", operation_id = "addMember", tag = "Families",
    security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The family's id"), ("patientId" = Uuid, Path, description = "The patient's id")),
    responses(
        (status = 204, description = "The patient is a member"),
        (status = 404, description = "Family not found, or Patient not found", body = Problem),
        (status = 409, description = "The family has 50 members already", body = Problem),
))]
pub async fn add_member(
    State(pool): State<Pool>,
    _: Caller,
    trail: Trail,
    Path((family, patient)): Path<(Uuid, Uuid)>,
) -> Result<StatusCode> {
    let mut transaction = pool.begin().await?;
    store::add_member(&mut transaction, family, patient).await?;
    trail.changed(["family"]);
    audit::enqueue(&mut transaction, trail.record(StatusCode::NO_CONTENT)).await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a patient from a family
///
/// The family stays, also without members.
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
    store::remove_member(&mut transaction, family, patient).await?;
    trail.changed(["family"]);
    audit::enqueue(&mut transaction, trail.record(StatusCode::NO_CONTENT)).await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
