//! `deployer validate`: is the manifest right, and does the endpoint take its templates?

use serde_json::json;

use crate::error::Result;
use crate::target::Session;

/// Check deployer.toml; with --online, let CloudFormation check the templates, too.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ask the target's CloudFormation as well.
    #[arg(long)]
    online: bool,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    if args.online {
        let aws = session.connect().await?;
        for stack in &plan.stacks {
            aws.cloudformation
                .validate_template()
                .template_body(stack.template.to_string())
                .send()
                .await?;
        }
    }
    let resources: usize = plan
        .stacks
        .iter()
        .filter_map(|s| s.template["Resources"].as_object())
        .map(serde_json::Map::len)
        .sum();
    let value = json!({ "stacks": plan.stacks.len(), "resources": resources, "images": plan.images.len() });
    let text = format!(
        "{} is valid: {} stacks, {resources} resources, {} images",
        session.manifest.display(),
        plan.stacks.len(),
        plan.images.len()
    );
    session.ui.data("validate", value, &text);
    Ok(())
}
