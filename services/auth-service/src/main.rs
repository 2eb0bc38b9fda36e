//! The binary: parse, connect, migrate, serve.

use auth_service::{
    AppState, Config, MIGRATIONS, config::CLI, describe_metrics, first_admin::FirstAdmin, maintenance, openapi,
    password_reset, router,
};
use kit::{Server, database, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: Config = CLI.parse();
    telemetry::init(CLI.name);
    describe_metrics();

    let pool = database::connect(&config.database).await?;
    database::migrate(&pool, &MIGRATIONS).await?;

    let state = AppState::new(&config, pool.clone()).await?;
    FirstAdmin::from_config(&config).ensure(&state).await?;

    Server::new(CLI.name, &config.serve)
        .routes(router(state.clone()))
        .openapi(openapi())
        .database(&pool)
        .background_task("password resets", {
            let state = state.clone();
            |shutdown| password_reset::run(state, shutdown)
        })
        .background_task("maintenance", |shutdown| maintenance::run(state, shutdown))
        .run()
        .await
}
