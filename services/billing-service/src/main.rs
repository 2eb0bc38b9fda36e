#![doc = include_str!("../README.md")]

mod account;
mod link;
mod routes;
mod rpc;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use kit::{
    Server,
    cli::Cli,
    database::{self, DatabaseArgs},
    serve::ServeArgs,
    telemetry,
    token::TokenArgs,
};
use secrecy::SecretString;
use sqlx::migrate::Migrator;
use utoipa::OpenApi;

use crate::{
    link::LinkGuard,
    routes::{ApiDoc, AppState},
};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

#[derive(clap::Args)]
struct Settings {
    #[command(flatten)]
    serve: ServeArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    token: TokenArgs,
    /// Port for gRPC, on the same address as HTTP
    #[arg(long, env = "GRPC_PORT", default_value_t = 9001)]
    grpc_port: u16,
    /// Secret that callers of the gRPC side must show; patient-service is given the same
    #[arg(long, env = "BILLING_LINK_SECRET", hide_env_values = true)]
    billing_link_secret: SecretString,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings: Settings = Cli::new("billing-service", "Keeps the billing accounts of patients.", 4001).parse();
    telemetry::init("billing-service");
    let guard = LinkGuard::new(settings.billing_link_secret)?;
    let verifier = settings.token.verifier()?;
    let pool = database::connect(&settings.database).await?;
    database::migrate(&pool, &MIGRATOR).await?;

    let state = AppState {
        pool: pool.clone(),
        verifier: verifier.clone(),
    };
    let grpc = SocketAddr::new(settings.serve.host, settings.grpc_port);
    Server::new("billing-service", &settings.serve)
        .routes(routes::routes(state))
        .openapi(ApiDoc::openapi())
        .database(&pool)
        .tokens(&verifier)
        .grpc(grpc, |listener, shutdown| rpc::serve(listener, pool, guard, shutdown))
        .run()
        .await
}
