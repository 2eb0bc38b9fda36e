//! `deployer doctor`: checks the prerequisites of a deployment.

mod account;
mod check;
mod clock_skew;
mod endpoint;
mod machine;

use serde_json::json;

use crate::context::Session;
use crate::error::{Error, Result};
use check::{Check, Level};
use ui::{Sentiment, Style};

/// Check the prerequisites of a deployment on this machine and the target, and show how to get what is missing.
///
/// Each check is ok, a warning (`up` can work without it), or failed (`up` would fail). Read-only: starts and installs nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer doctor                                this machine and the embedded endpoint
  deployer doctor --target aws --profile ops     credentials, region, clock
  deployer doctor --json | jq '.value[] | select(.level != \"ok\")'

Exit codes: 0 nothing failed; 1 a check failed.")]
pub struct Args {}

pub async fn run(_: Args, session: &Session) -> Result<()> {
    let own = session.clone();
    let machine = tokio::task::spawn_blocking(move || machine::checks(&own));
    let target = if session.is_local() {
        endpoint::checks(session).await?
    } else {
        account::checks(session).await
    };
    let mut checks = machine.await.map_err(anyhow::Error::from)?;
    checks.extend(target);
    let value: Vec<_> = checks
        .iter()
        .map(|c| json!({ "check": c.name, "level": c.level, "ok": c.level != Level::Fail, "found": c.found, "fix": c.fix }))
        .collect();
    session
        .ui
        .data("doctor", json!(value), &render(&checks, session.ui.style()));
    let failed = checks.iter().filter(|check| check.level == Level::Fail).count();
    if failed == 0 {
        Ok(())
    } else {
        Err(Error::ChecksFailed {
            failed,
            total: checks.len(),
        })
    }
}

fn render(checks: &[Check], style: Style) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let (label, sentiment) = match check.level {
            Level::Ok => ("ok  ", Sentiment::Good),
            Level::Warn => ("warn", Sentiment::Busy),
            Level::Fail => ("FAIL", Sentiment::Bad),
        };
        let name = format!("{:width$}", check.name);
        text.push_str(&format!(
            "{}  {name}  {}\n",
            style.sentiment(sentiment, label),
            check.found
        ));
        if let Some(fix) = &check.fix {
            text.push_str(&format!("      {:width$}  fix: {fix}\n", ""));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_shows_what_was_found_and_how_to_fix_it() {
        let checks = [
            Check::ok("cargo", "cargo 1.95.0"),
            Check::warn("disk", "3.0 GB are free", "free some space"),
            Check::fail("PostgreSQL", "not installed", "apt-get install postgresql"),
        ];
        insta::assert_snapshot!(render(&checks, Style::default()), @r"
        ok    cargo       cargo 1.95.0
        warn  disk        3.0 GB are free
                          fix: free some space
        FAIL  PostgreSQL  not installed
                          fix: apt-get install postgresql
        ");
    }
}
