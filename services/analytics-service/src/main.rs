#![doc = include_str!("../README.md")]

mod consumer;
mod history;
mod journal;
mod routes;
mod summary;
#[cfg(test)]
mod tests;
mod timeline;

use kit::{
    Server,
    cli::Cli,
    database::{self, DatabaseArgs},
    kafka::{self, KafkaArgs},
    serve::ServeArgs,
    telemetry,
    token::TokenArgs,
};
use sqlx::migrate::Migrator;
use utoipa::OpenApi;

use crate::routes::{ApiDoc, AppState};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

#[derive(clap::Args)]
struct Settings {
    #[command(flatten)]
    serve: ServeArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    token: TokenArgs,
    #[command(flatten)]
    kafka: KafkaArgs,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings: Settings = Cli::new("analytics-service", "Counts what happens to patients.", 4002).parse();
    telemetry::init("analytics-service");
    metrics::describe_counter!(
        "analytics_events_total",
        "Events that were handled, by whether they were new"
    );
    let verifier = settings.token.verifier()?;
    let broker = kafka::producer(&settings.kafka)?;
    let pool = database::connect(&settings.database).await?;
    database::migrate(&pool, &MIGRATOR).await?;

    let state = AppState {
        pool: pool.clone(),
        verifier: verifier.clone(),
    };
    Server::new("analytics-service", &settings.serve)
        .routes(routes::routes(state))
        .openapi(ApiDoc::openapi())
        .database(&pool)
        .kafka(&broker)
        .tokens(&verifier)
        .background_task("consumer", |shutdown| consumer::run(settings.kafka, pool, shutdown))
        .run()
        .await
}
