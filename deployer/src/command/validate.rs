//! `deployer validate`: checks the manifest and its templates.

use aws::cloudformation::{TemplateKey, upload_template, validate_template};
use serde_json::{Value, json};

use crate::context::Session;
use crate::error::{self, Error, Result};
use crate::preflight::{self, crates};
use platform::lint;
use platform::stacks::{self, Plan};

/// Check deployer.toml and its templates: crates, network paths of links, references, types of properties.
///
/// Needs no endpoint. With --online, CloudFormation validates the templates as well, and on AWS the certificate of the ingress is
/// checked.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer validate
  deployer validate --env prod --online --target aws

Exit codes: 0 valid; 1 not valid, or no endpoint (--online); 3 credentials or permission (--online).")]
pub struct Args {
    /// Ask CloudFormation as well, and ACM for the certificate.
    #[arg(long)]
    online: bool,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let manifest = session.load()?;
    let plan = stacks::plan(&manifest);
    preflight::reject_fatal(session, crates::check(&manifest, false).await)?;
    let region = session.common.region.as_deref().or(manifest.account.region.as_deref());
    let untrusted = preflight::authorities::check(&manifest, region).err();
    preflight::reject_fatal(session, untrusted.map(preflight::fatal).into_iter().collect())?;
    let findings = lint::check(&manifest, &plan);
    if args.online && findings.is_empty() {
        let aws = session.connect().await?;
        validate_templates(&aws, &plan).await?;
        preflight::reject_fatal(session, preflight::certificate(session, &aws, &manifest).await?)?;
    }
    let templates = plan.stacks.iter().map(|stack| &stack.template["Resources"]);
    let resources: usize = templates.filter_map(Value::as_object).map(serde_json::Map::len).sum();
    let (stacks, images) = (plan.stacks.len(), plan.images.len());
    let value = json!({ "stacks": stacks, "resources": resources, "images": images, "findings": findings });
    let manifest = session.manifest.display();
    let text = if findings.is_empty() {
        format!("{manifest} is valid: {stacks} stacks, {resources} resources, {images} images")
    } else {
        error::lines("", "\n", &findings)
    };
    session.ui.data("validate", value, &text);
    if findings.is_empty() {
        Ok(())
    } else {
        Err(Error::Lint(findings))
    }
}

/// Lets CloudFormation validate each template.
async fn validate_templates(aws: &aws::Session, plan: &Plan) -> Result<()> {
    let platform = format!("{}-{}", plan.project, plan.environment);
    for stack in &plan.stacks {
        let key = TemplateKey {
            platform: &platform,
            stack: &stack.name,
        };
        let uploaded = upload_template(aws, key, &stack.template.to_string()).await?;
        validate_template(aws, uploaded).await?;
    }
    Ok(())
}
