//! `deployer synth`: writes the templates, without a network.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::context::Session;
use crate::error::{Error, Result};

/// Write the CloudFormation templates, one file for each stack, or print one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer synth --env prod                      templates/prod/*.json
  deployer synth --check                         in CI: compare the committed templates with the manifest
  deployer synth network | jq .Resources

Exit codes: 0 written, printed or up to date; 1 error, or --check found a stale file.")]
pub struct Args {
    /// Write to DIR/ENV/STACK.json.
    #[arg(short, long, default_value = "templates", value_name = "DIR")]
    output: PathBuf,
    /// Write nothing, and fail if a file would change.
    #[arg(long)]
    check: bool,
    /// Print the template of this stack (its short or full name) on stdout.
    stack: Option<String>,
}

pub fn run(args: &Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    if let Some(name) = &args.stack {
        let stack = super::stack_named(&plan, name)?;
        session
            .ui
            .data("template", stack.template.clone(), &pretty(&stack.template));
        return Ok(());
    }
    let dir = args.output.join(&plan.environment);
    let mut written = Vec::new();
    let mut stale = Vec::new();
    for stack in &plan.stacks {
        let path = dir.join(format!("{}.json", stack.short_name));
        let text = pretty(&stack.template);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        if args.check {
            stale.push(path.display().to_string());
            continue;
        }
        std::fs::create_dir_all(&dir).map_err(Error::io(format!("cannot create {}", dir.display())))?;
        std::fs::write(&path, text).map_err(Error::io(format!("cannot write {}", path.display())))?;
        written.push(path.display().to_string());
    }
    if !stale.is_empty() {
        return Err(Error::StaleTemplates { files: stale });
    }
    let text = if written.is_empty() {
        "nothing to do: all templates are up to date".to_owned()
    } else {
        written.join("\n")
    };
    session.ui.data("synth", json!({ "written": written }), &text);
    Ok(())
}

/// Formats a template as it is committed: indented, with a newline at its end.
fn pretty(template: &Value) -> String {
    format!("{template:#}\n")
}
