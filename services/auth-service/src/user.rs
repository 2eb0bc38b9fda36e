//! Users in the database.

use kit::Email;
use kit::token::{Claims, Role};
use sqlx::{FromRow, PgConnection, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

/// A user without the password hash, which only [`find_login_candidate`] and [`find_with_hash`] return.
#[derive(Debug, Clone)]
pub struct User {
    /// The `sub` of access tokens.
    pub id: Uuid,
    /// Email address in lower case, which is also the login.
    pub email: String,
    /// Permissions.
    pub role: Role,
    /// Excluded from logins.
    pub disabled: bool,
    /// Time of the registration.
    pub created_at: OffsetDateTime,
    /// Number of changes of the password.
    pub password_version: i32,
    /// True for a user of the identity provider, who has no password here.
    pub single_sign_on: bool,
}

/// The user and the hash that a login is verified against.
pub struct LoginCandidate {
    /// The user with the email address, if there is one.
    pub user: Option<User>,
    /// The password hash of the user, or of another user, so that an unknown address takes as long as a known one; `None`
    /// if there are no users.
    pub password_hash: Option<String>,
    /// True if the password of the user is the one of `AUTH_ADMIN_PASSWORD`.
    pub password_is_configured: bool,
}

#[derive(Clone, FromRow)]
struct Row {
    id: Uuid,
    email: String,
    password_hash: Option<String>,
    role: String,
    disabled_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    password_version: i32,
    password_is_configured: bool,
}

impl From<Row> for User {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            email: row.email,
            role: role(&row.role),
            disabled: row.disabled_at.is_some(),
            created_at: row.created_at,
            password_version: row.password_version,
            single_sign_on: row.password_hash.is_none(),
        }
    }
}

/// Parses a role; for a value that the check constraint does not allow, the role with fewer rights is the safe choice.
fn role(text: &str) -> Role {
    Role::parse(text).unwrap_or(Role::User)
}

/// Returns the user with an email address, or the hash of the next user in alphabetical order.
///
/// Users of the identity provider are like unknown addresses here. Known and unknown addresses take the same query and find a
/// hash of the same cost, also while a raised cost spreads from login to login: the time that a login takes does not reveal if the
/// account exists.
///
/// # Errors
/// Fails if the database fails.
pub async fn find_login_candidate(db: impl PgExecutor<'_>, email: &Email) -> sqlx::Result<LoginCandidate> {
    let row: Option<Row> = sqlx::query_as(
        "select * from (
             (select 1 as choice, * from users where email >= $1 and password_hash is not null order by email limit 1)
             union all (select 2 as choice, * from users where password_hash is not null order by email limit 1)
         ) as found order by choice limit 1",
    )
    .bind(email.as_str())
    .fetch_optional(db)
    .await?;
    let password_hash = row.as_ref().and_then(|row| row.password_hash.clone());
    let own = row.filter(|row| row.email == email.as_str());
    Ok(LoginCandidate {
        password_hash,
        password_is_configured: own.as_ref().is_some_and(|row| row.password_is_configured),
        user: own.map(User::from),
    })
}

/// Replaces the hash of a password with another one of the same password, unless the password was changed in the meantime.
///
/// # Errors
/// Fails if the database fails.
pub async fn rehash(db: impl PgExecutor<'_>, id: Uuid, former: &str, hash: &str) -> sqlx::Result<()> {
    sqlx::query("update users set password_hash = $3 where id = $1 and password_hash = $2")
        .bind(id)
        .bind(former)
        .bind(hash)
        .execute(db)
        .await?;
    Ok(())
}

/// Sets another password of a user, unless it was changed since `user` was read; returns false then. All links for a new
/// password become invalid. The caller ends the sessions in the same transaction.
///
/// # Errors
/// Fails if the database fails.
pub async fn set_password(db: &mut PgConnection, user: &User, hash: &str, is_configured: bool) -> sqlx::Result<bool> {
    let updated = sqlx::query(
        "update users set password_hash = $3, password_is_configured = $4, password_version = password_version + 1
         where id = $1 and password_version = $2",
    )
    .bind(user.id)
    .bind(user.password_version)
    .bind(hash)
    .bind(is_configured)
    .execute(&mut *db)
    .await?;
    if updated.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query("delete from password_resets where user_id = $1")
        .bind(user.id)
        .execute(db)
        .await?;
    Ok(true)
}

