//! Links for a new password, sent by mail.
//!
//! A request is stored for every address, with or without an account, and handled in the background: neither the response nor
//! its time tells whether there is an account. The token is made when the mail is sent, and only its digest is stored; so an
//! attempt that is repeated sends another token, which replaces the former one.

use kit::database::Pool;
use kit::mail::{Mail, MailError, Mailer};
use sqlx::{FromRow, PgExecutor};
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::refresh_token::{fingerprint, generate};
use crate::seal::{Seal, SealError};
use crate::state::AppState;
use crate::user::{self, User};

/// Time for which a token is valid, and for which the delivery of a request is tried.
const LIFETIME: Duration = Duration::minutes(30);
/// Interval in which the requests of other replicas, and those that failed, are looked up.
const POLL_INTERVAL: std::time::Duration = std::time::Duration::from_secs(2);

/// Failure to store or to handle a request.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The address could not be encrypted.
    #[error(transparent)]
    Seal(#[from] SealError),
}

#[derive(FromRow)]
struct Request {
    id: Uuid,
    sealed_email: Vec<u8>,
    by_administrator: bool,
    requested_at: OffsetDateTime,
}

/// Stores a request for a link to an address.
///
/// # Errors
/// Fails if the database or the encryption fails.
pub async fn request(
    db: impl PgExecutor<'_>,
    seal: &Seal,
    email: &str,
    by_administrator: bool,
    now: OffsetDateTime,
) -> Result<(), ResetError> {
    let id = Uuid::now_v7();
    sqlx::query(
        "insert into password_reset_requests (id, sealed_email, by_administrator, requested_at, next_attempt_at)
         values ($1, $2, $3, $4, $4)",
    )
    .bind(id)
    .bind(seal.seal(&sealed_name(id), email.as_bytes())?)
    .bind(by_administrator)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

fn sealed_name(id: Uuid) -> String {
    format!("password reset request {id}")
}

/// Returns the user whom a valid token is for.
///
/// # Errors
/// Fails if the database fails.
pub async fn owner(db: impl PgExecutor<'_>, token: &str, now: OffsetDateTime) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar("select user_id from password_resets where digest = $1 and expires_at > $2")
        .bind(fingerprint(token))
        .bind(now)
        .fetch_optional(db)
        .await
}

/// Handles the requests until the shutdown, as a background task of the server.
///
/// # Errors
/// Never: a failure is logged and retried. The result is that of a background task.
pub async fn run(state: AppState, shutdown: CancellationToken) -> anyhow::Result<()> {
    match &state.mailer {
        Some(mailer) => {
            shutdown.run_until_cancelled(handle_all(&state, &**mailer)).await;
        }
        None => shutdown.cancelled().await,
    }
    Ok(())
}

async fn handle_all(state: &AppState, mailer: &dyn Mailer) {
    let mut is_failing = false;
    loop {
        let handled = handle_next(state, mailer, OffsetDateTime::now_utc()).await;
        if let (Err(error), false) = (&handled, is_failing) {
            tracing::warn!(error = %error, "requests for new passwords cannot be handled; retrying");
        }
        is_failing = handled.is_err();
        if !matches!(handled, Ok(true)) {
            tokio::select! {
                () = state.reset_requested.notified() => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
        }
    }
}

/// Handles the next request that is due; returns false if there is none.
///
/// # Errors
/// Fails if the database fails.
pub async fn handle_next(state: &AppState, mailer: &dyn Mailer, now: OffsetDateTime) -> sqlx::Result<bool> {
    let pool = &state.pool;
    let Some(request) = claim(pool, now).await? else {
        return Ok(false);
    };
    let is_too_old = now - request.requested_at > LIFETIME;
    let Some(opened) = state.seal.open(&sealed_name(request.id), &request.sealed_email) else {
        // A replica with a newer encryption secret wrote it and will handle it.
        if is_too_old {
            finish(pool, request.id, "expired").await?;
        }
        return Ok(true);
    };
    let email = String::from_utf8_lossy(&opened.plaintext);
    let user = user::find_by_email(pool, &email).await?;
    let Some(user) = user.filter(|user| !user.disabled && !user.single_sign_on) else {
        finish(pool, request.id, "no_account").await?;
        return Ok(true);
    };
    if is_too_old {
        tracing::error!(user.id = %user.id, "the mail with the link for a new password could not be sent; giving up");
        finish(pool, request.id, "expired").await?;
        return Ok(true);
    }
    let token = issue(pool, user.id, now).await?;
    let mail = write(
        &user,
        &token,
        request.by_administrator,
        state.password_reset_url.as_deref(),
    );
    match mailer.send(&mail).await {
        Ok(()) => {
            tracing::info!(user.id = %user.id, "sent a link for a new password");
            finish(pool, request.id, "sent").await?;
        }
        Err(MailError::Refused(reason)) => {
            tracing::error!(user.id = %user.id, error = reason, "the mail with the link for a new password was refused");
            finish(pool, request.id, "refused").await?;
        }
        Err(error) => {
            tracing::warn!(user.id = %user.id, error = %error, "the mail with the link for a new password was not sent; retrying");
            count("failed");
        }
    }
    Ok(true)
}

/// Takes the next request that is due, for this replica alone; it is due again after a pause, should this replica die.
async fn claim(db: impl PgExecutor<'_>, now: OffsetDateTime) -> sqlx::Result<Option<Request>> {
    sqlx::query_as(
        "update password_reset_requests set attempts = attempts + 1,
             next_attempt_at = $1 + least(300, 15 * power(2, attempts)) * interval '1 second'
         where id = (select id from password_reset_requests where next_attempt_at <= $1
                     order by requested_at limit 1 for update skip locked)
         returning id, sealed_email, by_administrator, requested_at",
    )
    .bind(now)
    .fetch_optional(db)
    .await
}

async fn finish(pool: &Pool, request: Uuid, outcome: &'static str) -> sqlx::Result<()> {
    sqlx::query("delete from password_reset_requests where id = $1")
        .bind(request)
        .execute(pool)
        .await?;
    count(outcome);
    Ok(())
}

fn count(outcome: &'static str) {
    metrics::counter!("auth_password_reset_mails_total", "outcome" => outcome).increment(1);
}

/// Makes a token that replaces any former one of the user.
async fn issue(db: impl PgExecutor<'_>, user: Uuid, now: OffsetDateTime) -> sqlx::Result<String> {
    let (token, digest) = generate();
    sqlx::query(
        "insert into password_resets (user_id, digest, expires_at) values ($1, $2, $3)
         on conflict (user_id) do update set digest = $2, expires_at = $3",
    )
    .bind(user)
    .bind(digest)
    .bind(now + LIFETIME)
    .execute(db)
    .await?;
    Ok(token)
}

fn write(user: &User, token: &str, by_administrator: bool, url: Option<&str>) -> Mail {
    let reason = if by_administrator {
        "An administrator has reset your password; the former one is no longer valid."
    } else {
        "A new password was requested for your account."
    };
    let minutes = LIFETIME.whole_minutes();
    let instruction = match url {
        // A browser keeps the fragment to itself: the token reaches no server's log.
        Some(url) => {
            format!("Open this link within {minutes} minutes and choose a new password:\n\n{url}#token={token}")
        }
        None => format!(
            "Send this token with a new password within {minutes} minutes, as {{\"token\": \"…\", \"newPassword\": \"…\"}} \
             to POST /auth/password/reset:\n\n{token}"
        ),
    };
    let note = if by_administrator {
        "The link is valid once."
    } else {
        "It is valid once. If you did not ask for it, ignore this message: your password is unchanged."
    };
    Mail {
        // Another attempt has another token, so it is another message.
        message_id: Uuid::new_v4(),
        to: user.email.clone(),
        subject: "Your new password".to_owned(),
        body: format!("{reason}\n\n{instruction}\n\n{note}\n"),
    }
}

/// Deletes expired tokens and requests.
///
/// # Errors
/// Fails if the database fails.
pub async fn delete_expired(pool: &Pool, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query("delete from password_resets where expires_at < $1")
        .bind(now)
        .execute(pool)
        .await?;
    sqlx::query("delete from password_reset_requests where requested_at < $1")
        .bind(now - 2 * LIFETIME)
        .execute(pool)
        .await?;
    Ok(())
}
