//! What the environment tells this service.

use kit::{ServeArgs, cli::Cli, database::DatabaseArgs, kafka::KafkaArgs, token::TokenArgs};

use crate::billing::BillingArgs;

/// The name, purpose and port of the binary.
pub const CLI: Cli = Cli::new("patient-service", "Patients and their families.", 4000);

/// The settings; each is an option and an environment variable.
#[derive(Debug, clap::Args)]
pub struct Settings {
    #[command(flatten)]
    pub serve: ServeArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub kafka: KafkaArgs,
    #[command(flatten)]
    pub tokens: TokenArgs,
    #[command(flatten)]
    pub billing: BillingArgs,
    /// Time zone of the patients, by its IANA name, such as Europe/Paris: which day today is, for dates of birth and of registration
    #[arg(long, env = "TIME_ZONE", default_value = "UTC")]
    pub time_zone: String,
    /// Whether an empty database starts with 15 demo patients; for development only
    #[arg(long, env = "SEED_DEMO_DATA", default_value_t = false, action = clap::ArgAction::Set)]
    pub seed_demo_data: bool,
}
