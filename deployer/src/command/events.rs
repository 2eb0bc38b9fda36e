//! `deployer events`: the events of the stacks, in order.

use std::time::Duration;

use aws::cloudformation;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::context::Session;
use crate::error::Result;
use ui::Sentiment;

/// Show the events of the stacks, oldest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer events                        the latest of all stacks, merged by time
  deployer events patient-service -n 200
  deployer events --json | jq '.value[] | select(.status | endswith(\"FAILED\"))'

Exit codes: 0 shown; 1 no such stack, or no endpoint; 3 credentials or permission.")]
pub struct Args {
    /// Only this stack (its short or full name).
    stack: Option<String>,
    /// Maximum number of events; the latest ones are shown.
    #[arg(short = 'n', long, default_value_t = 50)]
    count: usize,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let selected = args
        .stack
        .as_deref()
        .map(|name| super::stack_named(&plan, name))
        .transpose()?;
    let aws = session.connect().await?;
    let prefix = format!("{}-{}-", plan.project, plan.environment);
    let mut found = Vec::new();
    for name in cloudformation::list_stacks(&aws, &prefix).await?.into_keys() {
        if selected.is_some_and(|stack| stack.name != name) {
            continue;
        }
        let short = name.strip_prefix(&prefix).unwrap_or(&name).to_owned();
        let mut events = cloudformation::stack_events(&aws, &name).await?;
        events.reverse();
        found.extend(events.into_iter().map(|event| (short.clone(), event)));
    }
    found.sort_by(|a, b| a.1.time.total_cmp(&b.1.time));
    let found = found.split_off(found.len().saturating_sub(args.count));
    let style = session.ui.style();
    let mut text = String::new();
    let mut values = Vec::new();
    for (stack, event) in &found {
        let time = rfc3339(event.time);
        let reason = event
            .reason
            .as_ref()
            .map(|reason| format!("  {reason}"))
            .unwrap_or_default();
        let status = style.sentiment(Sentiment::of(&event.status), &event.status);
        text.push_str(&format!(
            "{time}  {stack}  {status}  {} ({}){reason}\n",
            event.logical_id, event.resource_type
        ));
        values.push(json!({
            "time": time, "stack": stack, "resource": event.logical_id, "resource_type": event.resource_type, "status": event.status, "reason": event.reason,
        }));
    }
    session.ui.data(
        "events",
        json!(values),
        if text.is_empty() { "no events\n" } else { &text },
    );
    Ok(())
}

fn rfc3339(seconds: f64) -> String {
    let since = Duration::try_from_secs_f64(seconds.trunc()).ok();
    since
        .and_then(|since| OffsetDateTime::UNIX_EPOCH.checked_add(since.try_into().ok()?))
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}
