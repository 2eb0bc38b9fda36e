//! Runs the endpoint alone: `endpoint --port 4566 --state-dir .localstack`.

use std::path::PathBuf;

use clap::Parser;
use embedded_endpoint::behavior::{Behavior, Dns, QuotaValue, Slow};
use embedded_endpoint::runtime::task;
use embedded_endpoint::{Config, server};

#[derive(Parser)]
struct Args {
    /// TCP port on 127.0.0.1 and `::1`.
    #[arg(long, default_value_t = 4566)]
    port: u16,
    /// State directory.
    #[arg(long, default_value = ".localstack")]
    state_dir: PathBuf,
    /// Second octet of the loopback addresses that the endpoint assigns.
    #[arg(long, default_value_t = 77)]
    loopback_octet: u8,
    /// AWS region.
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// `kafka` or `nisshi`; default: the one that is installed.
    #[arg(long)]
    broker: Option<String>,
    /// `OPERATION=DURATION` of operations that take long: rds, msk, rds-reboot.
    #[arg(long, env = "DEPLOYER_SLOW", value_delimiter = ',')]
    slow: Vec<Slow>,
    /// `immediate`, or `cached`: names lag by the TTL of their records.
    #[arg(long, env = "DEPLOYER_DNS", default_value_t)]
    dns: Dns,
    /// `CODE=VALUE` of Service Quotas.
    #[arg(long, env = "DEPLOYER_QUOTA", value_delimiter = ',')]
    quota: Vec<QuotaValue>,
    /// Aborts right after this number of writes to the state file.
    #[arg(long)]
    crash_after_commits: Option<u64>,
}

fn main() -> anyhow::Result<()> {
    // The runtime starts containers with this binary, which must have no threads then.
    if std::env::args().nth(1).as_deref() == Some(task::ARGUMENT) {
        task::init_main();
    }
    serve()
}

#[tokio::main]
async fn serve() -> anyhow::Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .with_writer(std::io::stderr)
        // A line that cannot be written must not end what wrote it: the report of it would panic on the same full disk.
        .log_internal_errors(false)
        .init();
    let state_dir = std::path::absolute(args.state_dir)?;
    server::run(Config {
        port: args.port,
        state_dir,
        loopback_octet: args.loopback_octet,
        region: args.region,
        broker: args.broker,
        behavior: Behavior {
            slow: args.slow,
            dns: args.dns,
            quotas: args.quota,
            crash_after_commits: args.crash_after_commits,
        },
    })
    .await
}
