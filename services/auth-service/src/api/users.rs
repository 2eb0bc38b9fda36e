//! `/users`: user accounts, for administrators.

use axum::extract::State;
use axum::response::IntoResponse;
use http::{HeaderValue, StatusCode, header};
use kit::pagination::{Page, Pagination, Total};
use kit::problem::{Problem, Result};
use kit::token::Role;
use kit::{Email, Json, Path, Prefix};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::credentials::NewCredentials;
use crate::current_user::Administrator;
use crate::password::Password;
use crate::refresh_token;
use crate::state::AppState;
use crate::user::{self, User};

/// A user as clients see it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    pub id: Uuid,
    #[schema(example = "ada@example.org", format = "email")]
    pub email: String,
    pub role: Role,
    pub disabled: bool,
    /// True for a user of the identity provider, who has no password here.
    pub single_sign_on: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        let User {
            id,
            email,
            role,
            disabled,
            created_at,
            password_version: _,
            single_sign_on,
        } = user;
        Self {
            id,
            email,
            role,
            disabled,
            single_sign_on,
            created_at,
        }
    }
}

/// List users in the order of their creation, page by page
#[utoipa::path(
    get, path = "/users", operation_id = "listUsers", tag = "Users", params(Pagination), security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "A page of users", body = Vec<UserView>,
        headers(("X-Total-Count"), ("X-Total-Count-Relation"), ("Link"))))
)]
pub async fn list(State(state): State<AppState>, _: Administrator, pagination: Pagination) -> Result<Page<UserView>> {
    let users = user::list(&state.pool, pagination.cursor, pagination.rows()).await?;
    let total = user::count(&state.pool).await?;
    let page = pagination.page(users, |user| user.id);
    Ok(page.total(Total::Exactly(total)).map(UserView::from))
}

/// A new user: email address, password of at least 8 characters, and role, by default USER.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"email": "ada@example.org", "password": "correct horse", "role": "USER"}))]
pub struct NewUser {
    #[serde(flatten)]
    credentials: NewCredentials,
    role: Option<Role>,
}

/// Create a user
#[utoipa::path(
    post, path = "/users", operation_id = "createUser", tag = "Users", request_body = NewUser, security(("bearer" = ["ADMIN"])),
    responses(
        (status = 201, description = "Created; Location is its URL", body = UserView, headers(("Location"))),
        (status = 409, description = "Email address already exists", body = Problem),
    )
)]
pub async fn create(
    State(state): State<AppState>,
    Administrator(admin): Administrator,
    prefix: Prefix,
    Json(new): Json<NewUser>,
) -> Result<impl IntoResponse> {
    let (email, password) = new.credentials.validate()?;
    let user = register(&state, &email, password, new.role.unwrap_or(Role::User)).await?;
    tracing::info!(user.id = %user.id, admin.id = %admin.sub, "an administrator created a user");
    let location = prefix.join(&format!("/users/{}", user.id));
    let location = HeaderValue::try_from(location).map_err(Problem::internal)?;
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(UserView::from(user)),
    ))
}

/// Hashes the password and inserts the user.
///
/// # Errors
/// 409 if the email address is taken.
pub(super) async fn register(state: &AppState, email: &Email, password: Password, role: Role) -> Result<User> {
    let hash = state.passwords.acquire().await?.hash(password).await?;
    let user = user::insert(&state.pool, email, &hash, role, OffsetDateTime::now_utc()).await?;
    user.ok_or_else(|| Problem::conflict("Email address already exists"))
}

/// Read a user
#[utoipa::path(
    get, path = "/users/{id}", operation_id = "readUser", tag = "Users", security(("bearer" = ["ADMIN"])),
    params(("id" = Uuid, Path, description = "The user's id")),
    responses(
        (status = 200, description = "The user", body = UserView),
        (status = 404, description = "User not found", body = Problem),
    )
)]
pub async fn read(State(state): State<AppState>, _: Administrator, Path(id): Path<Uuid>) -> Result<Json<UserView>> {
    let user = user::find(&state.pool, id).await?;
    user.map(|user| Json(user.into())).ok_or_else(not_found)
}

