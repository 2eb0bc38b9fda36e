//! Settings of the connection.

use std::{path::PathBuf, str::FromStr};

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::aws::{self, IamArgs};

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
    /// ARN of the secret with the username and the password, in which Amazon RDS stores a new password when it rotates it; read
    /// when the database rejects the current one
    #[arg(long, env = "DATABASE_SECRET_ARN")]
    pub database_secret_arn: Option<String>,
    /// Identity of this service, which may read that secret; that of the command line.
    #[arg(skip = aws::identity())]
    pub iam: IamArgs,
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
    pub(super) fn options(&self) -> anyhow::Result<PgConnectOptions> {
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
