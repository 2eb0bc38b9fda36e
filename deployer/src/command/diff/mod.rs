//! `deployer diff`: the changes that `up` would make.

mod baseline;
mod render;

use std::collections::BTreeMap;
use std::path::PathBuf;

use aws::cloudformation;
use serde_json::Value;

use super::deploy::parameters::{ImageSource, resolve_parameters};
use super::deploy::stack::{is_up_to_date, stack_input};
use super::destroy::removed_stacks;
use crate::context::Session;
use crate::error::{Error, Result};
use crate::preflight::{existing_network, service_linked_roles};
use cfn::diff::{
    Change, StackDifference, UpdateWarning, compare, merge_change_set, permission_changes, unsupported_updates,
    update_warnings,
};
use platform::stacks::{self, Plan, Stack};

/// Show what `up` would change: properties with old and new value, replacements, data loss and permission changes.
///
/// Compares with what is deployed, or with templates in files. Nothing is built or changed: templates and parameters are compared,
/// not sources. Exit code 0, or with --exit-code 2 if there are differences.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer diff                          what `up` would change
  deployer diff patient-service          only this stack
  deployer diff --offline --exit-code    against the committed templates, in CI
  deployer diff --against ../main/templates/dev
  deployer diff --json | jq '.value[].changes[] | select(.loss)'

Exit codes: 0 shown; 1 error, or no endpoint; 2 there are differences (only with --exit-code); 3 credentials or permission.")]
pub struct Args {
    /// Exit with 2 if there are differences.
    #[arg(long)]
    exit_code: bool,
    /// Compare with the templates beside deployer.toml (templates/ENV), without an endpoint.
    #[arg(long, conflicts_with = "against")]
    offline: bool,
    /// Compare with this template, or with the templates in this directory, without an endpoint.
    #[arg(long, value_name = "FILE_OR_DIR")]
    against: Option<PathBuf>,
    /// Only this stack (its short or full name) [default: all].
    stack: Option<String>,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let offline = args.offline || args.against.is_some();
    let connected = if offline {
        None
    } else {
        Some(super::bind(connect(session).await?, &plan).await?)
    };
    let plan = match &connected {
        Some(aws) => super::adapted_plan(session, aws, plan).await?,
        None => plan,
    };
    let chosen: Vec<&Stack> = match &args.stack {
        Some(name) => vec![super::stack_named(&plan, name)?],
        None => plan.stacks.iter().collect(),
    };
    let committed = args.offline.then(|| session.manifest.with_file_name("templates"));
    let (found, same) = match args.against.or(committed) {
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
            let same = format!("no difference to {}\n", path.display());
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
            "no difference: what is deployed matches the manifest\n".to_owned(),
        ),
    };
    let style = session.ui.style();
    if let Some(aws) = connected.as_ref().filter(|_| !session.is_local()) {
        for role in service_linked_roles::missing(aws, &plan, true).await {
            session.ui.info(format!(
                "`up` creates the service-linked role {} in the account",
                role.name
            ));
        }
    }
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

/// Compares with templates from files. With `complete`, a template without a stack in the manifest is a removed stack.
fn with_files(
    plan: &Plan,
    chosen: &[&Stack],
    former: &BTreeMap<String, Value>,
    complete: bool,
) -> Vec<StackDifference> {
    let mut found: Vec<StackDifference> = chosen
        .iter()
        .map(|planned| {
            let old = former.get(&planned.short_name);
            let changes = compare(old, &planned.template);
            let notes: Vec<String> = update_warnings(&changes).iter().map(UpdateWarning::to_string).collect();
            StackDifference {
                stack: planned.name.clone(),
                action: if old.is_some() { "update" } else { "create" },
                changes,
                security: permission_changes(old, &planned.template),
                note: (!notes.is_empty()).then(|| notes.join("; ")),
            }
        })
        .filter(|difference| !difference.changes.is_empty() || !difference.security.is_empty())
        .collect();
    let removed = former
        .iter()
        .filter(|(short, _)| complete && !plan.stacks.iter().any(|stack| stack.short_name == **short));
    found.extend(removed.map(|(short, old)| deleted(format!("{}-{}-{short}", plan.project, plan.environment), old)));
    found
}

/// The note of a stack that is no longer in the manifest.
const REMOVED: &str = "no longer in the manifest: `up` deletes it first, after a confirmation";
/// The same of a stack with a key: data that it encrypts needs another key before.
const REMOVED_WITH_KEY: &str =
    "no longer in the manifest: `up` keeps it, because it has a key; `deployer destroy --removed` deletes it";

fn deleted(stack: String, former: &Value) -> StackDifference {
    let nothing = serde_json::json!({"Resources": {}});
    let changes = compare(Some(former), &nothing);
    let key = changes.iter().any(|change| change.resource_type == "AWS::KMS::Key");
    StackDifference {
        stack,
        action: "delete",
        changes,
        security: permission_changes(Some(former), &nothing),
        note: Some(if key { REMOVED_WITH_KEY } else { REMOVED }.to_owned()),
    }
}

