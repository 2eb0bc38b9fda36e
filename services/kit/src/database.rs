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

/// How long a service waits at start for a database that does not answer yet.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How long a statement may take at the server, in PostgreSQL's words: longer than anybody waits for its answer, so that
/// what is given up does not keep its connection.
const STATEMENT: &str = "20s";
/// How long work waits for an answer of the database when nobody else limits it: see [`patiently`].
const SILENCE: Duration = Duration::from_secs(30);

/// Where the service's own database is.
#[derive(Debug, Clone, clap::Args)]
pub struct DatabaseArgs {
    /// The whole address, postgres://user:password@host:port/name; wins over the parts
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
    /// User who owns the database
    #[arg(long, env = "DATABASE_USERNAME", default_value = "postgres")]
    pub database_username: String,
    /// The user's password, given by the platform as a secret
    #[arg(long, env = "DATABASE_PASSWORD", hide_env_values = true)]
    pub database_password: Option<SecretString>,
    /// Whether the connection is encrypted, and the server's certificate checked
    #[arg(long, env = "DATABASE_TLS", value_enum, default_value_t = Tls::Prefer)]
    pub database_tls: Tls,
    /// PEM file of the authorities that `verify-full` trusts, such as the bundle of RDS
    #[arg(long, env = "DATABASE_CA_FILE")]
    pub database_ca_file: Option<PathBuf>,
    /// Most connections that this process opens
    #[arg(long, env = "DATABASE_POOL_SIZE", default_value_t = 10, value_parser = clap::value_parser!(u32).range(4..=500))]
    pub database_pool_size: u32,
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Tls {
    /// Never
    Disable,
    /// Where the server can
    Prefer,
    /// Always, whatever the certificate
    Require,
    /// Always, with a certificate that is valid for the host
    VerifyFull,
}

impl DatabaseArgs {
    fn options(&self) -> anyhow::Result<PgConnectOptions> {
        let options = match &self.database_url {
            // The URL holds the password, so the parser's own words, which may quote it, are dropped.
            Some(url) => PgConnectOptions::from_str(url.expose_secret())
                .map_err(|_| anyhow::anyhow!("DATABASE_URL is not a postgres:// address; check its form"))?,
            None => {
                let options = PgConnectOptions::new_without_pgpass()
                    .host(&self.database_host)
                    .port(self.database_port)
                    .database(&self.database_name)
                    .username(&self.database_username);
                match &self.database_password {
                    Some(password) => options.password(password.expose_secret()),
                    None => options,
                }
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

/// Opens the pool, waiting up to a minute for a server that is still starting.
///
/// # Errors
/// When the address is malformed, the password is refused, or the server does not answer in time.
pub async fn connect(args: &DatabaseArgs) -> anyhow::Result<PgPool> {
    let options = args.options()?;
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let pool = PgPoolOptions::new()
        .max_connections(args.database_pool_size)
        .acquire_timeout(Duration::from_secs(3))
        // Young connections notice a rotated password and a failed-over server.
        .max_lifetime(Duration::from_secs(15 * 60))
        .after_connect(|connection, _| {
            metrics::counter!("database_connections_opened_total").increment(1);
            Box::pin(async move { limit(connection, STATEMENT).await })
        })
        .connect_lazy_with(options);
    watch(&pool, args.database_pool_size);
    let started = Instant::now();
    let mut pause = Duration::from_millis(100);
    loop {
        let Err(error) = pool.acquire().await else {
            return Ok(pool);
        };
        if is_refused_password(&error) {
            bail!(
                "the database at {place} refuses the password (28P01); check the secret that DATABASE_PASSWORD is from"
            );
        }
        if is_distrusted(&error) {
            bail!(
                "the database at {place} shows a certificate that is not trusted ({error}); DATABASE_CA_FILE names the \
                 authorities that are: for Amazon RDS its global bundle, which images have at \
                 /etc/ssl/certs/rds-global-bundle.pem"
            );
        }
        if !is_unreachable(&error) || started.elapsed() > START_PATIENCE {
            return Err(error).with_context(|| format!("no connection to the database at {place}"));
        }
        tracing::info!(database = place, reason = describe(&error), "waiting for the database");
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(3));
    }
}

/// Brings the schema up to date, one process at a time (sqlx holds an advisory lock meanwhile), however long it takes.
pub async fn migrate(pool: &PgPool, migrator: &Migrator) -> anyhow::Result<()> {
    let migrating = async {
        let mut connection = pool.acquire().await?;
        let usual: String = sqlx::query_scalar("show statement_timeout")
            .fetch_one(&mut *connection)
            .await?;
        limit(&mut connection, "0").await?;
        migrator.run(&mut *connection).await?;
        limit(&mut connection, &usual).await?;
        anyhow::Ok(())
    };
    migrating
        .await
        .context("the database's schema could not be brought up to date")
}

/// Sets how long a statement of this connection may take.
async fn limit(connection: &mut PgConnection, time: &str) -> sqlx::Result<()> {
    sqlx::query("select set_config('statement_timeout', $1, false)")
        .bind(time)
        .execute(connection)
        .await
        .map(drop)
}

/// Does work that no request's deadline limits, and gives it up when the database is silent for half a minute.
///
/// A server that vanished without a word, as a failed-over one does, never answers and never refuses.
///
/// # Errors
/// Those of the work; an I/O error, which [`is_unreachable`] knows, when it took too long.
pub async fn patiently<T>(work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    within(SILENCE, work).await
}

async fn within<T>(limit: Duration, work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    let silent = || std::io::Error::new(std::io::ErrorKind::TimedOut, "the database is silent");
    timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(silent())))
}

/// Shows the pool's connections among the metrics, from now on.
fn watch(pool: &PgPool, most: u32) {
    metrics::gauge!("database_pool_max_connections").set(most);
    let pool = pool.clone();
    telemetry::before_reading(move || {
        // The two numbers are read one after the other, so the difference may be off by what happens between.
        let idle = pool.num_idle() as f64;
        let used = (f64::from(pool.size()) - idle).max(0.0);
        metrics::gauge!("database_pool_connections", "state" => "idle").set(idle);
        metrics::gauge!("database_pool_connections", "state" => "used").set(used);
    });
}

/// A readiness check: one round trip to the database, and how long it had to wait for a connection.
pub async fn ping(pool: &PgPool) -> Result<(), String> {
    let started = Instant::now();
    let trip = async {
        let mut connection = pool.acquire().await?;
        metrics::histogram!("database_acquire_seconds").record(started.elapsed().as_secs_f64());
        sqlx::query("select 1").execute(&mut *connection).await
    };
    trip.await.map(drop).map_err(|error| {
        observe(&error);
        describe(&error)
    })
}

/// Counts the error, and ends the process when it says that the password was changed under it.
pub fn observe(error: &sqlx::Error) {
    let kind = match error {
        sqlx::Error::PoolTimedOut => Some("pool_timeout"),
        error if is_refused_password(error) => Some("refused_password"),
        error if is_unreachable(error) => Some("unreachable"),
        error if gave_way(error) => Some("gave_way"),
        // A broken constraint is the caller's doing, and is answered.
        sqlx::Error::Database(error) if error.code().is_some_and(|code| code.starts_with("23")) => None,
        sqlx::Error::RowNotFound => None,
        _ => Some("other"),
    };
    if let Some(kind) = kind {
        metrics::counter!("database_errors_total", "kind" => kind).increment(1);
    }
    if is_refused_password(error) {
        fatal::raise(
            "the database refuses our password (28P01): it was rotated; this process ends so that the next starts with the new secret",
        );
    }
}

/// Whether the server cannot be reached, is starting, is stopping, or has no free connection.
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

/// Whether time is the cure: the server [cannot be reached](is_unreachable), or this statement gave way to another one.
pub fn is_passing(error: &sqlx::Error) -> bool {
    is_unreachable(error) || gave_way(error)
}

/// Whether the statement ended for the sake of others, and may do so no more the next time: 40001 (serialisation), 40P01
/// (deadlock), 55P03 (a lock that is not free), 57014 (it took longer than [`STATEMENT`]).
fn gave_way(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| ["40001", "40P01", "55P03", "57014"].contains(&code.as_ref()))
}

/// The name of the constraint that an insert or update broke, if that is what failed.
pub fn violated(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error().and_then(|error| error.constraint())
}

/// The error in words that hold no row's values (PostgreSQL's `detail` would).
pub fn describe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => {
            format!("{} (SQLSTATE {})", error.message(), error.code().unwrap_or_default())
        }
        other => other.to_string(),
    }
}

