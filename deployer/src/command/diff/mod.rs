//! `deployer diff`: what `up` would change.

mod baseline;
mod render;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::deploy::resolve::{Images, resolve};
use super::deploy::stack::{is_same, wanted};
use super::destroy::gone;
use crate::cloudformation::{Existing, change, stack};
use crate::diff::{StackDifference, compare, merge_change_set, permission_changes, unsupported_updates};
use crate::error::{Error, Result};
use crate::stacks::{Plan, Stack};
use crate::target::capabilities::fit;
use crate::target::{Aws, Session};

/// Show what `up` would change: resource, property, old and new value, what is replaced, what is lost, and who may do more.
///
/// Compares with what is deployed, or without any network with templates that were written before. Nothing is built or
/// changed: sources are not compared, only templates and parameters. Exit code 0, or with --exit-code 2 when there are
/// differences.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer diff                          what `up` would change
  deployer diff patient-service          of one stack
  deployer diff --offline --exit-code    against the committed templates, in CI
  deployer diff --against ../main/templates/dev
  deployer diff --json | jq '.value[].changes[] | select(.loss)'

Exit codes: 0 shown; 1 error, or nothing answers; 2 there are differences (--exit-code alone); 3 credentials or permission.")]
pub struct Args {
    /// Exit with 2 when there are differences.
    #[arg(long)]
    exit_code: bool,
    /// Compare with the golden templates beside deployer.toml (templates/ENV), without asking any endpoint.
    #[arg(long, conflicts_with = "against")]
    offline: bool,
    /// Compare with this template, or the templates of this directory, without asking any endpoint.
    #[arg(long, value_name = "FILE_OR_DIR")]
    against: Option<PathBuf>,
    /// Only this stack (its short or full name); all unless given.
    stack: Option<String>,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let offline = args.offline || args.against.is_some();
    let connected = match offline {
        true => None,
        false => Some(connect(session).await?),
    };
    let plan = match &connected {
        Some(aws) => fit(aws, &session.ui, plan).await?,
        None => plan,
    };
    let chosen: Vec<&Stack> = match &args.stack {
        Some(name) => vec![super::stack_named(&plan, name)?],
        None => plan.stacks.iter().collect(),
    };
    let golden = args.offline.then(|| session.manifest.with_file_name("templates"));
    let (found, same) = match args.against.or(golden) {
        Some(path) => {
            let only = args.stack.is_some().then(|| chosen[0].short_name.as_str());
            let former = baseline::read(&path, &plan, only)?;
            let chosen = if path.is_file() {
                chosen
                    .into_iter()
                    .filter(|s| former.contains_key(&s.short_name))
                    .collect()
            } else {
                chosen
            };
            let same = format!("nothing differs from {}\n", path.display());
            (
                with_files(&plan, &chosen, &former, args.stack.is_none() && !path.is_file()),
                same,
            )
        }
        None => (
            match &connected {
                Some(aws) => with_deployed(aws, &plan, &chosen, args.stack.is_none()).await?,
                None => Vec::new(),
            },
            "nothing to do: what is deployed is what the manifest says\n".to_owned(),
        ),
    };
    let style = session.ui.style();
    let text: Vec<String> = found
        .iter()
        .map(|difference| render::render(difference, style))
        .collect();
    let text = if found.is_empty() { same } else { text.join("\n") };
    let value = serde_json::to_value(&found).map_err(anyhow::Error::from)?;
    session.ui.data("diff", value, &text);
    if args.exit_code && !found.is_empty() {
        Err(Error::Differences)
    } else {
        Ok(())
    }
}

/// Against templates from files; `whole` says that a template without a stack means one that is gone.
fn with_files(plan: &Plan, chosen: &[&Stack], former: &BTreeMap<String, Value>, whole: bool) -> Vec<StackDifference> {
    let mut found: Vec<StackDifference> = chosen
        .iter()
        .map(|planned| {
            let old = former.get(&planned.short_name);
            StackDifference {
                stack: planned.name.clone(),
                action: if old.is_some() { "update" } else { "create" },
                changes: compare(old, &planned.template),
                security: permission_changes(old, &planned.template),
                note: None,
            }
        })
        .filter(|difference| !difference.changes.is_empty() || !difference.security.is_empty())
        .collect();
    let gone = former
        .iter()
        .filter(|(short, _)| whole && !plan.stacks.iter().any(|stack| stack.short_name == **short));
    found.extend(gone.map(|(short, old)| deleted(format!("{}-{}-{short}", plan.project, plan.environment), old)));
    found
}

