//! The configuration, read from the command line and the environment.

use kit::{ServeArgs, cli::Cli, database::DatabaseArgs, kafka::KafkaArgs, token::TokenArgs};

use crate::chain::Head;

/// Name, description and default port of the binary.
pub const CLI: Cli = Cli::new("audit-service", "Who read or changed which patient.", 4006).subcommand(
    "verify",
    "Verify the chain of audit records and print its head; exit code 0 if it is intact, 1 if a record was changed or removed, \
     2 if the chain could not be read",
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
    /// A head that `verify` printed earlier, POSITION:HASH; `verify` fails if the chain no longer contains it
    #[arg(long, env = "AUDIT_EXPECTED_HEAD")]
    pub expected_head: Option<Head>,
}
