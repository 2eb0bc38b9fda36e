//! `deployer status`: how stacks and services stand.

use std::collections::BTreeMap;

use serde_json::json;
use time::OffsetDateTime;

use crate::cloudformation::{Existing, stack};
use crate::ecs::last;
use crate::ecs::serving::{self, Standing};
use crate::ecs::stopped::StoppedTask;
use crate::ecs::version::{self, Version};
use crate::error::Result;
use crate::stacks::Plan;
use crate::target::{Aws, Session};
use ui::table::table;

/// Show the stacks, the services with their tasks, targets and versions, and the URL.
///
/// IMAGE is the digest that runs. VERSION compares it with the one that the service's stack declares, and with the one that
/// was built last on this machine. Where tasks are missing, the reason of the last one that failed is shown with its last
/// lines. A look changes nothing; how things stand is no error.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer status
  deployer status --env prod --target aws
  deployer status --json | jq '.value.services[] | select(.running < .desired)'

Exit codes: 0 shown, however things stand; 1 nothing answers; 3 credentials or permission.")]
pub struct Args {}

/// Everything that is shown.
struct Seen {
    existing: BTreeMap<String, Existing>,
    standing: Vec<Standing>,
    versions: Vec<Version>,
    failures: Vec<StoppedTask>,
    url: Option<String>,
}

pub async fn run(_: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let aws = session.connect().await?;
    let seen = look(&aws, &plan).await?;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let status = |name: &str| seen.existing.get(name).map_or("not deployed", |stack| &stack.status);
    let stacks: Vec<_> = plan
        .stacks
        .iter()
        .map(|s| {
            let changed = seen.existing.get(&s.name).map(|stack| stack.changed);
            json!({ "stack": s.name, "status": status(&s.name), "changed": changed })
        })
        .collect();
    let value = json!({
        "stacks": stacks, "services": seen.standing, "versions": seen.versions, "stopped": seen.failures, "url": seen.url,
    });
    session.ui.data("status", value, &render(&plan, &seen, now));
    Ok(())
}

async fn look(aws: &Aws, plan: &Plan) -> Result<Seen> {
    let prefix = format!("{}-{}-", plan.project, plan.environment);
    let (existing, parts, url) = tokio::try_join!(
        stack::all(aws, &prefix),
        serving::parts(aws, plan),
        serving::url(aws, plan)
    )?;
    let standing = serving::standing(aws, &parts).await?;
    let short = standing.iter().filter(|service| service.running < service.desired);
    let failures = futures::future::try_join_all(
        short
            .filter_map(|service| parts.arn(&service.service))
            .map(|arn| last::failure(aws, arn)),
    );
    let versions = version::versions(aws, plan, &existing, &standing);
    let (failures, versions) = tokio::try_join!(failures, versions)?;
    Ok(Seen {
        existing,
        standing,
        versions,
        failures: failures.into_iter().flatten().collect(),
        url,
    })
}

fn render(plan: &Plan, seen: &Seen, now: i64) -> String {
    let mut rows = vec![["STACK", "STATUS", "CHANGED"].map(str::to_owned).to_vec()];
    let row = |name: &str, stack: Option<&Existing>, remark: &str| {
        let status = stack.map_or("not deployed", |stack| stack.status.as_str());
        let age = stack.map_or_else(|| "-".to_owned(), |stack| ago(now - stack.changed));
        vec![name.to_owned(), format!("{status}{remark}"), age]
    };
    rows.extend(
        plan.stacks
            .iter()
            .map(|s| row(&s.short_name, seen.existing.get(&s.name), "")),
    );
    let planned = |name: &String| plan.stacks.iter().any(|stack| stack.name == *name);
    let unplanned = seen.existing.iter().filter(|(name, _)| !planned(name));
    rows.extend(unplanned.map(|(name, stack)| row(name, Some(stack), " (no longer in the manifest)")));
    let mut text = table(&rows);
    if !seen.standing.is_empty() {
        let heading = ["SERVICE", "TASKS", "ROLLOUT", "TARGETS", "SINCE", "IMAGE", "VERSION"];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        rows.extend(seen.standing.iter().zip(&seen.versions).map(|(s, version)| {
            let targets = Some(s.targets.join(" ")).filter(|targets| !targets.is_empty());
            vec![
                s.service.clone(),
                format!("{}/{}", s.running, s.desired),
                s.rollout.clone(),
                targets.unwrap_or_else(|| "-".into()),
                s.since.map_or_else(|| "-".to_owned(), |since| ago(now - since)),
                version.short(),
                version.verdict(),
            ]
        }));
        text.push('\n');
        text.push_str(&table(&rows));
    }
    for failure in &seen.failures {
        text.push_str(&format!("\n{failure}\n"));
    }
    if let Some(url) = &seen.url {
        text.push_str(&format!("\n{url}\n"));
    }
    text
}

