//! `deployer events`: what CloudFormation did, in order.

use std::collections::HashSet;

use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cloudformation::{stack, watch};
use crate::error::Result;
use crate::target::Session;
use ui::Sentiment;

/// Show the events of the stacks, oldest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer events                        the last of all stacks, merged by time
  deployer events patient-service -n 200
  deployer events --json | jq '.value[] | select(.status | endswith(\"FAILED\"))'

Exit codes: 0 shown; 1 no such stack, or nothing answers; 3 credentials or permission.")]
pub struct Args {
    /// Only this stack (its short or full name).
    stack: Option<String>,
    /// At most so many, the latest ones.
    #[arg(short = 'n', long, default_value_t = 50)]
    count: usize,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let wanted = args
        .stack
        .as_deref()
        .map(|name| super::stack_named(&plan, name))
        .transpose()?;
    let aws = session.connect().await?;
    let prefix = format!("{}-{}-", plan.project, plan.environment);
    let mut found = Vec::new();
    for name in stack::all(&aws, &prefix).await?.into_keys() {
        if wanted.is_some_and(|stack| stack.name != name) {
            continue;
        }
        let short = name.strip_prefix(&prefix).unwrap_or(&name).to_owned();
        let mut events = watch::events(&aws, &name, &HashSet::new()).await?;
        events.reverse();
        found.extend(events.into_iter().map(|event| (short.clone(), event)));
    }
    found.sort_by(|a, b| a.1.time.total_cmp(&b.1.time));
    let found = found.split_off(found.len().saturating_sub(args.count));
    let style = session.ui.style();
    let mut text = String::new();
    let mut values = Vec::new();
    for (stack, event) in &found {
        let time = clock(event.time);
        let reason = event
            .reason
            .as_ref()
            .map(|reason| format!("  {reason}"))
            .unwrap_or_default();
        let status = style.sentiment(Sentiment::of(&event.status), &event.status);
        text.push_str(&format!(
            "{time}  {stack}  {status}  {} ({}){reason}\n",
            event.resource, event.kind
        ));
        values.push(json!({
            "time": time, "stack": stack, "resource": event.resource, "type": event.kind, "status": event.status, "reason": event.reason,
        }));
    }
    session.ui.data(
        "events",
        json!(values),
        if text.is_empty() { "no events\n" } else { &text },
    );
    Ok(())
}

fn clock(seconds: f64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds as i64)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}
