//! The binary: parse, connect, migrate, serve.

use analytics_service::{
    AppState, Config, MIGRATIONS, config::CLI, describe_metrics, event_handler::PatientEventHandler, openapi, router,
};
use contracts::topics::{ANALYTICS_GROUP, PATIENT};
use kit::{Server, database, kafka::Subscription, outbox, telemetry};

const SUBSCRIPTION: Subscription = Subscription {
    group: ANALYTICS_GROUP,
    topic: PATIENT,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: Config = CLI.parse();
    telemetry::init(CLI.name);
    describe_metrics();

    let pool = database::connect(&config.database).await?;
    database::migrate(&pool, &MIGRATIONS).await?;

    let state = AppState::new(&config.token, pool.clone())?;
    let verifier = state.verifier.clone();

    let (relayed, outbox_kafka) = (pool.clone(), config.kafka.clone());

    Server::new(CLI.name, &config.serve)
        .routes(router(state))
        .openapi(openapi())
        .database(&pool)
        .tokens(&verifier)
        .consumer(config.kafka, SUBSCRIPTION, PatientEventHandler { pool })?
        .background_task("outbox", |shutdown| outbox::relay(relayed, outbox_kafka, shutdown))
        .run()
        .await
}
