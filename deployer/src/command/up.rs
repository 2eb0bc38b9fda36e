//! `deployer up`: everything that deployer.toml declares, until it serves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::deploy::images::Pipeline;
use super::deploy::interrupt::{self, Interrupts};
use super::deploy::{Deployment, Outcome};
use crate::cloudformation::{Existing, stack};
use crate::ecs::serving;
use crate::error::{Error, Result};
use crate::lock::Lock;
use crate::stacks::Plan;
use crate::target::{Aws, Session};

/// Deploy the platform, or bring it up to date; ends when it serves, and prints its URL.
///
/// Stacks without changes are not touched. Only what is printed last goes to stdout.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only swap the code of running services (hotswap).
    #[arg(long)]
    code: bool,
    /// How long one stack may take, in minutes; 15 on localstack, 90 on AWS unless given.
    #[arg(long, value_name = "MINUTES")]
    timeout: Option<u64>,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    if args.code {
        return Err(Error::NotBuilt {
            command: "up --code",
            instead: "`deployer up` redeploys just the services whose image changed",
        });
    }
    let began = Instant::now();
    let plan = Arc::new(session.plan()?);
    let mut interrupts = Interrupts::new()?;
    let aws = session.connect_or_start().await?;
    let lock = Lock::take(&aws, &session.ui, &plan.project, &plan.environment).await?;
    let minutes = args.timeout.unwrap_or(if session.is_local() { 15 } else { 90 });
    let result = apply_all(session, &aws, &plan, Duration::from_secs(minutes * 60), &mut interrupts).await;
    lock.release(&session.ui).await;
    let (url, outcomes) = result?;
    let changed = outcomes
        .iter()
        .filter(|outcome| **outcome != Outcome::Unchanged)
        .count();
    let what = if changed == 0 {
        "nothing to do".to_owned()
    } else {
        format!("{changed} of {} stacks changed", outcomes.len())
    };
    session
        .ui
        .say(format!("{what}; it serves ({:.1} s)", began.elapsed().as_secs_f32()));
    let curl: Vec<String> = plan
        .ingress
        .curl
        .iter()
        .map(|line| line.replace("{url}", &url))
        .collect();
    let text = format!("{url}\n\n{}\n", curl.join("\n"));
    session
        .ui
        .data("up", json!({ "url": url, "curl": curl, "changed": changed }), &text);
    Ok(())
}

async fn apply_all(
    session: &Session,
    aws: &Aws,
    plan: &Arc<Plan>,
    limit: Duration,
    interrupts: &mut Interrupts,
) -> Result<(String, Vec<Outcome>)> {
    let ui = &session.ui;
    let existing = stack::all(aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
    announce(session, plan, &existing);
    let animation = ui.animate();
    let images = Pipeline::start(ui.clone(), aws.clone(), plan.images.clone());
    let deployment = Arc::new(Deployment::new(
        aws.clone(),
        ui.clone(),
        plan.clone(),
        images,
        existing,
        limit,
    ));
    let mut work = tokio::spawn(deployment.clone().run());
    let mut interrupted = false;
    let outcomes = loop {
        tokio::select! {
            joined = &mut work => break joined.map_err(anyhow::Error::from)?,
            () = interrupts.next() => {
                if interrupted {
                    return Err(interrupt::left_running());
                }
                interrupted = true;
                tokio::spawn(interrupt::first(deployment.clone()));
            }
        }
    };
    if interrupted {
        if let Err(error) = outcomes {
            ui.warn(error.to_string());
        }
        return Err(Error::Interrupted {
            hint: "`deployer up` goes on from here, `deployer destroy` takes everything away".into(),
        });
    }
    let outcomes = outcomes?.into_values().collect();
    let wait = Duration::from_secs(if session.is_local() { 180 } else { 900 });
    let url = tokio::select! {
        url = serving::wait(aws, ui, plan, wait) => url?,
        () = interrupts.next() => return Err(interrupt::left_running()),
    };
    drop(animation);
    Ok((url, outcomes))
}

/// Says what will be done, before anything is.
fn announce(session: &Session, plan: &Plan, existing: &std::collections::BTreeMap<String, Existing>) {
    let name = |stack: &&crate::stacks::Stack| stack.short.clone();
    let (known, new): (Vec<_>, Vec<_>) = plan
        .stacks
        .iter()
        .partition(|stack| existing.get(&stack.name).is_some_and(|e| !e.is_leftover()));
    let list = |stacks: &[&crate::stacks::Stack]| stacks.iter().map(name).collect::<Vec<_>>().join(", ");
    let place = session.endpoint_url().unwrap_or_else(|| "AWS".into());
    session
        .ui
        .say(format!("{}-{} on {place}", plan.project, plan.environment));
    if !new.is_empty() {
        session.ui.say(format!("  create: {}", list(&new)));
    }
    if !known.is_empty() {
        let which = if new.is_empty() {
            "all".into()
        } else {
            known.len().to_string()
        };
        session
            .ui
            .say(format!("  there already: {which}; what has changed in them is updated"));
    }
    let gone: Vec<&str> = existing
        .keys()
        .filter(|name| !plan.stacks.iter().any(|stack| stack.name == **name))
        .map(String::as_str)
        .collect();
    if !gone.is_empty() {
        session.ui.warn(format!(
            "no longer in the manifest, left as they are: {}",
            gone.join(", ")
        ));
    }
}
