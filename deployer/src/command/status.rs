//! `deployer status`: the state of stacks and services.

mod environments;

use std::collections::BTreeMap;

use aws::cloudformation;
use aws::ecs::{EcsServices, OutdatedSecrets, ServiceStatus, StoppedTask, last_failure, public_url};
use serde_json::json;
use time::OffsetDateTime;

use super::service_version::{self, ServiceVersion};
use crate::context::Session;
use crate::error::Result;
use crate::operations;
use platform::stacks::Plan;
use ui::table::table;

/// Show the stacks, the services with their tasks, targets and versions, and the URL.
///
/// IMAGE is the digest of the running image. VERSION compares it with the image that the service's stack declares, and with the one
/// built last on this machine. A service whose tasks have an older value of a secret is named. If tasks are missing, the reason and the last log lines of the last failed task are shown. Read-only.
/// Exits with 0 whatever the state of the services.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer status
  deployer status --env prod --target aws
  deployer status --all --target aws --region eu-central-1
  deployer status --json | jq '.value.services[] | select(.running < .desired)'

Exit codes: 0 shown; 1 error, or no endpoint; 3 credentials or permission.")]
pub struct Args {
    /// List every environment that exists in the account and region, of any project. Needs no manifest.
    #[arg(long)]
    all: bool,
}

/// The state that is shown.
struct StatusReport {
    existing: BTreeMap<String, cloudformation::Stack>,
    services: Vec<ServiceStatus>,
    versions: Vec<ServiceVersion>,
    failures: Vec<StoppedTask>,
    outdated: Vec<OutdatedSecrets>,
    url: Option<String>,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    if args.all {
        return environments::run(session).await;
    }
    let plan = session.plan()?;
    let aws = session.connect().await?;
    let report = inspect(session, &aws, &plan).await?;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let stack_value = |name: &str, removed: bool| {
        let existing = report.existing.get(name);
        let status = existing.map_or("not deployed", |stack| &stack.status);
        let changed = existing.map(|stack| stack.changed);
        json!({ "stack": name, "status": status, "changed": changed, "removed": removed })
    };
    let planned = plan.stacks.iter().map(|stack| stack_value(&stack.name, false));
    let removed = report.removed(&plan).map(|(name, _)| stack_value(name, true));
    let stacks: Vec<_> = planned.chain(removed).collect();
    let value = json!({
        "stacks": stacks, "services": report.services, "versions": report.versions, "stopped": report.failures,
        "outdated_secrets": report.outdated, "url": report.url,
    });
    session.ui.data("status", value, &render(&plan, &report, now));
    Ok(())
}

impl StatusReport {
    /// Stacks that are no longer in the manifest.
    fn removed(&self, plan: &Plan) -> impl Iterator<Item = (&String, &cloudformation::Stack)> {
        self.existing.iter().filter(|(name, _)| !plan.has(name))
    }
}

async fn inspect(session: &Session, aws: &aws::Session, plan: &Plan) -> Result<StatusReport> {
    let prefix = format!("{}-{}-", plan.project, plan.environment);
    let (existing, ecs_services, url) = tokio::try_join!(
        async { Ok(cloudformation::list_stacks(aws, &prefix).await?) },
        EcsServices::find(aws, plan),
        public_url(aws, plan)
    )?;
    let services = ecs_services.status(aws).await?;
    let incomplete = services.iter().filter(|service| service.running < service.desired);
    let arns = incomplete.filter_map(|service| ecs_services.arn(&service.service));
    let failures = arns.map(async |arn| Ok(last_failure(aws, arn).await?));
    let failures = futures::future::try_join_all(failures);
    let versions = service_version::service_versions(aws, plan, &existing, &services);
    let outdated = operations::outdated_secrets(aws, &session.ui, &ecs_services);
    let outdated = async { Ok(outdated.await) };
    let (failures, versions, outdated) = tokio::try_join!(failures, versions, outdated)?;
    Ok(StatusReport {
        existing,
        services,
        versions,
        failures: failures.into_iter().flatten().collect(),
        outdated,
        url,
    })
}

