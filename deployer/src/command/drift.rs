//! `deployer drift`: changes that were made without CloudFormation.

use aws::cloudformation::{self, Drift};
use serde_json::json;

use crate::context::Session;
use crate::error::Result;
use crate::unmanaged::{self, UnmanagedScan};

/// Detect drift: resources that differ from their template, and resources that no stack declares.
///
/// Shows path, expected and actual value of each difference. Unmanaged resources are in the VPC, cluster, load balancer, registry,
/// log groups or topics of this environment, and in no stack. Stacks without their tags are listed, too. Read-only.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer drift
  deployer drift network                     one stack, compared with its template
  deployer drift --json | jq '.value.unmanaged[].id'

Exit codes: 0 checked, with or without drift; 1 no such stack, or no endpoint; 3 credentials or permission;
6 the detection timed out.")]
pub struct Args {
    /// Only this stack (its short or full name), without a search for unmanaged resources.
    stack: Option<String>,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let selected = args
        .stack
        .as_deref()
        .map(|name| super::stack_named(&plan, name))
        .transpose()?;
    let aws = session.connect().await?;
    let existing = cloudformation::list_stacks(&aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
    let chosen = existing
        .values()
        .filter(|stack| stack.is_complete() && selected.is_none_or(|selected| selected.name == stack.name));
    let declared = futures::future::try_join_all(chosen.map(|stack| cloudformation::detect_drift(&aws, &stack.name)));
    let scan = async {
        match selected {
            Some(_) => Ok(UnmanagedScan::default()),
            None => Ok(unmanaged::scan(&aws, &plan, &existing).await?),
        }
    };
    let (declared, scan) = tokio::try_join!(declared, scan)?;
    let declared = unmanaged::without_growth(&plan, declared.concat());
    let declared = unmanaged::without_shifted_requests(&plan, declared);
    let value = json!({ "drifted": declared, "unmanaged": scan.unmanaged, "unknown": scan.unknown });
    session.ui.data("drift", value, &render(&declared, &scan));
    Ok(())
}

fn render(declared: &[Drift], scan: &UnmanagedScan) -> String {
    let mut text = String::new();
    for drift in declared {
        text.push_str(&format!(
            "{}: {} ({}) {}\n",
            drift.stack,
            drift.logical_id,
            drift.resource_type,
            drift.status.to_lowercase()
        ));
        for (path, expected, actual) in &drift.properties {
            text.push_str(&format!("    {path}: expected {expected}, is {actual}\n"));
        }
    }
    for found in &scan.unmanaged {
        let problem = if found.resource_type == "AWS::CloudFormation::Stack" {
            "untagged"
        } else {
            "unmanaged"
        };
        text.push_str(&format!(
            "{problem}: {} ({}) {}\n",
            found.id, found.resource_type, found.description
        ));
    }
    if text.is_empty() {
        text.push_str("no drift\n");
    }
    for unknown in &scan.unknown {
        text.push_str(&format!("not checked: {unknown}\n"));
    }
    text
}