/// Records that the password of a user is the one of `AUTH_ADMIN_PASSWORD`, unless it was changed since `user` was read.
///
/// # Errors
/// Fails if the database fails.
pub async fn mark_password_as_configured(db: impl PgExecutor<'_>, user: &User) -> sqlx::Result<()> {
    sqlx::query("update users set password_is_configured = true where id = $1 and password_version = $2")
        .bind(user.id)
        .bind(user.password_version)
        .execute(db)
        .await?;
    Ok(())
}

/// Deletes a user with all sessions; returns false if there is no such user.
///
/// # Errors
/// Fails if the database fails.
pub async fn delete(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<bool> {
    let deleted = sqlx::query("delete from users where id = $1")
        .bind(id)
        .execute(db)
        .await?;
    Ok(deleted.rows_affected() > 0)
}

/// Returns true if the user of a token still exists, is not disabled, and has the role in the token, and if the session of
/// the token has not ended.
///
/// # Errors
/// Fails if the database fails.
pub async fn is_current(db: impl PgExecutor<'_>, claims: &Claims) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from users where id = $1 and role = $2 and disabled_at is null)
             and not exists (select from revoked_sessions where session = $3)",
    )
    .bind(claims.sub)
    .bind(claims.role.as_str())
    .bind(claims.sid)
    .fetch_one(db)
    .await
}

