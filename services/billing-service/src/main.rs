//! The binary: parse, connect, migrate, serve.

use billing_service::{
    AppState, Config, MIGRATIONS, config::CLI, grpc, link_secret::LinkSecretInterceptor, openapi, router,
};
use kit::{Server, database, grpc::max_connection_age, kafka, outbox, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: Config = CLI.parse();
    telemetry::init(CLI.name);

    let pool = database::connect(&config.database).await?;
    database::migrate(&pool, &MIGRATIONS).await?;

    let state = AppState::new(&config.token, pool.clone())?;
    let verifier = state.verifier.clone();
    let grpc_address = config.grpc_address();
    let producer = kafka::producer(&config.kafka)?;
    let interceptor = LinkSecretInterceptor::new(config.billing_link_secret)?;

    Server::new(CLI.name, &config.serve)
        .routes(router(state))
        .openapi(openapi())
        .database(&pool)
        .tokens(&verifier)
        .kafka(&producer)
        .grpc(grpc_address, {
            let pool = pool.clone();
            |listener, shutdown| grpc::serve(listener, pool, interceptor, max_connection_age(), shutdown)
        })
        .background_task("outbox", |shutdown| outbox::relay(pool, config.kafka, shutdown))
        .run()
        .await
}