async fn connect(session: &Session) -> Result<aws::Session> {
    let connected = session.connect().await.map_err(Error::from);
    connected.inspect_err(|error| {
        if error.is_unreachable() {
            session
                .ui
                .info("`deployer diff --offline` compares with the committed templates without an endpoint");
        }
    })
}

/// Compares with what is deployed. With `complete`, an owned stack that is not in the plan is a removed stack.
async fn with_deployed(
    aws: &aws::Session,
    plan: &Plan,
    chosen: &[&Stack],
    complete: bool,
) -> Result<Vec<StackDifference>> {
    let existing = cloudformation::list_stacks(aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
    let templates = deployed_templates(aws, plan, &existing).await?;
    let changes = stacks::changes(plan, &templates);
    let chosen = changes
        .iter()
        .filter(|(stack, _)| chosen.iter().any(|one| one.name == stack.name));
    let compared = chosen.map(|(stack, changes)| {
        let deployed = templates.get(&stack.name);
        difference(aws, plan, (*stack, changes.as_slice()), deployed, &existing)
    });
    let found = futures::future::try_join_all(compared).await?;
    let mut found: Vec<StackDifference> = found.into_iter().flatten().collect();
    if complete {
        for name in removed_stacks(&existing, plan).into_keys() {
            if let Some(template) = cloudformation::stack_template(aws, &name).await? {
                found.push(deleted(name, &template));
            }
        }
    }
    Ok(found)
}

/// Returns the deployed templates of the plan's stacks, by their full names.
async fn deployed_templates(
    aws: &aws::Session,
    plan: &Plan,
    existing: &BTreeMap<String, cloudformation::Stack>,
) -> Result<BTreeMap<String, Value>> {
    let deployed = plan.stacks.iter().filter_map(|planned| existing.get(&planned.name));
    let read = deployed
        .filter(|deployed| !deployed.is_failed_create())
        .map(|deployed| async move {
            (
                deployed.name.clone(),
                cloudformation::stack_template(aws, &deployed.name).await,
            )
        });
    let mut templates = BTreeMap::new();
    for (name, template) in futures::future::join_all(read).await {
        if let Some(template) = template? {
            templates.insert(name, template);
        }
    }
    Ok(templates)
}

/// Compares one stack with what is deployed; returns `None` without a difference.
async fn difference(
    aws: &aws::Session,
    plan: &Plan,
    (planned, changes): (&Stack, &[Change]),
    deployed: Option<&Value>,
    existing: &BTreeMap<String, cloudformation::Stack>,
) -> Result<Option<StackDifference>> {
    let former = existing.get(&planned.name).filter(|former| !former.is_failed_create());
    let mut difference = StackDifference {
        stack: planned.name.clone(),
        action: if former.is_some() { "update" } else { "create" },
        changes: changes.to_vec(),
        security: permission_changes(deployed, &planned.template),
        note: None,
    };
    // A change set for a stack that does not exist would create an empty one, in REVIEW_IN_PROGRESS.
    let Some(former) = former else {
        return Ok(Some(difference));
    };
    if let Some(rejected) = unsupported_updates(&difference.changes, &planned.template).first() {
        difference.note = Some(format!("`up` rejects this: {rejected}"));
        return Ok(Some(difference));
    }
    if let Some(moved) = existing_network::moved(plan, former) {
        difference.note = Some(format!("`up` rejects this: {moved}"));
        return Ok(Some(difference));
    }
    if !former.is_complete() {
        difference.note = Some(format!(
            "from the templates only, without a change set: the stack is in {}",
            former.status
        ));
        return Ok(Some(difference));
    }
    let find = |name: &str| existing.get(name).cloned();
    let parameters = match resolve_parameters(aws, planned, Some(former), find, ImageSource::Deployed).await {
        Ok(parameters) => parameters,
        Err(Error::Parameter(missing)) => {
            difference.note = Some(format!("from the templates only, without a change set: {missing}"));
            return Ok(Some(difference));
        }
        Err(error) => return Err(error),
    };
    let input = stack_input(plan, planned, parameters);
    if is_up_to_date(former, &input, deployed, planned) {
        return Ok(None);
    }
    let Some(set) = cloudformation::create_change_set(aws, &input, false).await? else {
        return Ok(None);
    };
    cloudformation::delete_change_set(aws, &set.id, &set.stack_id).await?;
    let warnings = update_warnings(&difference.changes);
    let notes: Vec<String> = if set.changes.is_empty() {
        vec!["only outputs, tags or metadata change".to_owned()]
    } else {
        warnings.iter().map(UpdateWarning::to_string).collect()
    };
    difference.note = (!notes.is_empty()).then(|| notes.join("; "));
    difference.changes = merge_change_set(set.changes, &difference.changes, deployed);
    Ok(Some(difference))
}
