//! `deployer endpoint`: the embedded AWS endpoint, by hand.

use serde_json::json;

use crate::error::{Error, Result};
use crate::target::{Session, embedded};

/// Start, stop or look at the embedded AWS endpoint.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer endpoint status
  deployer endpoint start --port 4600 --state-dir /tmp/second
  deployer endpoint stop                 its processes end, its state is kept

Exit codes: 0 done, already so, or looked (status, whether it runs or not); 1 error.")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Start it in the background, with the state it was stopped with.
    Start {
        /// Stay in the foreground; SIGTERM or Ctrl-C ends it.
        #[arg(long)]
        foreground: bool,
        /// Become the leader of a session of its own, so that no terminal's end is its end.
        #[arg(long, hide = true, requires = "foreground")]
        detached: bool,
    },
    /// End it and all its processes; its state is kept.
    Stop,
    /// Say whether it runs.
    Status,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    if !session.is_local() {
        return Err(Error::Usage(
            "`deployer endpoint` is about the embedded endpoint; AWS needs none: use --target localstack, or leave --target away"
                .into(),
        ));
    }
    match args.action {
        Action::Start {
            foreground: true,
            detached,
        } => foreground(session, detached).await,
        Action::Start { .. } => start(session).await,
        Action::Stop => stop(session).await,
        Action::Status => status(session).await,
    }
}

async fn start(session: &Session) -> Result<()> {
    match embedded::probe(session).await? {
        embedded::Answer::Nothing(_) => embedded::start(session).await?,
        answer => {
            let embedded = answer.is_embedded();
            answer.require(session)?;
            let what = if embedded {
                "the embedded endpoint runs already"
            } else {
                "another AWS endpoint answers there already"
            };
            session.ui.info(what);
        }
    }
    let url = session.endpoint_url().unwrap_or_default();
    session.ui.data("endpoint", json!({ "url": url }), &url);
    Ok(())
}

async fn foreground(session: &Session, detached: bool) -> Result<()> {
    if detached {
        rustix::process::setsid().map_err(|error| Error::io("cannot leave the terminal's session")(error.into()))?;
    }
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .try_init();
    let common = &session.common;
    let config = embedded_endpoint::Config {
        port: common.port,
        state_dir: session.state_dir(),
        loopback_octet: common.slice(),
        region: common.region.clone().unwrap_or_else(|| "us-east-1".to_owned()),
        broker: common.broker.clone(),
    };
    let log = config.state_dir.join("endpoint.log").display().to_string();
    embedded_endpoint::server::run(config)
        .await
        .map_err(|error| Error::EndpointStart {
            reason: format!("{error:#}"),
            log,
        })
}

async fn stop(session: &Session) -> Result<()> {
    let stopped = embedded::stop(session).await?;
    let kept = session.state_dir();
    let text = if stopped {
        format!(
            "the embedded endpoint is stopped; its state stays in {}",
            kept.display()
        )
    } else {
        "nothing to do: no embedded endpoint runs".to_owned()
    };
    session
        .ui
        .data("endpoint", json!({ "stopped": stopped, "state_dir": kept }), &text);
    Ok(())
}

async fn status(session: &Session) -> Result<()> {
    let url = session.endpoint_url().unwrap_or_default();
    let answer = embedded::probe(session).await?;
    let pid = embedded::pid(&session.state_dir());
    let embedded = answer.is_embedded();
    let text = match &answer {
        embedded::Answer::Endpoint(health) => {
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
            format!("{url}: {kind}, version {version}{pid}")
        }
        embedded::Answer::Nothing(reason) => format!("not running: {reason}"),
        embedded::Answer::Stranger(seen) => format!("{url}: not an AWS endpoint: {seen}"),
    };
    let running = matches!(answer, embedded::Answer::Endpoint(_));
    let value =
        json!({ "running": running, "embedded": embedded, "url": url, "pid": pid, "state_dir": session.state_dir() });
    session.ui.data("endpoint", value, &text);
    Ok(())
}
