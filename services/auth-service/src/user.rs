//! Users in the database.

use kit::Email;
use kit::token::{Claims, Role};
use sqlx::{FromRow, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

/// A user without the password hash, which only [`find_login_candidate`] reads.
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
}

/// The user and the hash that a login is verified against.
pub struct LoginCandidate {
    /// The user with the email address, if there is one.
    pub user: Option<User>,
    /// The password hash of the user, or of another user, so that an unknown address takes as long as a known one; `None`
    /// if there are no users.
    pub password_hash: Option<String>,
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    email: String,
    password_hash: String,
    role: String,
    disabled_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
}

impl From<Row> for User {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            email: row.email,
            role: role(&row.role),
            disabled: row.disabled_at.is_some(),
            created_at: row.created_at,
        }
    }
}

/// Parses a role; for a value that the check constraint does not allow, the role with fewer rights is the safe choice.
fn role(text: &str) -> Role {
    Role::parse(text).unwrap_or(Role::User)
}

/// Returns the user with an email address, or the hash of the next user in alphabetical order.
///
/// Known and unknown addresses take the same query and find a hash of the same cost, also while a raised cost spreads from
/// login to login: the time that a login takes does not reveal if the account exists.
///
/// # Errors
/// Fails if the database fails.
pub async fn find_login_candidate(db: impl PgExecutor<'_>, email: &Email) -> sqlx::Result<LoginCandidate> {
    let row: Option<Row> = sqlx::query_as(
        "select * from (
             (select 1 as choice, * from users where email >= $1 order by email limit 1)
             union all (select 2 as choice, * from users order by email limit 1)
         ) as found order by choice limit 1",
    )
    .bind(email.as_str())
    .fetch_optional(db)
    .await?;
    let password_hash = row.as_ref().map(|row| row.password_hash.clone());
    let user = row.filter(|row| row.email == email.as_str()).map(User::from);
    Ok(LoginCandidate { user, password_hash })
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

/// Returns true if the user of a token still exists, is not disabled, and has the role in the token.
///
/// # Errors
/// Fails if the database fails.
pub async fn is_current(db: impl PgExecutor<'_>, claims: &Claims) -> sqlx::Result<bool> {
    let user = find(db, claims.sub).await?;
    Ok(user.is_some_and(|user| !user.disabled && user.role == claims.role))
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
    let row: Option<Row> = sqlx::query_as("select * from users where id = $1 for update")
        .bind(id)
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