/// What `up` does with a stack that the manifest no longer has.
const GONE: &str = "no longer in the manifest: `up` deletes it first, once that is agreed to";
/// The same of one that holds a key: what was encrypted with it must have another one before.
const GONE_KEY: &str = "no longer in the manifest: `up` leaves it, `deployer destroy --gone` deletes it";

fn deleted(stack: String, former: &Value) -> StackDifference {
    let nothing = serde_json::json!({"Resources": {}});
    let changes = compare(Some(former), &nothing);
    let key = changes.iter().any(|change| change.resource_type == "AWS::KMS::Key");
    StackDifference {
        stack,
        action: "delete",
        changes,
        security: permission_changes(Some(former), &nothing),
        note: Some(if key { GONE_KEY } else { GONE }.to_owned()),
    }
}

async fn connect(session: &Session) -> Result<Aws> {
    session.connect().await.inspect_err(|error| {
        if matches!(error, Error::NoEndpoint { .. } | Error::Unreachable { .. }) {
            session
                .ui
                .info("`deployer diff --offline` compares with the committed templates, without an endpoint");
        }
    })
}

/// Against what is deployed; `whole` says that a stack of ours that the plan does not have is one that goes.
async fn with_deployed(aws: &Aws, plan: &Plan, chosen: &[&Stack], whole: bool) -> Result<Vec<StackDifference>> {
    let existing = stack::all(aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
    let compared = chosen.iter().map(|stack| difference(aws, plan, stack, &existing));
    let found = futures::future::try_join_all(compared).await?;
    let mut found: Vec<StackDifference> = found.into_iter().flatten().collect();
    if whole {
        for name in gone(&existing, plan).into_keys() {
            if let Some(template) = stack::template(aws, &name).await? {
                found.push(deleted(name, &template));
            }
        }
    }
    Ok(found)
}

/// What `up` would do to one stack that may be deployed; none when nothing.
async fn difference(
    aws: &Aws,
    plan: &Plan,
    planned: &Stack,
    existing: &BTreeMap<String, Existing>,
) -> Result<Option<StackDifference>> {
    let former = existing.get(&planned.name).filter(|former| !former.is_leftover());
    let deployed = match former {
        Some(former) => stack::template(aws, &former.name).await?,
        None => None,
    };
    let mut difference = StackDifference {
        stack: planned.name.clone(),
        action: if former.is_some() { "update" } else { "create" },
        changes: compare(deployed.as_ref(), &planned.template),
        security: permission_changes(deployed.as_ref(), &planned.template),
        note: None,
    };
    // A change set for a stack that is not there would leave an empty one behind, in REVIEW_IN_PROGRESS.
    let Some(former) = former else {
        return Ok(Some(difference));
    };
    if !former.is_complete() {
        difference.note = Some(format!(
            "the stack is in {}, so CloudFormation was not asked: from the templates alone",
            former.status
        ));
        return Ok(Some(difference));
    }
    let find = |name: &str| existing.get(name).cloned();
    let parameters = match resolve(aws, planned, Some(former), find, Images::Deployed).await {
        Ok(parameters) => parameters,
        Err(Error::Plan(missing)) => {
            difference.note = Some(format!(
                "{missing}, so CloudFormation was not asked: from the templates alone"
            ));
            return Ok(Some(difference));
        }
        Err(error) => return Err(error),
    };
    let wanted = wanted(plan, planned, parameters);
    if is_same(former, &wanted, deployed.as_ref(), planned) {
        return Ok(None);
    }
    if let Some(unsupported) = unsupported_updates(&difference.changes).first() {
        difference.note = Some(format!("`up` refuses this: {unsupported}"));
        return Ok(Some(difference));
    }
    let Some(set) = change::prepare(aws, &wanted, false).await? else {
        return Ok(None);
    };
    change::discard(aws, &set.id, &set.stack_id).await?;
    difference.note = set
        .changes
        .is_empty()
        .then(|| "only its outputs, tags or metadata change".to_owned());
    difference.changes = merge_change_set(set.changes, &difference.changes, deployed.as_ref());
    Ok(Some(difference))
}
