//! `deployer permissions`: the IAM policy that deployer needs.

use std::path::PathBuf;

use serde_json::json;

use crate::context::Session;
use crate::error::{Error, Result};
use platform::permissions::{MAX_MANAGED_POLICY, Principal, documents, policy, statements};

/// Print the IAM policy required to deploy, update and destroy this environment.
///
/// It is derived from the templates, from CloudFormation's resource provider schemas, which list the permissions of each resource type,
/// and from what AWS services do in the caller's name. Actions are limited to resources whose names begin with PROJECT-ENV, wherever
/// names do. Needs no network. With --region, or `region` in the manifest, regional services are allowed in that region only.
///
/// With `cloudformation.role_arn` in the manifest, the caller needs what deployer itself calls, and --cloudformation-role prints the
/// policy of that role.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  deployer permissions --env prod --region eu-central-1
  deployer permissions --env prod --output policies     one file for each managed policy
  deployer permissions --env prod --cloudformation-role

Exit codes: 0 done; 1 error.")]
pub struct Args {
    /// Write policy-1.json, policy-2.json, … to this directory, each small enough for a managed policy.
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Print the policy of the role with which CloudFormation works, in place of the caller's.
    #[arg(long)]
    cloudformation_role: bool,
}

pub fn run(args: Args, session: &Session) -> Result<()> {
    let principal = if args.cloudformation_role {
        Principal::CloudFormationRole
    } else {
        Principal::Caller
    };
    let statements = statements(&session.plan()?, principal, session.common.region.as_deref());
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
