//! The calls into the crate of the embedded endpoint.

use std::path::Path;

pub use embedded_endpoint::behavior::{Behavior, Dns, QuotaValue, Slow};
use embedded_endpoint::runtime::{broker as brokers, postgres, task};
use embedded_endpoint::service::rds;

use super::{EmbeddedOptions, Error};

/// Region of the endpoint by default.
const REGION: &str = "us-east-1";

/// Runs a task of the endpoint in this process: it starts the program again for each task, before any thread exists.
pub fn run_task() -> ! {
    task::init_main()
}

/// Runs the endpoint in this process until SIGTERM or Ctrl-C.
///
/// # Errors
/// It does not start.
pub async fn serve(options: EmbeddedOptions) -> Result<(), Error> {
    let log = options.log();
    let config = embedded_endpoint::Config {
        port: options.port,
        state_dir: options.state_dir,
        loopback_octet: options.loopback_octet,
        region: options.region.unwrap_or_else(|| REGION.to_owned()),
        broker: options.broker,
        behavior: options.behavior,
    };
    let served = embedded_endpoint::server::run(config).await;
    served.map_err(|error| Error::Start {
        reason: format!("{error:#}"),
        log,
    })
}

/// Returns the snapshots of databases in a state directory.
pub fn retained_snapshots(state_dir: &Path) -> Vec<String> {
    rds::retained_snapshots(state_dir)
}

/// Returns the version of the installed PostgreSQL.
///
/// # Errors
/// There is none.
pub fn postgres_version() -> anyhow::Result<String> {
    Ok(postgres::Installation::find()?.version.clone())
}

/// Returns the name of the Kafka broker that the endpoint would run.
///
/// # Errors
/// The requested one is not installed, or none is.
pub fn broker(requested: Option<&str>) -> anyhow::Result<&'static str> {
    Ok(brokers::choose(requested)?.name())
}
