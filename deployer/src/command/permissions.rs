//! `deployer permissions`: the IAM policy of whoever deploys.

use std::path::PathBuf;

use serde_json::json;

use crate::error::{Error, Result};
use crate::permissions::{MAX_MANAGED_POLICY, documents, policy, statements};
use crate::target::Session;

/// Print the IAM policy that deploying, changing and destroying this environment takes.
///
/// It follows from the templates: what each resource type needs is in CloudFormation's resource provider schemas. Works
/// without any network. With --region, regional services are allowed in that region alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  deployer permissions --env prod --region eu-central-1
  deployer permissions --env prod --output policies     # one file for each managed policy that it takes

Exit codes: 0 done; 1 error.")]
pub struct Args {
    /// Write policy-1.json, policy-2.json, … into this directory, each small enough for a managed policy.
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub fn run(args: Args, session: &Session) -> Result<()> {
    let statements = statements(&session.plan()?, session.common.region.as_deref());
    let Some(dir) = args.output else {
        let whole = policy(&statements);
        session.ui.data("permissions", whole.clone(), &format!("{whole:#}\n"));
        let documents = documents(statements).len();
        if documents > 1 {
            session.ui.info(format!(
                "a managed policy has {MAX_MANAGED_POLICY} characters at most: --output DIR writes these statements as {documents} of them"
            ));
        }
        return Ok(());
    };
    std::fs::create_dir_all(&dir).map_err(Error::io(format!("cannot make {}", dir.display())))?;
    let mut written = Vec::new();
    for (n, document) in documents(statements).into_iter().enumerate() {
        let path = dir.join(format!("policy-{}.json", n + 1));
        std::fs::write(&path, format!("{document:#}\n"))
            .map_err(Error::io(format!("cannot write {}", path.display())))?;
        written.push(path.display().to_string());
    }
    session
        .ui
        .data("permissions", json!({ "written": written }), &written.join("\n"));
    Ok(())
}

#[cfg(test)]
mod tests;
