//! PostgreSQL: settings, the pool, migrations, and what its errors mean.

mod args;
mod errors;
mod pool;
mod rotation;

use std::time::Duration;

use anyhow::{Context, bail};
use futures::future::{BoxFuture, LocalBoxFuture};
use sqlx::{PgConnection, migrate::Migrator, postgres::PgPoolOptions};
use tokio::time::{Instant, sleep, timeout};

pub use args::{DatabaseArgs, Tls};
pub use errors::{describe, is_transient, is_unreachable, violated_constraint};
use errors::{is_certificate_error, is_invalid_password, is_serialization_failure};
pub use pool::Pool;
use rotation::Rotation;

use crate::{
    aws::secret::{Secret, SecretError},
    fatal, telemetry,
};

/// Time limit at start for a database that is not reachable yet.
const CONNECT_TIMEOUT: Duration = Duration::from_mins(1);
/// PostgreSQL's `statement_timeout`: longer than any request's deadline, so that an abandoned statement releases its
/// connection.
const STATEMENT_TIMEOUT: &str = "20s";
/// Time limit of [`with_timeout`].
const TIMEOUT: Duration = Duration::from_secs(30);

/// Opens the pool; waits up to a minute for a server that is still starting.
///
/// # Errors
/// If the address or `DATABASE_SECRET_ARN` is malformed, the password or the certificate is rejected, or the server does not answer in time.
pub fn connect(args: &DatabaseArgs) -> BoxFuture<'_, anyhow::Result<Pool>> {
    Box::pin(async move {
        let options = args.options()?;
        let address = format!("{}:{}", options.get_host(), options.get_port());
        let pool = PgPoolOptions::new()
            .max_connections(args.database_pool_size)
            .acquire_timeout(Duration::from_secs(3))
            // A bounded lifetime notices a rotated password and a failover.
            .max_lifetime(Duration::from_mins(15))
            .after_connect(|connection, _| {
                metrics::counter!("database_connections_opened_total").increment(1);
                Box::pin(async move { set_statement_timeout(connection, STATEMENT_TIMEOUT).await })
            })
            .connect_lazy_with(options);
        let pool = Pool::new(pool, rotation(args)?);
        publish_metrics(&pool, args.database_pool_size);
        let started = Instant::now();
        let mut pause = Duration::from_millis(100);
        loop {
            let Err(error) = pool.acquire().await else {
                return Ok(pool);
            };
            if is_invalid_password(&error) {
                bail!(
                    "the database at {address} rejected the password (28P01); check the secret behind DATABASE_PASSWORD"
                );
            }
            if is_certificate_error(&error) {
                bail!(
                    "the certificate of the database at {address} is not trusted ({error}); set DATABASE_CA_FILE to the CA \
                 bundle: for Amazon RDS, images contain it at /etc/ssl/certs/rds-global-bundle.pem"
                );
            }
            if !is_unreachable(&error) || started.elapsed() > CONNECT_TIMEOUT {
                return Err(error).with_context(|| format!("cannot connect to the database at {address}"));
            }
            tracing::info!(
                database = address,
                reason = describe(&error),
                "waiting for the database"
            );
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(3));
        }
    })
}

