//! `deployer validate`: is the manifest right, and would its templates work?

use serde_json::json;

use crate::cloudformation::handover::{self, Label};
use crate::error::{Error, Result};
use crate::lint;
use crate::preflight::{self, crates};
use crate::target::Session;

/// Check deployer.toml and its templates: crates are there, links have paths, references lead somewhere, properties have the
/// right types.
///
/// Needs no endpoint; with --online, CloudFormation reads the templates as well, and on AWS the certificate of the ingress is
/// looked at. Exit code 1 when something is found.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer validate
  deployer validate --env prod --online --target aws

Exit codes: 0 nothing is wrong; 1 something is, or nothing answers (--online); 3 credentials or permission (--online).")]
pub struct Args {
    /// Ask the target as well: CloudFormation, and ACM for the certificate.
    #[arg(long)]
    online: bool,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let manifest = session.load()?;
    let plan = crate::stacks::plan(&manifest);
    let looked = crates::look(&manifest, false).await;
    let (unbuildable, unknown): (Vec<_>, Vec<_>) = looked.into_iter().partition(|found| found.fatal);
    for found in unknown {
        session
            .ui
            .warn(format!("whether the crates are there is not known: {}", found.what));
    }
    if !unbuildable.is_empty() {
        let lines = unbuildable
            .iter()
            .map(|found| format!("{}; {}", found.what, found.hint));
        return Err(Error::Plan(lines.collect::<Vec<_>>().join("\n")));
    }
    let findings = lint::check(&manifest, &plan);
    if args.online && findings.is_empty() {
        let aws = session.connect().await?;
        let platform = format!("{}-{}", plan.project, plan.environment);
        for stack in &plan.stacks {
            let label = Label {
                platform: &platform,
                stack: &stack.name,
            };
            let sent = handover::send(&aws, label, &stack.template.to_string()).await?;
            handover::validate(&aws, sent).await?;
        }
        let certificate = preflight::certificate(session, &aws, &manifest).await?;
        let (fatal, warnings): (Vec<_>, Vec<_>) = certificate.into_iter().partition(|found| found.fatal);
        for one in warnings {
            session.ui.warn(format!("{}; {}", one.what, one.hint));
        }
        if !fatal.is_empty() {
            return Err(Error::Preflight(fatal));
        }
    }
    let resources: usize = plan
        .stacks
        .iter()
        .filter_map(|s| s.template["Resources"].as_object())
        .map(serde_json::Map::len)
        .sum();
    let value = json!({
        "stacks": plan.stacks.len(), "resources": resources, "images": plan.images.len(), "findings": findings,
    });
    if findings.is_empty() {
        let text = format!(
            "{} is valid: {} stacks, {resources} resources, {} images",
            session.manifest.display(),
            plan.stacks.len(),
            plan.images.len()
        );
        session.ui.data("validate", value, &text);
        return Ok(());
    }
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    session.ui.data("validate", value, &lines.join("\n"));
    Err(Error::Plan(format!(
        "{} of the rules for templates are broken",
        findings.len()
    )))
}
