//! `deployer outputs`: what the stacks give away.

use std::collections::BTreeMap;

use serde_json::json;

use crate::cloudformation::stack;
use crate::ecs::serving;
use crate::error::{Error, Result};
use crate::target::Session;

/// Print all outputs as STACK.NAME=VALUE, or the value of one; `url` is the system's URL.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// `url`, STACK.NAME, or NAME where only one stack has it.
    name: Option<String>,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let aws = session.connect().await?;
    let prefix = format!("{}-{}-", plan.project, plan.environment);
    let mut outputs: BTreeMap<String, String> = BTreeMap::new();
    for (name, stack) in stack::all(&aws, &prefix).await? {
        let short = name.strip_prefix(&prefix).unwrap_or(&name);
        outputs.extend(
            stack
                .outputs
                .into_iter()
                .map(|(key, value)| (format!("{short}.{key}"), value)),
        );
    }
    if let Some(url) = serving::url(&aws, &plan).await? {
        outputs.insert("url".into(), url);
    }
    let Some(wanted) = &args.name else {
        let lines: Vec<String> = outputs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        session.ui.data("outputs", json!(outputs), &lines.join("\n"));
        return Ok(());
    };
    let short = |name: &str| name.split_once('.').map(|(_, output)| output.to_owned());
    let found: Vec<&String> = outputs
        .iter()
        .filter(|(name, _)| *name == wanted || short(name).as_ref() == Some(wanted))
        .map(|(_, value)| value)
        .collect();
    match found.as_slice() {
        [value] => {
            session.ui.data("outputs", json!({ wanted.as_str(): value }), value);
            Ok(())
        }
        [] if outputs.is_empty() => Err(Error::Usage(format!(
            "{}-{} is not deployed: `deployer up` deploys it",
            plan.project, plan.environment
        ))),
        [] => Err(Error::Usage(format!(
            "there is no output '{wanted}'; `deployer outputs` lists them"
        ))),
        _ => Err(Error::Usage(format!(
            "several stacks have an output '{wanted}'; name it as STACK.{wanted}"
        ))),
    }
}
