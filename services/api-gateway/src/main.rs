//! The binary: parse, connect, serve.

use std::future::ready;

use api_gateway::{AppState, Config, config::CLI, describe_metrics, openapi, router};
use kit::{Server, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: Config = CLI.parse();
    telemetry::init(CLI.name);
    describe_metrics();

    let state = AppState::new(&config)?;
    let (keys, verifier, following) = (state.verifier.clone(), state.verifier.clone(), state.verifier.clone());

    Server::new(CLI.name, &config.serve)
        .routes(router(state))
        .custom_fallback()
        .openapi(openapi())
        .management(config.management_address())
        .request_timeout(config.request_timeout())
        .readiness_check("signing-keys", move || ready(keys.check().map_err(Into::into)))
        .background_task("signing-keys", |shutdown| verifier.refresh_keys(shutdown))
        .background_task("ended-sessions", |shutdown| following.follow_revocations(shutdown))
        .run()
        .await
}
