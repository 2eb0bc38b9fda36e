//! `/users`: administration of accounts, for admins.

use axum::extract::State;
use axum::response::IntoResponse;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use kit::problem::{Problem, Result};
use kit::token::Role;
use kit::{Json, Path, Prefix, Query};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::administrator::Administrator;
use crate::app::App;
use crate::credentials::NewCredentials;
use crate::refresh_token;
use crate::user::{self, User};

/// An account as it is shown.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    pub id: Uuid,
    #[schema(example = "ada@example.org", format = "email")]
    pub email: String,
    pub role: Role,
    pub disabled: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl From<User> for UserView {
    fn from(user: User) -> UserView {
        let User {
            id,
            email,
            role,
            disabled,
            created_at,
        } = user;
        UserView {
            id,
            email,
            role,
            disabled,
            created_at,
        }
    }
}

/// Which part of the list is wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// How many, 1 to 100; 20 when left out.
    #[param(minimum = 1, maximum = 100, example = 20)]
    limit: Option<i64>,
    /// The id of the last user of the page before; the `next` link has it.
    cursor: Option<Uuid>,
}

/// List users
#[utoipa::path(
    get, path = "/users", operation_id = "listUsers", tag = "Users", params(Page), security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "A page of users", body = Vec<UserView>, headers(("X-Total-Count"), ("Link"))))
)]
pub async fn list(
    State(app): State<App>,
    _: Administrator,
    prefix: Prefix,
    Query(page): Query<Page>,
) -> Result<impl IntoResponse> {
    let limit = page.limit.unwrap_or(20);
    if !(1..=100).contains(&limit) {
        return Err(Problem::field("limit", "Limit must be between 1 and 100"));
    }
    let mut users = user::list(&app.pool, page.cursor, limit + 1).await?;
    let total = user::count(&app.pool).await?;
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("x-total-count"), HeaderValue::from(total));
    if users.len() as i64 > limit {
        users.truncate(limit as usize);
        if let Some(last) = users.last() {
            let next = prefix.join(&format!("/users?limit={limit}&cursor={}", last.id));
            headers.insert(header::LINK, header_value(format!("<{next}>; rel=\"next\""))?);
        }
    }
    Ok((headers, Json(users.into_iter().map(UserView::from).collect::<Vec<_>>())))
}

/// A user to be: an email address, a password of 8 characters at least, and the role, which is USER when left out.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"email": "ada@example.org", "password": "correct horse", "role": "USER"}))]
pub struct NewUser {
    #[serde(flatten)]
    credentials: NewCredentials,
    role: Option<Role>,
}

/// Add a user
#[utoipa::path(
    post, path = "/users", operation_id = "createUser", tag = "Users", request_body = NewUser, security(("bearer" = ["ADMIN"])),
    responses(
        (status = 201, description = "Created; Location names it", body = UserView, headers(("Location"))),
        (status = 409, description = "The email address is taken", body = Problem),
    )
)]
pub async fn create(
    State(app): State<App>,
    Administrator(admin): Administrator,
    prefix: Prefix,
    Json(new): Json<NewUser>,
) -> Result<impl IntoResponse> {
    let (email, password) = new.credentials.to_sign_up()?;
    let user = app.register(&email, password, new.role.unwrap_or(Role::User)).await?;
    tracing::info!(user.id = %user.id, admin.id = %admin.sub, "an admin added a user");
    let location = header_value(prefix.join(&format!("/users/{}", user.id)))?;
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(UserView::from(user)),
    ))
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
pub async fn read(State(app): State<App>, _: Administrator, Path(id): Path<Uuid>) -> Result<Json<UserView>> {
    let user = user::find(&app.pool, id).await?;
    user.map(|user| Json(user.into())).ok_or_else(missing)
}

/// What may be changed; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"role": "ADMIN", "disabled": false}))]
#[serde(deny_unknown_fields)]
pub struct Change {
    role: Option<Role>,
    disabled: Option<bool>,
}

/// Change a user's role, or disable the user
///
/// Disabling a user or changing the role ends all sessions; access tokens that are out stay good for 15 minutes at most. The last admin who can
/// log in can be neither disabled nor demoted.
#[utoipa::path(
    patch, path = "/users/{id}", operation_id = "changeUser", tag = "Users", request_body = Change, security(("bearer" = ["ADMIN"])),
    params(("id" = Uuid, Path, description = "The user's id")),
    responses(
        (status = 200, description = "The user after the change", body = UserView),
        (status = 404, description = "User not found", body = Problem),
        (status = 409, description = "It would leave no admin", body = Problem),
    )
)]
pub async fn change(
    State(app): State<App>,
    Administrator(admin): Administrator,
    Path(id): Path<Uuid>,
    Json(change): Json<Change>,
) -> Result<Json<UserView>> {
    let mut transaction = app.pool.begin().await?;
    if change.role == Some(Role::User) || change.disabled == Some(true) {
        let admins = user::lock_admins(&mut *transaction).await?;
        if admins == [id] {
            return Err(Problem::conflict("This is the last admin; make another one first"));
        }
    }
    let before = user::lock(&mut *transaction, id).await?;
    let now = OffsetDateTime::now_utc();
    let Some(user) = user::change(&mut *transaction, id, change.role, change.disabled, now).await? else {
        return Err(missing());
    };
    if user.disabled || before.is_some_and(|before| before.role != user.role) {
        refresh_token::end_all(&mut *transaction, id).await?;
    }
    transaction.commit().await?;
    tracing::info!(user.id = %id, admin.id = %admin.sub, user.disabled = user.disabled, "an admin changed a user");
    Ok(Json(user.into()))
}

fn missing() -> Problem {
    Problem::not_found("User not found")
}

fn header_value(text: String) -> Result<HeaderValue> {
    HeaderValue::try_from(text).map_err(Problem::internal)
}