/// Returns the rotation of the password, if there is a secret that this process can read.
fn rotation(args: &DatabaseArgs) -> anyhow::Result<Option<Rotation>> {
    let Some(arn) = &args.database_secret_arn else {
        return Ok(None);
    };
    match Secret::new(arn, &args.iam) {
        Ok(secret) => Ok(Some(Rotation::new(secret, args.database_password.clone()))),
        Err(error @ SecretError::Credentials(_)) => {
            let reason = error.to_string();
            tracing::warn!(
                reason,
                "DATABASE_SECRET_ARN is not read: a rotated password ends this process"
            );
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Applies the pending migrations, without a time limit and in one process at a time (sqlx holds an advisory lock).
///
/// # Errors
/// If a migration fails, or an applied one differs from the one of this version.
pub fn migrate<'a>(pool: &'a Pool, migrator: &'a Migrator) -> LocalBoxFuture<'a, anyhow::Result<()>> {
    Box::pin(async move {
        let migrating = async {
            let mut connection = pool.acquire().await?;
            let previous: String = sqlx::query_scalar("show statement_timeout")
                .fetch_one(&mut *connection)
                .await?;
            set_statement_timeout(&mut connection, "0").await?;
            migrator.run(&mut *connection).await?;
            set_statement_timeout(&mut connection, &previous).await?;
            anyhow::Ok(())
        };
        migrating.await.context("the migrations of the database failed")
    })
}

async fn set_statement_timeout(connection: &mut PgConnection, timeout: &str) -> sqlx::Result<()> {
    sqlx::query("select set_config('statement_timeout', $1, false)")
        .bind(timeout)
        .execute(connection)
        .await
        .map(drop)
}

/// Runs work that no request's deadline limits, for half a minute at most.
///
/// A server that disappears without closing its connections, as after a failover, never answers.
///
/// # Errors
/// Those of the work; an I/O error, for which [`is_unreachable`] is true, after the timeout.
pub async fn with_timeout<T>(work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    within(TIMEOUT, work).await
}

async fn within<T>(limit: Duration, work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    let timed_out = || std::io::Error::new(std::io::ErrorKind::TimedOut, "database timeout");
    timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(timed_out())))
}

/// Publishes the pool's connections as metrics.
fn publish_metrics(pool: &Pool, max: u32) {
    metrics::gauge!("database_pool_max_connections").set(max);
    let pool = pool.clone();
    telemetry::on_scrape(move || {
        // The two numbers are read one after the other, so the difference may be off by a few connections.
        let (open, idle) = pool.counts();
        let idle = idle as f64;
        let used = (f64::from(open) - idle).max(0.0);
        metrics::gauge!("database_pool_connections", "state" => "idle").set(idle);
        metrics::gauge!("database_pool_connections", "state" => "used").set(used);
    });
}

/// Makes one round trip to the database, as a readiness check, and records the time to acquire a connection.
///
/// # Errors
/// Those of the database.
pub async fn ping(pool: &Pool) -> sqlx::Result<()> {
    let started = Instant::now();
    let trip = async {
        let mut connection = pool.acquire().await?;
        metrics::histogram!("database_acquire_seconds").record(started.elapsed().as_secs_f64());
        sqlx::query("select 1").execute(&mut *connection).await
    };
    trip.await.map(drop).inspect_err(record_error)
}

/// Counts an error, and ends the process if the database rejects the password; with `DATABASE_SECRET_ARN`, [`Pool`] has read
/// the new one instead.
pub fn record_error(error: &sqlx::Error) {
    let kind = match error {
        sqlx::Error::PoolTimedOut => Some("pool_timeout"),
        error if is_invalid_password(error) => Some("refused_password"),
        error if is_unreachable(error) => Some("unreachable"),
        error if is_serialization_failure(error) => Some("serialization_failure"),
        // A violated constraint is an error of the client and is reported to it.
        sqlx::Error::Database(error) if error.code().is_some_and(|code| code.starts_with("23")) => None,
        sqlx::Error::RowNotFound => None,
        _ => Some("other"),
    };
    if let Some(kind) = kind {
        metrics::counter!("database_errors_total", "kind" => kind).increment(1);
    }
    if is_invalid_password(error) {
        fatal::raise(
            "the database rejected the password (28P01): it was rotated; this process exits so that the next one starts \
             with the new secret; with DATABASE_SECRET_ARN, it would read the new one and go on",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{aws::IamArgs, testing::TestDatabase};

    fn args(url: &str) -> DatabaseArgs {
        DatabaseArgs {
            database_url: Some(url.to_owned().into()),
            database_host: String::new(),
            database_port: 0,
            database_name: String::new(),
            database_username: String::new(),
            database_password: None,
            database_secret_arn: None,
            iam: IamArgs::default(),
            database_tls: Tls::Prefer,
            database_ca_file: None,
            database_pool_size: 4,
        }
    }

    #[tokio::test]
    async fn statements_have_a_timeout_and_migrations_have_none() {
        let Some(database) = TestDatabase::create().await else {
            return;
        };
        let pool = connect(&args(&database.url)).await.expect("a pool");
        let statement_timeout = async |pool: &Pool| {
            let shown = sqlx::query_scalar::<_, String>("show statement_timeout");
            shown.fetch_one(pool).await.expect("a setting")
        };
        assert_eq!(statement_timeout(&pool).await, STATEMENT_TIMEOUT);
        migrate(&pool, &Migrator::DEFAULT).await.expect("nothing to do");
        assert_eq!(statement_timeout(&pool).await, STATEMENT_TIMEOUT);
        pool.close().await;
        database.drop().await;
    }

    #[tokio::test]
    async fn an_aborted_statement_is_transient_and_an_error_of_its_own_is_not() {
        let Some(database) = TestDatabase::create().await else {
            return;
        };
        for (statement, transient) in [
            ("do $$ begin raise exception using errcode = '40P01'; end $$", true),
            ("set statement_timeout = 10; select pg_sleep(5)", true),
            ("select 1 / 0", false),
        ] {
            let error = sqlx::raw_sql(statement)
                .execute(&database.pool)
                .await
                .expect_err(statement);
            assert_eq!(is_transient(&error), transient, "{error}");
        }
        database.drop().await;
    }

    #[tokio::test]
    async fn a_database_that_never_answers_times_out() {
        let no_answer = std::future::pending::<sqlx::Result<()>>();
        let error = within(Duration::from_millis(1), no_answer)
            .await
            .expect_err("a timeout");
        assert!(is_unreachable(&error), "{error}");
    }
}