/// Returns a user.
///
/// # Errors
/// Fails if the database fails.
pub async fn find(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<User>> {
    let row: Option<Row> = sqlx::query_as("select * from users where id = $1")
        .bind(id)
        .fetch_optional(db)
        .await?;
    Ok(row.map(User::from))
}

/// Returns the user with an email address in lower case.
///
/// # Errors
/// Fails if the database fails.
pub async fn find_by_email(db: impl PgExecutor<'_>, email: &str) -> sqlx::Result<Option<User>> {
    let row: Option<Row> = sqlx::query_as("select * from users where email = $1")
        .bind(email)
        .fetch_optional(db)
        .await?;
    Ok(row.map(User::from))
}

/// Returns a user with the password hash; a user of the identity provider has none.
///
/// # Errors
/// Fails if the database fails.
pub async fn find_with_hash(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<(User, Option<String>)>> {
    let row: Option<Row> = sqlx::query_as("select * from users where id = $1")
        .bind(id)
        .fetch_optional(db)
        .await?;
    Ok(row.map(|row| (User::from(row.clone()), row.password_hash)))
}

/// Lists users in the order of their creation, starting behind the user `after`.
///
/// # Errors
/// Fails if the database fails.
pub async fn list(db: impl PgExecutor<'_>, after: Option<Uuid>, limit: i64) -> sqlx::Result<Vec<User>> {
    let rows: Vec<Row> = sqlx::query_as("select * from users where $1::uuid is null or id > $1 order by id limit $2")
        .bind(after)
        .bind(limit)
        .fetch_all(db)
        .await?;
    Ok(rows.into_iter().map(User::from).collect())
}

/// Counts the users.
///
/// # Errors
/// Fails if the database fails.
pub async fn count(db: impl PgExecutor<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from users").fetch_one(db).await
}

/// Returns true if there is an administrator who is not disabled.
///
/// # Errors
/// Fails if the database fails.
pub async fn any_admin(db: impl PgExecutor<'_>) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from users where role = 'ADMIN' and disabled_at is null)")
        .fetch_one(db)
        .await
}

/// Inserts a user; returns `None` if the email address is taken.
///
/// # Errors
/// Fails if the database fails.
pub async fn insert(
    db: impl PgExecutor<'_>,
    email: &Email,
    password_hash: &str,
    role: Role,
    now: OffsetDateTime,
) -> sqlx::Result<Option<User>> {
    let row: Option<Row> = sqlx::query_as(
        "insert into users (id, email, password_hash, role, created_at) values ($1, $2, $3, $4, $5)
         on conflict on constraint users_email_key do nothing returning *",
    )
    .bind(Uuid::now_v7())
    .bind(email.as_str())
    .bind(password_hash)
    .bind(role.as_str())
    .bind(now)
    .fetch_optional(db)
    .await?;
    Ok(row.map(User::from))
}

/// Inserts a user of the identity provider; returns `None` if the subject exists or the email address is taken.
///
/// # Errors
/// Fails if the database fails.
pub async fn insert_external(
    db: impl PgExecutor<'_>,
    issuer: &str,
    subject: &str,
    email: &Email,
    role: Role,
    now: OffsetDateTime,
) -> sqlx::Result<Option<User>> {
    let row: Option<Row> = sqlx::query_as(
        "insert into users (id, email, role, created_at, oidc_issuer, oidc_subject) values ($1, $2, $3, $4, $5, $6)
         on conflict do nothing returning *",
    )
    .bind(Uuid::now_v7())
    .bind(email.as_str())
    .bind(role.as_str())
    .bind(now)
    .bind(issuer)
    .bind(subject)
    .fetch_optional(db)
    .await?;
    Ok(row.map(User::from))
}

/// Locks a user of the identity provider until the transaction ends, and returns it.
///
/// # Errors
/// Fails if the database fails.
pub async fn lock_external(db: impl PgExecutor<'_>, issuer: &str, subject: &str) -> sqlx::Result<Option<User>> {
    let row: Option<Row> =
        sqlx::query_as("select * from users where oidc_issuer = $1 and oidc_subject = $2 for no key update")
            .bind(issuer)
            .bind(subject)
            .fetch_optional(db)
            .await?;
    Ok(row.map(User::from))
}

/// Changes address and role of a user of the identity provider; returns `None` if another user has the address.
///
/// # Errors
/// Fails if the database fails.
pub async fn update_external(
    db: impl PgExecutor<'_>,
    id: Uuid,
    email: &Email,
    role: Role,
) -> sqlx::Result<Option<User>> {
    let updated: sqlx::Result<Row> = sqlx::query_as("update users set email = $2, role = $3 where id = $1 returning *")
        .bind(id)
        .bind(email.as_str())
        .bind(role.as_str())
        .fetch_one(db)
        .await;
    match updated {
        Err(sqlx::Error::Database(error)) if error.constraint() == Some("users_email_key") => Ok(None),
        updated => updated.map(|row| Some(row.into())),
    }
}

/// Locks all administrators who are not disabled, always in the same order to avoid deadlocks, and returns their ids.
///
/// # Errors
/// Fails if the database fails.
pub async fn lock_admins(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar("select id from users where role = 'ADMIN' and disabled_at is null order by id for update")
        .fetch_all(db)
        .await
}

/// Locks a user until the transaction ends, and returns it.
///
/// # Errors
/// Fails if the database fails.
pub async fn lock(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<User>> {
    let row: Option<Row> = sqlx::query_as("select * from users where id = $1 for no key update")
        .bind(id)
        .fetch_optional(db)
        .await?;
    Ok(row.map(User::from))
}

/// Locks a user until the transaction ends, and returns it as it is now; `None` if the user was deleted, disabled, or got
/// another password since `user` was read.
///
/// # Errors
/// Fails if the database fails.
pub async fn lock_unchanged(db: impl PgExecutor<'_>, user: &User) -> sqlx::Result<Option<User>> {
    let row: Option<Row> = sqlx::query_as(
        "select * from users where id = $1 and password_version = $2 and disabled_at is null for no key update",
    )
    .bind(user.id)
    .bind(user.password_version)
    .fetch_optional(db)
    .await?;
    Ok(row.map(User::from))
}

/// Changes the fields that are `Some`; returns `None` if there is no such user.
///
/// # Errors
/// Fails if the database fails.
pub async fn update(
    db: impl PgExecutor<'_>,
    id: Uuid,
    role: Option<Role>,
    disabled: Option<bool>,
    now: OffsetDateTime,
) -> sqlx::Result<Option<User>> {
    let row: Option<Row> = sqlx::query_as(
        "update users set role = coalesce($2, role),
             disabled_at = case when $3 then coalesce(disabled_at, $4) when not $3 then null else disabled_at end
         where id = $1 returning *",
    )
    .bind(id)
    .bind(role.map(Role::as_str))
    .bind(disabled)
    .bind(now)
    .fetch_optional(db)
    .await?;
    Ok(row.map(User::from))
}
