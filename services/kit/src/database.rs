//! PostgreSQL: settings, the pool, migrations, and what its errors mean.

use std::{path::PathBuf, str::FromStr, time::Duration};

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use tokio::time::{Instant, sleep, timeout};

use crate::{fatal, telemetry};

/// Time limit at start for a database that is not reachable yet.
const CONNECT_TIMEOUT: Duration = Duration::from_mins(1);
/// PostgreSQL's `statement_timeout`: longer than any request's deadline, so that an abandoned statement releases its
/// connection.
const STATEMENT_TIMEOUT: &str = "20s";
/// Time limit of [`with_timeout`].
const TIMEOUT: Duration = Duration::from_secs(30);

/// Address of the service's own database, and the size of the pool.
#[derive(Debug, Clone, clap::Args)]
pub struct DatabaseArgs {
    /// The complete address, postgres://user:password@host:port/name; takes precedence over the parts
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<SecretString>,
    /// Host of the database server
    #[arg(long, env = "DATABASE_HOST", default_value = "127.0.0.1")]
    pub database_host: String,
    /// Port of the database server
    #[arg(long, env = "DATABASE_PORT", default_value_t = 5432)]
    pub database_port: u16,
    /// Name of the database
    #[arg(long, env = "DATABASE_NAME", default_value = "postgres")]
    pub database_name: String,
    /// Owner of the database
    #[arg(long, env = "DATABASE_USERNAME", default_value = "postgres")]
    pub database_username: String,
    /// The owner's password, a secret that the platform sets
    #[arg(long, env = "DATABASE_PASSWORD", hide_env_values = true)]
    pub database_password: Option<SecretString>,
    /// Encryption of the connection, and verification of the server's certificate
    #[arg(long, env = "DATABASE_TLS", value_enum, default_value_t = Tls::Prefer)]
    pub database_tls: Tls,
    /// PEM file with the certificate authorities for `verify-full`, such as the bundle of RDS
    #[arg(long, env = "DATABASE_CA_FILE")]
    pub database_ca_file: Option<PathBuf>,
    /// Maximum number of connections of this process
    #[arg(long, env = "DATABASE_POOL_SIZE", default_value_t = 10, value_parser = clap::value_parser!(u32).range(4..=500))]
    pub database_pool_size: u32,
}

/// Encryption of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Tls {
    /// Never
    Disable,
    /// If the server supports it
    Prefer,
    /// Always, with any certificate
    Require,
    /// Always, with a certificate that is valid for the host
    VerifyFull,
}

impl DatabaseArgs {
    fn options(&self) -> anyhow::Result<PgConnectOptions> {
        let options = if let Some(url) = &self.database_url {
            // The parser's error is dropped: it may quote the URL, which contains the password.
            PgConnectOptions::from_str(url.expose_secret())
                .map_err(|_| anyhow::anyhow!("DATABASE_URL is not a valid postgres:// address"))?
        } else {
            let options = PgConnectOptions::new_without_pgpass()
                .host(&self.database_host)
                .port(self.database_port)
                .database(&self.database_name)
                .username(&self.database_username);
            match &self.database_password {
                Some(password) => options.password(password.expose_secret()),
                None => options,
            }
        };
        let options = options.ssl_mode(match self.database_tls {
            Tls::Disable => PgSslMode::Disable,
            Tls::Prefer => PgSslMode::Prefer,
            Tls::Require => PgSslMode::Require,
            Tls::VerifyFull => PgSslMode::VerifyFull,
        });
        Ok(match &self.database_ca_file {
            Some(file) => options.ssl_root_cert(file),
            None => options,
        })
    }
}

/// Opens the pool; waits up to a minute for a server that is still starting.
///
/// # Errors
/// If the address is malformed, the password or the certificate is rejected, or the server does not answer in time.
pub async fn connect(args: &DatabaseArgs) -> anyhow::Result<PgPool> {
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
    publish_metrics(&pool, args.database_pool_size);
    let started = Instant::now();
    let mut pause = Duration::from_millis(100);
    loop {
        let Err(error) = pool.acquire().await else {
            return Ok(pool);
        };
        if is_invalid_password(&error) {
            bail!("the database at {address} rejected the password (28P01); check the secret behind DATABASE_PASSWORD");
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
}

/// Applies the pending migrations, without a time limit and in one process at a time (sqlx holds an advisory lock).
///
/// # Errors
/// If a migration fails, or an applied one differs from the one of this version.
pub async fn migrate(pool: &PgPool, migrator: &Migrator) -> anyhow::Result<()> {
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
fn publish_metrics(pool: &PgPool, max: u32) {
    metrics::gauge!("database_pool_max_connections").set(max);
    let pool = pool.clone();
    telemetry::on_scrape(move || {
        // The two numbers are read one after the other, so the difference may be off by a few connections.
        let idle = pool.num_idle() as f64;
        let used = (f64::from(pool.size()) - idle).max(0.0);
        metrics::gauge!("database_pool_connections", "state" => "idle").set(idle);
        metrics::gauge!("database_pool_connections", "state" => "used").set(used);
    });
}

/// Makes one round trip to the database, as a readiness check, and records the time to acquire a connection.
///
/// # Errors
/// Those of the database.
pub async fn ping(pool: &PgPool) -> sqlx::Result<()> {
    let started = Instant::now();
    let trip = async {
        let mut connection = pool.acquire().await?;
        metrics::histogram!("database_acquire_seconds").record(started.elapsed().as_secs_f64());
        sqlx::query("select 1").execute(&mut *connection).await
    };
    trip.await.map(drop).inspect_err(record_error)
}

/// Counts an error, and ends the process if the database rejects the password.
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
             with the new secret",
        );
    }
}

/// Returns whether the server is unreachable, starting, stopping, or out of connections.
pub fn is_unreachable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => true,
        // 57Pxx: operator intervention; 53300: too many connections; 08xxx: connection exceptions.
        sqlx::Error::Database(error) => error
            .code()
            .is_some_and(|code| code.starts_with("57P") || code.starts_with("08") || code == "53300"),
        _ => false,
    }
}

/// Returns whether a retry may succeed: the server [is unreachable](is_unreachable), or the statement was aborted in favour
/// of another one.
pub fn is_transient(error: &sqlx::Error) -> bool {
    is_unreachable(error) || is_serialization_failure(error)
}

/// Returns whether the statement was aborted because of concurrent ones: 40001 (serialization failure), 40P01 (deadlock),
/// 55P03 (lock not available), 57014 (longer than [`STATEMENT_TIMEOUT`]).
fn is_serialization_failure(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| ["40001", "40P01", "55P03", "57014"].contains(&code.as_ref()))
}

/// Returns the name of the constraint that an insert or update violated.
pub fn violated_constraint(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error().and_then(|error| error.constraint())
}

/// Returns the error as text without values of a row, which PostgreSQL's `detail` would contain.
pub fn describe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => {
            format!("{} (SQLSTATE {})", error.message(), error.code().unwrap_or_default())
        }
        other => other.to_string(),
    }
}

/// Returns whether the TLS handshake failed, which a retry does not change: rustls reports a bad certificate as invalid data.
fn is_certificate_error(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

fn is_invalid_password(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some("28P01"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestDatabase;

    fn args(url: &str) -> DatabaseArgs {
        DatabaseArgs {
            database_url: Some(url.to_owned().into()),
            database_host: String::new(),
            database_port: 0,
            database_name: String::new(),
            database_username: String::new(),
            database_password: None,
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
        let statement_timeout = async |pool: &PgPool| {
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
