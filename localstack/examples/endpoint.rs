//! The endpoint alone, for trying it: `endpoint --port 4566 --state-dir .localstack`.

use std::path::PathBuf;

use clap::Parser;
use embedded_endpoint::runtime::task;
use embedded_endpoint::{Config, server};

#[derive(Parser)]
struct Args {
    /// TCP port on 127.0.0.1 and ::1.
    #[arg(long, default_value_t = 4566)]
    port: u16,
    /// Where the state is kept.
    #[arg(long, default_value = ".localstack")]
    state_dir: PathBuf,
    /// The second octet of the loopback addresses that are handed out.
    #[arg(long, default_value_t = 77)]
    slice: u8,
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// `kafka` or `nisshi`; whichever is installed when absent.
    #[arg(long)]
    broker: Option<String>,
}

fn main() -> anyhow::Result<()> {
    // Tasks are started by this very binary, before it has any thread.
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
        .init();
    let state_dir = std::path::absolute(args.state_dir)?;
    server::run(Config {
        port: args.port,
        state_dir,
        slice: args.slice,
        region: args.region,
        broker: args.broker,
    })
    .await
}