fn render(plan: &Plan, report: &StatusReport, now: i64) -> String {
    let mut rows = vec![["STACK", "STATUS", "CHANGED"].map(str::to_owned).to_vec()];
    let row = |name: &str, stack: Option<&cloudformation::Stack>, remark: &str| {
        let status = stack.map_or("not deployed", |stack| stack.status.as_str());
        let age = stack.map_or_else(|| "-".to_owned(), |stack| ago(now - stack.changed));
        vec![name.to_owned(), format!("{status}{remark}"), age]
    };
    rows.extend(
        plan.stacks
            .iter()
            .map(|s| row(&s.short_name, report.existing.get(&s.name), "")),
    );
    let removed = report.removed(plan);
    rows.extend(removed.map(|(name, stack)| row(name, Some(stack), " (no longer in the manifest)")));
    let mut text = table(&rows);
    if !report.services.is_empty() {
        let heading = ["SERVICE", "TASKS", "ROLLOUT", "TARGETS", "SINCE", "IMAGE", "VERSION"];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        rows.extend(report.services.iter().zip(&report.versions).map(|(s, version)| {
            let targets = Some(s.targets.join(" ")).filter(|targets| !targets.is_empty());
            vec![
                s.service.clone(),
                format!("{}/{}", s.running, s.desired),
                s.rollout.clone(),
                targets.unwrap_or_else(|| "-".into()),
                s.since.map_or_else(|| "-".to_owned(), |since| ago(now - since)),
                version.short_image(),
                version.comparison(),
            ]
        }));
        text.push('\n');
        text.push_str(&table(&rows));
    }
    for service in &report.services {
        if let Some(traffic) = service.traffic.clone() {
            text.push_str(&format!("\n{}: {}\n", service.service, operations::traffic(traffic)));
        }
    }
    for outdated in &report.outdated {
        text.push_str(&format!("\n{outdated}; `deployer up` starts new tasks\n"));
    }
    for failure in &report.failures {
        text.push_str(&format!("\n{failure}\n"));
    }
    if let Some(url) = &report.url {
        text.push_str(&format!("\n{url}\n"));
    }
    text
}

/// Formats an age with at most its two largest units.
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
    use aws::ecs::{HotswapEntry, Traffic};

    use super::*;

    fn existing(name: &str, status: &str, changed: i64) -> (String, cloudformation::Stack) {
        let stack = cloudformation::Stack {
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

    fn service(name: &str, running: i32, targets: &[&str], since: i64) -> ServiceStatus {
        ServiceStatus {
            service: name.into(),
            running,
            desired: 1,
            pending: 0,
            rollout: "COMPLETED".into(),
            targets: targets.iter().map(|t| (*t).to_owned()).collect(),
            last_event: None,
            task_definition: None,
            since: Some(since),
            traffic: None,
        }
    }

    fn shifting(service: ServiceStatus) -> ServiceStatus {
        ServiceStatus {
            rollout: "IN_PROGRESS".into(),
            traffic: Some(Traffic {
                strategy: "CANARY".into(),
                stage: "PRODUCTION_TRAFFIC_SHIFT".into(),
                percent: 10,
                minutes: Some(5),
            }),
            ..service
        }
    }

    fn version(service: &str, running: &str, declared: &str, hotswapped: bool) -> ServiceVersion {
        let image = |digit: &str| Some(format!("registry/{service}@sha256:{}", digit.repeat(64)));
        ServiceVersion {
            service: service.into(),
            running: image(running),
            declared: image(declared),
            built: None,
            hotswap: hotswapped.then(|| HotswapEntry {
                image: image(running).unwrap_or_default(),
                task_definition: "arn".into(),
                at: "2026-01-02T03:04:05Z".into(),
            }),
        }
    }

    #[test]
    fn the_screen_shows_ages_versions_and_the_reason_of_a_missing_task() {
        let mut plan = crate::command::testing::plan("dev");
        plan.stacks
            .retain(|stack| ["network", "data", "orders", "web"].contains(&stack.short_name.as_str()));
        let report = StatusReport {
            existing: BTreeMap::from([
                existing("shop-dev-network", "CREATE_COMPLETE", 1000),
                existing("shop-dev-orders", "UPDATE_COMPLETE", 999_000),
                existing("shop-dev-former", "CREATE_COMPLETE", 500_000),
            ]),
            services: vec![
                service("orders", 0, &[], 999_900),
                shifting(service("web", 1, &["healthy"], 990_000)),
            ],
            versions: vec![version("orders", "a", "b", true), version("web", "c", "c", false)],
            failures: vec![StoppedTask {
                service: "orders".into(),
                task: "0a1b".into(),
                reason: "Essential container in task exited".into(),
                exit_code: Some(1),
                log: vec!["DATABASE_HOST is not set".into()],
            }],
            outdated: vec![OutdatedSecrets {
                service: "web".into(),
                arn: "arn".into(),
                tasks: 1,
                secrets: vec!["shop-dev-token".into()],
            }],
            url: Some("http://localhost:8080".into()),
        };
        insta::assert_snapshot!(render(&plan, &report, 1_000_000), @"
        STACK            STATUS                                       CHANGED
        network          CREATE_COMPLETE                              11 d ago
        data             not deployed                                 -
        orders           UPDATE_COMPLETE                              16 min ago
        web              not deployed                                 -
        shop-dev-former  CREATE_COMPLETE (no longer in the manifest)  5 d 18 h ago

        SERVICE  TASKS  ROLLOUT      TARGETS  SINCE           IMAGE         VERSION
        orders   0/1    COMPLETED    -        1 min ago       aaaaaaaaaaaa  replaced by `up --code` at 2026-01-02T03:04:05Z; its stack has bbbbbbbbbbbb
        web      1/1    IN_PROGRESS  healthy  2 h 46 min ago  cccccccccccc  as declared

        web: 10 % of the requests to the new tasks (canary), 5 min left

        web: the value of shop-dev-token changed after 1 running task started; `deployer up` starts new tasks

          the last stopped task of orders: Essential container in task exited (exit code 1); its last log lines:
            DATABASE_HOST is not set

        http://localhost:8080
        ");
    }
}
