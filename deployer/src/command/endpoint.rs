//! `deployer endpoint`: starts and stops the embedded AWS endpoint.

use aws::endpoint::Probe;
use serde_json::json;

use crate::context::Session;
use crate::embedded::{self, Behavior, Dns, QuotaValue, Slow};
use crate::error::{ArgumentError, Error, Result};

/// Start or stop the embedded AWS endpoint, or show its status.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer endpoint status
  deployer endpoint start --port 4600 --state-dir /tmp/second
  deployer endpoint stop                 ends its processes, keeps its state

Exit codes: 0 done, or nothing to do (status: running or not); 1 error.")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Start it in the background, with its former state.
    Start {
        /// Run in the foreground, until SIGTERM or Ctrl-C.
        #[arg(long)]
        foreground: bool,
        /// Start a new session, so that it does not end with the terminal.
        #[arg(long, hide = true, requires = "foreground")]
        detached: bool,
        #[command(flatten)]
        behavior: BehaviorArgs,
    },
    /// Stop it and all its processes, and keep its state.
    Stop,
    /// Show whether it is running.
    Status,
}

/// Delays and limits of AWS that the endpoint imitates.
#[derive(Debug, clap::Args)]
struct BehaviorArgs {
    /// Make operations take as long as on AWS: `rds=600s`, `msk=30m` (creations), `rds-reboot=90s`, `bake-minute=60s` (a minute of
    /// a rollout's steps; by default a second).
    #[arg(
        long,
        env = "DEPLOYER_SLOW",
        value_name = "OPERATION=DURATION",
        value_delimiter = ','
    )]
    slow: Vec<Slow>,
    /// Age of answers for service names: `immediate`, or `cached` for the TTL of their records.
    #[arg(long, env = "DEPLOYER_DNS", value_name = "AGE", default_value_t)]
    dns: Dns,
    /// Set values of Service Quotas: `L-3032A538=6` limits the vCPUs of Fargate tasks.
    #[arg(long, env = "DEPLOYER_QUOTA", value_name = "CODE=VALUE", value_delimiter = ',')]
    quota: Vec<QuotaValue>,
}

impl From<BehaviorArgs> for Behavior {
    fn from(args: BehaviorArgs) -> Self {
        Self {
            slow: args.slow,
            dns: args.dns,
            quotas: args.quota,
            crash_after_commits: None,
        }
    }
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    if !session.is_local() {
        return Err(ArgumentError::EndpointOnAws.into());
    }
    match args.action {
        Action::Start {
            foreground: true,
            detached,
            behavior,
        } => foreground(session, detached, behavior.into()).await,
        Action::Start { behavior, .. } => start(session, behavior.into()).await,
        Action::Stop => stop(session).await,
        Action::Status => status(session).await,
    }
}

async fn start(session: &Session, behavior: Behavior) -> Result<()> {
    match session.probe().await? {
        Probe::Nothing(_) => session.start_embedded_with(behavior).await?,
        probe => {
            let embedded = probe.is_embedded();
            session.require_endpoint(probe)?;
            session.ui.info(if embedded {
                "nothing to do: the embedded endpoint is already running"
            } else {
                "nothing to do: another AWS endpoint is already running at this address"
            });
        }
    }
    let url = session.endpoint_url().unwrap_or_default();
    session.ui.data("endpoint", json!({ "url": url }), &url);
    Ok(())
}

async fn foreground(session: &Session, detached: bool, behavior: Behavior) -> Result<()> {
    if detached {
        rustix::process::setsid().map_err(|error| Error::io("cannot start a new session")(error.into()))?;
    }
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        // A line that cannot be written must not end what wrote it: the report of it would panic on the same full disk.
        .log_internal_errors(false)
        .try_init();
    let mut options = session.embedded_options();
    options.behavior = behavior;
    embedded::serve(options).await?;
    Ok(())
}

async fn stop(session: &Session) -> Result<()> {
    let stopped = embedded::stop(&session.embedded_options()).await?;
    let state_dir = session.state_dir();
    let text = if stopped {
        format!(
            "the embedded endpoint is stopped; its state is kept in {}",
            state_dir.display()
        )
    } else {
        "nothing to do: the embedded endpoint is not running".to_owned()
    };
    session
        .ui
        .data("endpoint", json!({ "stopped": stopped, "state_dir": state_dir }), &text);
    Ok(())
}

async fn status(session: &Session) -> Result<()> {
    let url = session.endpoint_url().unwrap_or_default();
    let probe = session.probe().await?;
    let pid = embedded::pid(&session.state_dir());
    let embedded = probe.is_embedded();
    let text = match &probe {
        Probe::Endpoint(health) => {
            let version = health["version"].as_str().unwrap_or("?");
            let kind = if embedded {
                "the embedded endpoint"
            } else {
                "an AWS endpoint that is not the embedded one"
            };
            let pid = pid
                .filter(|_| embedded)
                .map(|pid| format!(", pid {pid}"))
                .unwrap_or_default();
            let faults = health["background_faults"].as_object().into_iter().flatten();
            let faults: String = faults
                .map(|(name, fault)| {
                    let (restarts, reason) = (&fault["restarts"], fault["reason"].as_str().unwrap_or("?"));
                    format!("\nfault: {name} was started again {restarts} times; the last reason: {reason}")
                })
                .collect();
            format!("{url}: {kind}, version {version}{pid}{faults}")
        }
        Probe::Nothing(reason) => format!("not running: {reason}"),
        Probe::Other(found) => format!("{url}: not an AWS endpoint: {found}"),
    };
    let running = matches!(probe, Probe::Endpoint(_));
    let value =
        json!({ "running": running, "embedded": embedded, "url": url, "pid": pid, "state_dir": session.state_dir() });
    session.ui.data("endpoint", value, &text);
    Ok(())
}
