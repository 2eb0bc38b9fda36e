//! `deployer status --all`: the environments that exist in an account and region.

use std::collections::BTreeMap;

use aws::account;
use aws::cloudformation::{self, Stack, StackCondition, describe_status};
use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;

use super::ago;
use crate::context::Session;
use crate::error::Result;
use ui::table::table;

/// An environment with at least one stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Environment {
    project: String,
    #[serde(rename = "environment")]
    name: String,
    /// The number of its stacks.
    stacks: usize,
    /// The stacks that are neither complete nor empty, with their statuses.
    incomplete: BTreeMap<String, String>,
    /// True if one of its stacks has termination protection.
    protected: bool,
    /// Time of the last change in seconds since 1970.
    changed: i64,
}

/// Shows every environment. Needs no manifest.
///
/// # Errors
/// A request fails.
pub async fn run(session: &Session) -> Result<()> {
    let aws = session.connect().await?;
    let stacks = cloudformation::list_stacks(&aws, "").await?;
    let account = account::id(&aws).await?;
    let found = environments(stacks.values());
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let text = format!("account {account}, region {}\n{}", aws.region(), render(&found, now));
    let value = json!({ "account": account, "region": aws.region(), "environments": found });
    session.ui.data("environments", value, &text);
    Ok(())
}

/// Groups the stacks by the tags that a deployment sets. Other stacks are none of a deployer's.
fn environments<'a>(stacks: impl Iterator<Item = &'a Stack>) -> Vec<Environment> {
    let mut found: BTreeMap<(String, String), Environment> = BTreeMap::new();
    for stack in stacks {
        let tag = |name: &str| stack.tags.get(name).cloned();
        let (Some(project), Some(environment), Some(short)) = (tag("project"), tag("environment"), tag("stack")) else {
            continue;
        };
        if stack.name != format!("{project}-{environment}-{short}") {
            continue;
        }
        let key = (project.clone(), environment.clone());
        let entry = found.entry(key).or_insert_with(|| Environment {
            project,
            name: environment,
            stacks: 0,
            incomplete: BTreeMap::new(),
            protected: false,
            changed: 0,
        });
        entry.stacks += 1;
        entry.protected |= stack.protected;
        entry.changed = entry.changed.max(stack.changed);
        if describe_status(&stack.status).0 != StackCondition::Stable {
            entry.incomplete.insert(short, stack.status.clone());
        }
    }
    found.into_values().collect()
}

fn render(found: &[Environment], now: i64) -> String {
    if found.is_empty() {
        return "no environment is deployed here\n".to_owned();
    }
    let heading = ["PROJECT", "ENVIRONMENT", "STACKS", "STATUS", "PROTECTED", "CHANGED"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(found.iter().map(|one| {
        let incomplete = one.incomplete.iter().map(|(stack, status)| format!("{stack} {status}"));
        let incomplete: Vec<String> = incomplete.collect();
        vec![
            one.project.clone(),
            one.name.clone(),
            one.stacks.to_string(),
            if incomplete.is_empty() {
                "complete".to_owned()
            } else {
                incomplete.join(", ")
            },
            if one.protected { "yes" } else { "no" }.to_owned(),
            ago(now - one.changed),
        ]
    }));
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(project: &str, environment: &str, short: &str, status: &str, changed: i64) -> Stack {
        let tags = [("project", project), ("environment", environment), ("stack", short)];
        Stack {
            name: format!("{project}-{environment}-{short}"),
            id: "arn".into(),
            status: status.into(),
            reason: None,
            parameters: BTreeMap::new(),
            outputs: BTreeMap::new(),
            tags: tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            changed,
            protected: environment == "prod",
        }
    }

    #[test]
    fn stacks_are_grouped_by_their_tags_and_those_of_others_are_left_out() {
        let mut other = stack("shop", "dev", "network", "CREATE_COMPLETE", 0);
        other.name = "of-another-tool".into();
        let stacks = [
            stack("shop", "prod", "network", "CREATE_COMPLETE", 1000),
            stack("shop", "prod", "data", "ROLLBACK_FAILED", 990_000),
            stack("shop", "dev", "network", "UPDATE_COMPLETE", 999_000),
            stack("blog", "dev", "web", "CREATE_IN_PROGRESS", 999_990),
            other,
        ];
        insta::assert_snapshot!(render(&environments(stacks.iter()), 1_000_000), @"
        PROJECT  ENVIRONMENT  STACKS  STATUS                  PROTECTED  CHANGED
        blog     dev          1       web CREATE_IN_PROGRESS  no         10 s ago
        shop     dev          1       complete                no         16 min ago
        shop     prod         2       data ROLLBACK_FAILED    yes        2 h 46 min ago
        ");
        assert_eq!(render(&[], 0), "no environment is deployed here\n");
    }
}
