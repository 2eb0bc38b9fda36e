#![doc = include_str!("../README.md")]

mod consumer;
mod event;
mod inbox;
mod letter;
mod notification;
mod routes;
mod sender;
mod sink;
#[cfg(test)]
mod tests;

use std::sync::Arc;

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
use tokio::sync::Notify;
use utoipa::OpenApi;

use crate::{
    consumer::Receiver,
    routes::{ApiDoc, AppState},
    sender::Sender,
    sink::LogSink,
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
    #[command(flatten)]
    kafka: KafkaArgs,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let about = "Tells patients what happened to their records.";
    let settings: Settings = Cli::new("notification-service", about, 4003).parse();
    telemetry::init("notification-service");
    metrics::describe_counter!(
        "notification_events_total",
        "Events that were handled, by what came of them"
    );
    metrics::describe_counter!(
        "notification_deliveries_total",
        "Tries to send a notification, by outcome"
    );
    let verifier = settings.token.verifier()?;
    let broker = kafka::producer(&settings.kafka)?;
    let pool = database::connect(&settings.database).await?;
    database::migrate(&pool, &MIGRATOR).await?;

    let wake = Arc::new(Notify::new());
    let receiver = Receiver {
        pool: pool.clone(),
        wake: wake.clone(),
    };
    let sender = Sender::new(pool.clone(), LogSink, wake);
    let state = AppState {
        pool: pool.clone(),
        verifier: verifier.clone(),
    };
    Server::new("notification-service", &settings.serve)
        .routes(routes::routes(state))
        .openapi(ApiDoc::openapi())
        .database(&pool)
        .kafka(&broker)
        .tokens(&verifier)
        .background_task("consumer", |shutdown| consumer::run(settings.kafka, receiver, shutdown))
        .background_task("sender", |shutdown| sender.run(shutdown))
        .run()
        .await
}
