//! The configuration, read from the command line and the environment.

use kit::{ServeArgs, cli::Cli, database::DatabaseArgs, kafka::KafkaArgs, mail::MailArgs, token::TokenArgs};

/// Name, description and default port of the binary.
pub const CLI: Cli = Cli::new(
    "notification-service",
    "Notifies patients of changes of their records.",
    4003,
);

/// Settings of the service; each is an option and an environment variable.
#[derive(Debug, clap::Args)]
pub struct Config {
    /// Address, limits and shutdown.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// The service's own database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Verification of access tokens.
    #[command(flatten)]
    pub token: TokenArgs,
    /// The Kafka brokers.
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// The server that takes mail.
    #[command(flatten)]
    pub mail: MailArgs,
}
