//! `deployer drift`: what was changed behind CloudFormation's back.

use serde_json::json;

use crate::cloudformation::drift::{self, Drift};
use crate::cloudformation::stack;
use crate::error::Result;
use crate::target::Session;
use crate::undeclared::{self, Findings};

/// Detect drift: resources that differ from their template, and resources that no stack declares.
///
/// Of a resource that differs: path, expected and actual value. Undeclared is what is in this environment's network, cluster,
/// load balancer, registry, log groups and topics, and in no stack; and a stack without its tags. Nothing is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer drift
  deployer drift network                                     one stack, as its template says
  deployer drift --json | jq '.value.undeclared[].id'

Exit codes: 0 looked, whatever was found; 1 no such stack, or nothing answers; 3 credentials or permission; 6 the detection
took too long.")]
pub struct Args {
    /// Only this stack (its short or full name); what no stack declares is not looked for then.
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
    let declared = futures::future::try_join_all(chosen.map(|stack| drift::detect(&aws, &stack.name)));
    let beside = async {
        match wanted {
            Some(_) => Ok(Findings::default()),
            None => undeclared::find(&aws, &plan, &existing).await,
        }
    };
    let (declared, beside) = tokio::try_join!(declared, beside)?;
    let declared = declared.concat();
    let value = json!({ "drifted": declared, "undeclared": beside.undeclared, "unknown": beside.unknown });
    session.ui.data("drift", value, &render(&declared, &beside));
    Ok(())
}

fn render(declared: &[Drift], beside: &Findings) -> String {
    let mut text = String::new();
    for drift in declared {
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
    for found in &beside.undeclared {
        let what = if found.kind == "AWS::CloudFormation::Stack" {
            "untagged"
        } else {
            "undeclared"
        };
        text.push_str(&format!("{what}: {} ({}) {}\n", found.id, found.kind, found.what));
    }
    if text.is_empty() {
        text.push_str("no drift\n");
    }
    for unknown in &beside.unknown {
        text.push_str(&format!("not looked at: {unknown}\n"));
    }
    text
}
