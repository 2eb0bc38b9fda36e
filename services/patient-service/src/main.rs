//! The binary: parse, connect, migrate, serve.

use kit::{Server, database, kafka, outbox, telemetry};
use patient_service::{
    AppState, Config, MIGRATIONS, billing, config::CLI, demo_data, describe_metrics, maintenance, openapi, router,
    topics,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: Config = CLI.parse();
    telemetry::init(CLI.name);
    describe_metrics();

    let pool = database::connect(&config.database).await?;
    database::migrate(&pool, &MIGRATIONS).await?;
    if config.seed_demo_data {
        demo_data::insert(&pool).await?;
    }

    let state = AppState::new(&config, pool.clone()).await?;
    let billing = state.billing.clone();
    let (verifier, producer) = (state.verifier.clone(), kafka::producer(&config.kafka)?);
    let (outbox_kafka, topics_kafka) = (config.kafka.clone(), config.kafka);

    Server::new(CLI.name, &config.serve)
        .routes(router(state))
        .openapi(openapi())
        .database(&pool)
        .tokens(&verifier)
        .kafka(&producer)
        .informational_check("billing", {
            let billing = billing.clone();
            move || billing.clone().check()
        })
        .background_task("topics", |shutdown| topics::ensure(topics_kafka, shutdown))
        .background_task("outbox", {
            let pool = pool.clone();
            |shutdown| outbox::relay(pool, outbox_kafka, shutdown)
        })
        .background_task("reconciler", {
            let pool = pool.clone();
            |shutdown| billing::reconcile(pool, billing, shutdown)
        })
        .background_task("maintenance", |shutdown| maintenance::run(pool, shutdown))
        .run()
        .await
}
