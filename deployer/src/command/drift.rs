//! `deployer drift`: what was changed behind CloudFormation's back.

use serde_json::json;

use crate::cloudformation::{drift, stack};
use crate::error::Result;
use crate::target::Session;

/// Detect drift: resources that differ from their template, with path, expected and actual value.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this stack (its short or full name).
    stack: Option<String>,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let wanted = args
        .stack
        .as_deref()
        .map(|name| super::stack_named(&plan, name))
        .transpose()?;
    let aws = session.connect().await?;
    let existing = stack::all(&aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
    let chosen = existing
        .values()
        .filter(|stack| stack.is_complete() && wanted.is_none_or(|wanted| wanted.name == stack.name));
    let found = futures::future::try_join_all(chosen.map(|stack| drift::detect(&aws, &stack.name)))
        .await?
        .concat();
    let mut text = String::new();
    for drift in &found {
        text.push_str(&format!(
            "{}: {} ({}) {}\n",
            drift.stack,
            drift.resource,
            drift.kind,
            drift.status.to_lowercase()
        ));
        for (path, expected, actual) in &drift.properties {
            text.push_str(&format!("    {path}: expected {expected}, is {actual}\n"));
        }
    }
    session.ui.data(
        "drift",
        json!(found),
        if text.is_empty() { "no drift\n" } else { &text },
    );
    Ok(())
}
