//! The configuration, read from the command line and the environment.

use std::net::SocketAddr;

use kit::{ServeArgs, cli::Cli, database::DatabaseArgs, kafka::KafkaArgs, token::TokenArgs};
use secrecy::SecretString;

/// Name, description and default port of the binary.
pub const CLI: Cli = Cli::new("billing-service", "The billing accounts of patients.", 4001);

/// Settings of the service; each is an option and an environment variable.
#[derive(Debug, clap::Args)]
pub struct Config {
    /// Address, limits and shutdown.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// The service's own database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The Kafka brokers, to which audit records are published.
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// Verification of access tokens.
    #[command(flatten)]
    pub token: TokenArgs,
    /// Port for gRPC, on the same address as HTTP
    #[arg(long, env, default_value_t = 9001)]
    pub grpc_port: u16,
    /// Secret of the link from patient-service, which gets the same one; gRPC calls without it are rejected
    #[arg(long, env, hide_env_values = true)]
    pub billing_link_secret: SecretString,
}

impl Config {
    /// Returns the address of gRPC.
    pub fn grpc_address(&self) -> SocketAddr {
        SocketAddr::new(self.serve.host, self.grpc_port)
    }
}