/// How long ago, as people say it: the two largest units at most.
fn ago(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s ago"),
        (0, 0, minutes) => format!("{minutes} min ago"),
        (0, hours, minutes) => format!("{hours} h {minutes} min ago"),
        (days, hours, _) if days < 10 => format!("{days} d {hours} h ago"),
        (days, ..) => format!("{days} d ago"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::ecs::swapped::Entry;

    fn existing(name: &str, status: &str, changed: i64) -> (String, Existing) {
        let stack = Existing {
            name: name.into(),
            id: name.into(),
            status: status.into(),
            reason: None,
            parameters: BTreeMap::new(),
            outputs: BTreeMap::new(),
            tags: BTreeMap::new(),
            changed,
            protected: false,
        };
        (name.to_owned(), stack)
    }

    fn service(name: &str, running: i32, targets: &[&str], since: i64) -> Standing {
        Standing {
            service: name.into(),
            running,
            desired: 1,
            pending: 0,
            rollout: "COMPLETED".into(),
            targets: targets.iter().map(|t| (*t).to_owned()).collect(),
            last_event: None,
            task_definition: None,
            since: Some(since),
        }
    }

    fn version(service: &str, running: &str, declared: &str, swapped: bool) -> Version {
        let image = |digit: &str| Some(format!("registry/{service}@sha256:{}", digit.repeat(64)));
        Version {
            service: service.into(),
            running: image(running),
            declared: image(declared),
            built: None,
            swapped: swapped.then(|| Entry {
                image: image(running).unwrap_or_default(),
                task_definition: "arn".into(),
                at: "2026-01-02T03:04:05Z".into(),
            }),
        }
    }

    #[test]
    fn the_screen_tells_ages_versions_and_why_a_task_is_missing() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deployer.toml");
        let manifest = crate::manifest::Manifest::load(&path, "dev").expect("the manifest");
        let mut plan = crate::stacks::plan(&manifest);
        plan.stacks
            .retain(|stack| ["network", "data", "auth-service", "api-gateway"].contains(&stack.short_name.as_str()));
        let seen = Seen {
            existing: BTreeMap::from([
                existing("patient-management-dev-network", "CREATE_COMPLETE", 1000),
                existing("patient-management-dev-auth-service", "UPDATE_COMPLETE", 999_000),
                existing("patient-management-dev-former", "CREATE_COMPLETE", 500_000),
            ]),
            standing: vec![
                service("auth-service", 0, &[], 999_900),
                service("api-gateway", 1, &["healthy"], 990_000),
            ],
            versions: vec![
                version("auth-service", "a", "b", true),
                version("api-gateway", "c", "c", false),
            ],
            failures: vec![StoppedTask {
                service: "auth-service".into(),
                task: "0a1b".into(),
                reason: "Essential container in task exited".into(),
                exit_code: Some(1),
                log: vec!["DATABASE_HOST is not set".into()],
            }],
            url: Some("http://localhost:8080".into()),
        };
        insta::assert_snapshot!(render(&plan, &seen, 1_000_000), @r"
        STACK                          STATUS                                       CHANGED
        network                        CREATE_COMPLETE                              11 d ago
        data                           not deployed                                 -
        auth-service                   UPDATE_COMPLETE                              16 min ago
        api-gateway                    not deployed                                 -
        patient-management-dev-former  CREATE_COMPLETE (no longer in the manifest)  5 d 18 h ago

        SERVICE       TASKS  ROLLOUT    TARGETS  SINCE           IMAGE         VERSION
        auth-service  0/1    COMPLETED  -        1 min ago       aaaaaaaaaaaa  swapped by `up --code` at 2026-01-02T03:04:05Z; its stack has bbbbbbbbbbbb
        api-gateway   1/1    COMPLETED  healthy  2 h 46 min ago  cccccccccccc  as declared

          the last task of auth-service that stopped: Essential container in task exited (exit code 1); its last log lines:
            DATABASE_HOST is not set

        http://localhost:8080
        ");
    }
}