/// Changes of a user; a field that is missing is not changed.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"role": "ADMIN", "disabled": false}))]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    role: Option<Role>,
    disabled: Option<bool>,
}

/// Change a user's role, or disable the user
///
/// Disabling a user or changing the role ends all sessions: their access tokens are rejected everywhere within 2 seconds.
/// The last administrator can be neither disabled nor changed to another role. The role of a user of the identity provider
/// follows the claims, and cannot be changed here.
#[utoipa::path(
    patch, path = "/users/{id}", operation_id = "changeUser", tag = "Users", request_body = UserChange, security(("bearer" = ["ADMIN"])),
    params(("id" = Uuid, Path, description = "The user's id")),
    responses(
        (status = 200, description = "The user after the change", body = UserView),
        (status = 404, description = "User not found", body = Problem),
        (status = 409, description = "The last administrator cannot be removed or disabled, and the role of a user of the identity provider not be changed", body = Problem),
    )
)]
pub async fn update(
    State(state): State<AppState>,
    Administrator(admin): Administrator,
    Path(id): Path<Uuid>,
    Json(change): Json<UserChange>,
) -> Result<Json<UserView>> {
    let mut transaction = state.pool.begin().await?;
    if change.role.is_some_and(|role| role != Role::Admin) || change.disabled == Some(true) {
        let admins = user::lock_admins(&mut *transaction).await?;
        if admins == [id] {
            return Err(Problem::conflict(
                "The last administrator cannot be removed or disabled; create another one first",
            ));
        }
    }
    let before = user::lock(&mut *transaction, id).await?;
    let is_other_role = |before: &User| change.role.is_some_and(|role| role != before.role);
    if before
        .as_ref()
        .is_some_and(|before| before.single_sign_on && is_other_role(before))
    {
        return Err(Problem::conflict(
            "The role of this user follows the claims of the identity provider; change it there",
        ));
    }
    let now = OffsetDateTime::now_utc();
    let Some(user) = user::update(&mut *transaction, id, change.role, change.disabled, now).await? else {
        return Err(not_found());
    };
    if user.disabled || before.is_some_and(|before| before.role != user.role) {
        refresh_token::revoke_all(&mut *transaction, id).await?;
    }
    transaction.commit().await?;
    tracing::info!(user.id = %id, admin.id = %admin.sub, user.disabled = user.disabled, "an administrator changed a user");
    Ok(Json(user.into()))
}

/// Delete a user
///
/// The account and its sessions are deleted at once, and its email address is free again.
#[utoipa::path(
    delete, path = "/users/{id}", operation_id = "deleteUser", tag = "Users", security(("bearer" = ["ADMIN"])),
    params(("id" = Uuid, Path, description = "The user's id")),
    responses(
        (status = 204, description = "The user is deleted"),
        (status = 404, description = "User not found", body = Problem),
        (status = 409, description = "The last administrator cannot be deleted", body = Problem),
    )
)]
pub async fn delete(
    State(state): State<AppState>,
    Administrator(admin): Administrator,
    Path(id): Path<Uuid>,
) -> Result<StatusCode> {
    let mut transaction = state.pool.begin().await?;
    if user::lock_admins(&mut *transaction).await? == [id] {
        return Err(Problem::conflict(
            "The last administrator cannot be deleted; create another one first",
        ));
    }
    if !user::delete(&mut *transaction, id).await? {
        return Err(not_found());
    }
    transaction.commit().await?;
    tracing::info!(user.id = %id, admin.id = %admin.sub, "an administrator deleted a user");
    Ok(StatusCode::NO_CONTENT)
}

fn not_found() -> Problem {
    Problem::not_found("User not found")
}
