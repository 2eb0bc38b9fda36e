//! `deployer status`: how stacks and services stand.

use serde_json::json;

use crate::cloudformation::stack;
use crate::ecs::serving;
use crate::error::Result;
use crate::target::Session;
use crate::ui::table::table;

/// Show the stacks, the services with their tasks and targets, and the URL.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let aws = session.connect().await?;
    let existing = stack::all(&aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
    let parts = serving::parts(&aws, &plan).await?;
    let standing = serving::standing(&aws, &parts).await?;
    let url = serving::url(&aws, &plan).await?;
    let mut rows = vec![vec!["STACK".to_owned(), "STATUS".to_owned()]];
    let status = |name: &str| {
        existing
            .get(name)
            .map_or("not deployed", |stack| stack.status.as_str())
            .to_owned()
    };
    rows.extend(
        plan.stacks
            .iter()
            .map(|stack| vec![stack.short.clone(), status(&stack.name)]),
    );
    let unplanned = existing
        .keys()
        .filter(|name| !plan.stacks.iter().any(|stack| stack.name == **name));
    rows.extend(unplanned.map(|name| vec![name.clone(), format!("{} (no longer in the manifest)", status(name))]));
    let mut text = table(&rows);
    if !standing.is_empty() {
        let heading = ["SERVICE", "TASKS", "ROLLOUT", "TARGETS"].map(str::to_owned).to_vec();
        let mut rows = vec![heading];
        rows.extend(standing.iter().map(|s| {
            let targets = if s.targets.is_empty() {
                "-".to_owned()
            } else {
                s.targets.join(" ")
            };
            vec![
                s.service.clone(),
                format!("{}/{}", s.running, s.desired),
                s.rollout.clone(),
                targets,
            ]
        }));
        text.push('\n');
        text.push_str(&table(&rows));
    }
    if let Some(url) = &url {
        text.push_str(&format!("\n{url}\n"));
    }
    let stacks: Vec<_> = plan
        .stacks
        .iter()
        .map(|s| json!({ "stack": s.name, "status": status(&s.name) }))
        .collect();
    session.ui.data(
        "status",
        json!({ "stacks": stacks, "services": standing, "url": url }),
        &text,
    );
    Ok(())
}
