//! `deployer permissions`: the IAM policy that deployer needs.

use std::path::PathBuf;

use serde_json::json;

use crate::context::Session;
use crate::error::{Error, Result};
use platform::permissions::{MAX_MANAGED_POLICY, documents, policy, statements};

/// Print the IAM policy required to deploy, update and destroy this environment.
///
/// It is derived from the templates and from CloudFormation's resource provider schemas, which list the permissions of each
/// resource type. Needs no network. With --region, regional services are allowed in that region only.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  deployer permissions --env prod --region eu-central-1
  deployer permissions --env prod --output policies     one file for each managed policy

Exit codes: 0 done; 1 error.")]
pub struct Args {
    /// Write policy-1.json, policy-2.json, … to this directory, each small enough for a managed policy.
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub fn run(args: Args, session: &Session) -> Result<()> {
    let statements = statements(&session.plan()?, session.common.region.as_deref());
    let Some(dir) = args.output else {
        let complete = policy(&statements);
        session
            .ui
            .data("permissions", complete.clone(), &format!("{complete:#}\n"));
        let documents = documents(statements).len();
        if documents > 1 {
            session.ui.info(format!(
                "a managed policy has at most {MAX_MANAGED_POLICY} characters; --output DIR writes {documents} policies"
            ));
        }
        return Ok(());
    };
    std::fs::create_dir_all(&dir).map_err(Error::io(format!("cannot create {}", dir.display())))?;
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