/// Whether TLS broke off, which time does not mend: rustls tells of a bad certificate as invalid data.
fn is_distrusted(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

fn is_refused_password(error: &sqlx::Error) -> bool {
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
    async fn a_statement_ends_when_nobody_waits_for_it_any_more_and_a_migration_may_take_its_time() {
        let Some(database) = TestDatabase::create().await else {
            return;
        };
        let pool = connect(&args(&database.url)).await.expect("a pool");
        let limit = async |pool: &PgPool| {
            let shown = sqlx::query_scalar::<_, String>("show statement_timeout");
            shown.fetch_one(pool).await.expect("a setting")
        };
        assert_eq!(limit(&pool).await, STATEMENT);
        migrate(&pool, &Migrator::DEFAULT).await.expect("nothing to do");
        assert_eq!(limit(&pool).await, STATEMENT);
        pool.close().await;
        database.drop().await;
    }

    #[tokio::test]
    async fn what_gave_way_to_others_may_be_tried_again_and_a_fault_may_not() {
        let Some(database) = TestDatabase::create().await else {
            return;
        };
        for (statement, passes) in [
            ("do $$ begin raise exception using errcode = '40P01'; end $$", true),
            ("set statement_timeout = 10; select pg_sleep(5)", true),
            ("select 1 / 0", false),
        ] {
            let error = sqlx::raw_sql(statement)
                .execute(&database.pool)
                .await
                .expect_err(statement);
            assert_eq!(is_passing(&error), passes, "{error}");
        }
        database.drop().await;
    }

    #[tokio::test]
    async fn a_database_that_never_answers_is_given_up() {
        let silence = std::future::pending::<sqlx::Result<()>>();
        let error = within(Duration::from_millis(1), silence).await.expect_err("silence");
        assert!(is_unreachable(&error), "{error}");
    }
}
