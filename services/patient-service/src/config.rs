//! The configuration, read from the command line and the environment.

use kit::{ServeArgs, cli::Cli, database::DatabaseArgs, kafka::KafkaArgs, token::TokenArgs};
use secrecy::SecretString;

/// Name, description and default port of the binary.
pub const CLI: Cli = Cli::new("patient-service", "Patients and their families.", 4000);

/// Settings of the service; each is an option and an environment variable.
#[derive(Debug, clap::Args)]
pub struct Config {
    /// Address, limits and shutdown.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// The service's own database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The Kafka brokers.
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// Verification of access tokens.
    #[command(flatten)]
    pub token: TokenArgs,
    /// host:port of billing-service's gRPC, which opens and closes the patients' accounts
    #[arg(long, env, default_value = "127.0.0.1:9001")]
    pub billing_service_address: String,
    /// Secret of the link to billing-service, which rejects calls without it
    #[arg(long, env, hide_env_values = true)]
    pub billing_link_secret: Option<SecretString>,
    /// IANA name of the patients' time zone, such as Europe/Paris; it decides the current date, against which dates of birth and of registration are checked
    #[arg(long, env, default_value = "UTC")]
    pub time_zone: String,
    /// Insert 15 demo patients into an empty database; for development only
    #[arg(long, env, default_value_t = false, action = clap::ArgAction::Set)]
    pub seed_demo_data: bool,
}
