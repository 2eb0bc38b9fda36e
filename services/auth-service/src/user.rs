//! Users: who may log in, and as what.

use kit::token::{Claims, Role};
use sqlx::{FromRow, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::email::Email;

/// A user without the password hash, which only [`find_login`] reads.
#[derive(Debug, Clone)]
pub struct User {
    pub id: Uuid,
    pub email: String,
    pub role: Role,
    pub disabled: bool,
    pub created_at: OffsetDateTime,
}

/// What a login is checked against.
pub struct Candidate {
    /// The account, if there is one.
    pub user: Option<User>,
    /// Its password hash, or another's, so that an unknown account costs what the known ones cost; None without users.
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
    fn from(row: Row) -> User {
        User {
            id: row.id,
            email: row.email,
            role: role(&row.role),
            disabled: row.disabled_at.is_some(),
            created_at: row.created_at,
        }
    }
}

/// The column has a check constraint; should it ever hold more, the lesser role is the safe reading.
fn role(text: &str) -> Role {
    if text == Role::Admin.as_str() {
        Role::Admin
    } else {
        Role::User
    }
}

/// The account of an email address, or the hash of the next one in the alphabet.
///
/// Known and unknown addresses take the same query and find a hash of the same costs, also while a raised cost
/// spreads from login to login: whether there is such an account cannot be told from the time that a login takes.
pub async fn find_login(db: impl PgExecutor<'_>, email: &Email) -> sqlx::Result<Candidate> {
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
    Ok(Candidate { user, password_hash })
}

/// Replaces the hash of a password by another one of the same password, unless it was changed meanwhile.
pub async fn rehash(db: impl PgExecutor<'_>, id: Uuid, former: &str, hash: &str) -> sqlx::Result<()> {
    sqlx::query("update users set password_hash = $3 where id = $1 and password_hash = $2")
        .bind(id)
        .bind(former)
        .bind(hash)
        .execute(db)
        .await?;
    Ok(())
}

/// Whether what a token says of its user is still so: there, not disabled, and of that role.
pub async fn holds(db: impl PgExecutor<'_>, claims: &Claims) -> sqlx::Result<bool> {
    let user = find(db, claims.sub).await?;
    Ok(user.is_some_and(|user| !user.disabled && user.role == claims.role))
}

/// One user.
pub async fn find(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<User>> {
    let row: Option<Row> = sqlx::query_as("select * from users where id = $1")
        .bind(id)
        .fetch_optional(db)
        .await?;
    Ok(row.map(User::from))
}

/// Users in the order of their making, after the given one.
pub async fn list(db: impl PgExecutor<'_>, after: Option<Uuid>, limit: i64) -> sqlx::Result<Vec<User>> {
    let rows: Vec<Row> = sqlx::query_as("select * from users where $1::uuid is null or id > $1 order by id limit $2")
        .bind(after)
        .bind(limit)
        .fetch_all(db)
        .await?;
    Ok(rows.into_iter().map(User::from).collect())
}

/// How many users there are.
pub async fn count(db: impl PgExecutor<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from users").fetch_one(db).await
}

/// Whether anybody can administer.
pub async fn any_admin(db: impl PgExecutor<'_>) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from users where role = 'ADMIN' and disabled_at is null)")
        .fetch_one(db)
        .await
}

/// Adds a user; None when the email address is taken.
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

/// Locks all who can administer, in one order for all callers, and gives their ids.
pub async fn lock_admins(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar("select id from users where role = 'ADMIN' and disabled_at is null order by id for update")
        .fetch_all(db)
        .await
}

/// One user, who stays as is until the transaction ends.
pub async fn lock(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<User>> {
    let row: Option<Row> = sqlx::query_as("select * from users where id = $1 for update")
        .bind(id)
        .fetch_optional(db)
        .await?;
    Ok(row.map(User::from))
}

/// Changes what is given; None when there is no such user.
pub async fn change(
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
