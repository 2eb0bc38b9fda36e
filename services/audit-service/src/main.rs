//! The binary: parse, connect, migrate, then serve, or verify the chain.

use std::process::ExitCode;

use audit_service::{
    AppState, Config, MIGRATIONS, config::CLI, describe_metrics, event_handler::AuditEventHandler, openapi, router,
    verify,
};
use contracts::topics::{AUDIT, AUDIT_GROUP};
use kit::{Server, database, kafka::Subscription, telemetry};

const SUBSCRIPTION: Subscription = Subscription {
    group: AUDIT_GROUP,
    topic: AUDIT,
};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let (verifies, config): (bool, Config) = CLI.parse_command();
    if verifies {
        return Ok(match database::connect(&config.database).await {
            Ok(pool) => verify::command(&pool, config.expected_head.as_ref()).await,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::from(2)
            }
        });
    }
    telemetry::init(CLI.name);
    describe_metrics();

    let pool = database::connect(&config.database).await?;
    database::migrate(&pool, &MIGRATIONS).await?;

    let state = AppState::new(&config.token, pool.clone())?;
    let verifier = state.verifier.clone();

    Server::new(CLI.name, &config.serve)
        .routes(router(state))
        .openapi(openapi())
        .database(&pool)
        .tokens(&verifier)
        .consumer(config.kafka, SUBSCRIPTION, AuditEventHandler { pool: pool.clone() })?
        .background_task("verification", |shutdown| verify::run(pool, shutdown))
        .run()
        .await?;
    Ok(ExitCode::SUCCESS)
}
