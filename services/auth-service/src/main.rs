//! The binary: parse, connect, migrate, serve.

use std::sync::Arc;

use auth_service::{
    MIGRATIONS, api, app::App, config::Config, keyring::Keyring, password::Passwords, seal::Seal, upkeep,
};
use kit::cli::Cli;
use kit::{Server, Verifier, database, telemetry};
use time::OffsetDateTime;

const NAME: &str = "auth-service";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: Config = Cli::new(NAME, "Users, login, and the keys that sign access tokens.", 4005).parse();
    telemetry::init(NAME);
    metrics::describe_counter!("auth_logins_total", "Logins, by outcome");
    metrics::describe_counter!(
        "auth_refresh_reuse_total",
        "Refresh tokens that were used twice, which ended their family"
    );
    let pool = database::connect(&config.database).await?;
    database::migrate(&pool, &MIGRATIONS).await?;

    let seal = Seal::new(
        &config.auth_key_encryption_key,
        config.auth_key_encryption_key_previous.as_ref(),
    )?;
    let verifier = Verifier::local(&config.token_audience);
    let keyring = Keyring::open(
        pool.clone(),
        seal,
        config.key_lifetime(),
        verifier,
        OffsetDateTime::now_utc(),
    )
    .await?;
    let app = App {
        pool: pool.clone(),
        passwords: Passwords::new(config.password_cost()?)?,
        keyring: Arc::new(keyring),
        audience: config.token_audience.as_str().into(),
        signup: config.seed_demo_data,
    };
    config.first_admin().ensure(&app).await?;

    Server::new(NAME, &config.serve)
        .routes(api::router(app.clone()))
        .openapi(api::openapi::document())
        .database(&pool)
        .background_task("upkeep", |shutdown| upkeep::run(app, shutdown))
        .run()
        .await
}
