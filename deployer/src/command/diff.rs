//! `deployer diff`: what `up` would change.

use std::collections::BTreeMap;

use serde_json::json;

use super::deploy::resolve::{Images, resolve};
use super::deploy::stack::{is_same, wanted};
use crate::cloudformation::{Change, Existing, change, compare, stack};
use crate::error::{Error, Result};
use crate::stacks::{Plan, Stack};
use crate::target::{Aws, Session};
use crate::ui::Style;

/// Show what `up` would change: resource, property, old and new value, and whether it is replaced.
///
/// Nothing is built or changed: sources are not compared, only templates and parameters. Exit code 0, or with
/// --exit-code 2 when there are differences.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Exit with 2 when there are differences.
    #[arg(long)]
    exit_code: bool,
    /// Only this stack (its short or full name); all unless given.
    stack: Option<String>,
}

/// What `up` would do to one stack.
struct Difference<'a> {
    stack: &'a Stack,
    action: &'static str,
    changes: Vec<Change>,
    note: Option<String>,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let chosen: Vec<&Stack> = match &args.stack {
        Some(name) => vec![super::stack_named(&plan, name)?],
        None => plan.stacks.iter().collect(),
    };
    let aws = session.connect().await?;
    let existing = stack::all(&aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
    let compared = chosen.iter().map(|stack| difference(&aws, &plan, stack, &existing));
    let found: Vec<Difference> = futures::future::try_join_all(compared).await?;
    let found: Vec<Difference> = found.into_iter().filter(|d| d.action != "same").collect();
    let value = json!(
        found
            .iter()
            .map(|d| json!({
                "stack": d.stack.name, "action": d.action, "changes": d.changes, "note": d.note,
            }))
            .collect::<Vec<_>>()
    );
    if found.is_empty() {
        session.ui.data(
            "diff",
            value,
            "nothing to do: what is deployed is what the manifest says\n",
        );
        return Ok(());
    }
    let style = session.ui.style();
    let text: Vec<String> = found.iter().map(|difference| render(difference, style)).collect();
    session.ui.data("diff", value, &text.join("\n"));
    if args.exit_code {
        Err(Error::Differences)
    } else {
        Ok(())
    }
}

async fn difference<'a>(
    aws: &Aws,
    plan: &Plan,
    planned: &'a Stack,
    existing: &BTreeMap<String, Existing>,
) -> Result<Difference<'a>> {
    let former = existing.get(&planned.name).filter(|former| !former.is_leftover());
    let Some(former) = former else {
        let changes = compare::compare(None, &planned.template);
        return Ok(Difference {
            stack: planned,
            action: "create",
            changes,
            note: None,
        });
    };
    let deployed = stack::template(aws, &former.name).await?;
    let by_template = |note: String| {
        let changes = compare::compare(deployed.as_ref(), &planned.template);
        Difference {
            stack: planned,
            action: "update",
            changes,
            note: Some(note),
        }
    };
    if !former.is_complete() {
        return Ok(by_template(format!(
            "the stack is in {}; replacement is not known",
            former.status
        )));
    }
    let parameters = match resolve(
        aws,
        planned,
        Some(former),
        |name| existing.get(name).cloned(),
        Images::Deployed,
    )
    .await
    {
        Ok(parameters) => parameters,
        Err(Error::Plan(missing)) => return Ok(by_template(format!("{missing}; replacement is not known"))),
        Err(error) => return Err(error),
    };
    let wanted = wanted(plan, planned, parameters);
    let same = Difference {
        stack: planned,
        action: "same",
        changes: Vec::new(),
        note: None,
    };
    if is_same(former, &wanted, deployed.as_ref(), planned) {
        return Ok(same);
    }
    let Some(set) = change::prepare(aws, &wanted, false).await? else {
        return Ok(same);
    };
    change::discard(aws, &set.id, &set.stack_id).await?;
    let note = set
        .changes
        .is_empty()
        .then(|| "only its outputs, tags or metadata change".to_owned());
    Ok(Difference {
        stack: planned,
        action: "update",
        changes: set.changes,
        note,
    })
}

fn render(difference: &Difference<'_>, style: Style) -> String {
    let mut text = format!("{} ({})\n", style.bold(&difference.stack.name), difference.action);
    if let Some(note) = &difference.note {
        text.push_str(&format!("  {}\n", style.dim(note)));
    }
    for change in &difference.changes {
        let Change {
            resource,
            kind,
            replacement,
            ..
        } = change;
        let replaced = match replacement.as_str() {
            "True" => style.red("  replace"),
            "Conditional" => style.yellow("  replace: depends on the new value"),
            "False" => "  in place".to_owned(),
            _ => String::new(),
        };
        let line = match change.action.as_str() {
            "add" => style.green(&format!("  + {resource}  {kind}")),
            "remove" => style.red(&format!("  - {resource}  {kind}")),
            _ => style.yellow(&format!("  ~ {resource}  {kind}")),
        };
        text.push_str(&format!("{line}{replaced}\n"));
        for property in &change.properties {
            // CloudFormation's own word for what only the deployment can tell
            let side = |value: &Option<String>| match value {
                Some(value) => value.replace("{{changeSet:KNOWN_AFTER_APPLY}}", "(known after apply)"),
                None => "(none)".to_owned(),
            };
            let values = match (&property.before, &property.after, &property.cause) {
                (None, None, Some(cause)) => format!("follows from {cause}"),
                (None, None, None) => "known when it is applied".to_owned(),
                (before, after, _) => format!("{} -> {}", side(before), side(after)),
            };
            let replaces = if property.recreation == "Always" {
                "  (replaces the resource)"
            } else {
                ""
            };
            text.push_str(&format!("      {}: {values}{replaces}\n", property.name));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudformation::PropertyChange;

    #[test]
    fn a_difference_tells_resource_property_values_and_replacement() {
        let stack = Stack {
            name: "house-dev-data".into(),
            short: "data".into(),
            template: json!({}),
            parameters: Vec::new(),
            depends_on: Vec::new(),
            holds_data: true,
        };
        let property = PropertyChange {
            name: "AllocatedStorage".into(),
            before: Some("20".into()),
            after: Some("30".into()),
            recreation: "Never".into(),
            cause: None,
        };
        let change = Change {
            resource: "PatientDatabase".into(),
            kind: "AWS::RDS::DBInstance".into(),
            action: "modify".into(),
            replacement: "False".into(),
            properties: vec![property],
        };
        let difference = Difference {
            stack: &stack,
            action: "update",
            changes: vec![change],
            note: None,
        };
        insta::assert_snapshot!(render(&difference, Style::default()), @r"
        house-dev-data (update)
          ~ PatientDatabase  AWS::RDS::DBInstance  in place
              AllocatedStorage: 20 -> 30
        ");
    }
}
