//! The binary: parse, load the keys, serve.

use std::sync::Arc;
use std::time::Duration;

use api_gateway::body::Room;
use api_gateway::config::Config;
use api_gateway::docs::ApiDoc;
use api_gateway::gateway::{self, Gateway};
use api_gateway::places::Places;
use api_gateway::rate::Limiter;
use api_gateway::router;
use api_gateway::upstream::Upstream;
use kit::cli::Cli;
use kit::{Server, telemetry};
use utoipa::OpenApi;

const NAME: &str = "api-gateway";
const CLI: Cli = Cli::new(NAME, "The only public door to the services.", 4004).health_on("MANAGEMENT_PORT", 9004);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: Config = CLI.parse();
    telemetry::init(NAME);
    gateway::describe();
    let verifier = config.token.verifier()?;
    let gateway = Gateway {
        upstream: Upstream::new(config.peers()?, config.timeout()),
        verifier: verifier.clone(),
        limiter: Arc::new(Limiter::new(config.rate())),
        places: Places::new(config.places()),
        room: Room::new(config.max_body_memory_mib as usize * 1024),
        proxies: config.trusted_proxies,
    };
    let keys = verifier.clone();
    Server::new(NAME, &config.serve)
        .routes(router(gateway, &config.cors_allowed_origins))
        .custom_fallback()
        .openapi(ApiDoc::openapi())
        .management(config.management())
        // The client's time to send, the service's time to answer, and a little.
        .request_timeout(config.timeout() + Duration::from_secs(15))
        .readiness_check("signing-keys", move || {
            std::future::ready(keys.check().map_err(Into::into))
        })
        .background_task("signing-keys", |shutdown| verifier.refresh_keys(shutdown))
        .run()
        .await
}
