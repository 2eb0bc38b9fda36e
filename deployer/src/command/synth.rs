//! `deployer synth`: the templates, without any network.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::target::Session;

/// Write the CloudFormation templates, one file a stack, or print one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer synth --env prod                      templates/prod/*.json
  deployer synth --check                         in CI: are the committed templates what the manifest says?
  deployer synth network | jq .Resources

Exit codes: 0 written, printed or the same; 1 error, or --check found a stale file.")]
pub struct Args {
    /// Directory to write to, as DIR/ENV/STACK.json.
    #[arg(short, long, default_value = "templates", value_name = "DIR")]
    output: PathBuf,
    /// Write nothing: fail when a file differs from what would be written.
    #[arg(long)]
    check: bool,
    /// Print this stack's template on stdout instead.
    stack: Option<String>,
}

pub fn run(args: Args, session: &Session) -> Result<()> {
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
        std::fs::create_dir_all(&dir).map_err(Error::io(format!("cannot make {}", dir.display())))?;
        std::fs::write(&path, text).map_err(Error::io(format!("cannot write {}", path.display())))?;
        written.push(path.display().to_string());
    }
    if !stale.is_empty() {
        return Err(Error::Usage(format!(
            "not what the manifest says: {}; run `deployer synth`",
            stale.join(", ")
        )));
    }
    let text = if written.is_empty() {
        "all templates are up to date".to_owned()
    } else {
        written.join("\n")
    };
    session.ui.data("synth", json!({ "written": written }), &text);
    Ok(())
}

/// As templates are kept in the repository: indented, with a newline at the end.
fn pretty(template: &Value) -> String {
    format!("{template:#}\n")
}
