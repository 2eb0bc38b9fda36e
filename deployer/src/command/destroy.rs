//! `deployer destroy`: takes away everything that `up` made.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_ecr::types::ImageIdentifier;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cloudformation::stack::Resource;
use crate::cloudformation::{Existing, delete, settle, stack};
use crate::error::{Error, Result};
use crate::lock::Lock;
use crate::stacks::Plan;
use crate::target::{Aws, Session, embedded};
use crate::ui::Outcome;

/// Delete every stack of the environment, after asking; stops the embedded endpoint when nothing else is in it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Leave the embedded endpoint running.
    #[arg(long)]
    keep_endpoint: bool,
}

/// What holds data that cannot be had back.
const DATA: [&str; 4] = [
    "AWS::RDS::DBInstance",
    "AWS::RDS::DBCluster",
    "AWS::MSK::Cluster",
    "AWS::S3::Bucket",
];

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let ui = &session.ui;
    let plan = session.plan()?;
    if session.is_local()
        && session.common.endpoint_url.is_none()
        && matches!(embedded::probe(session).await?, embedded::Answer::Nothing(_))
    {
        return nothing_listens(session).await;
    }
    let aws = session.connect().await?;
    let existing = ours(&aws, &plan).await?;
    if existing.is_empty() {
        ui.say(format!(
            "nothing to do: {}-{} has no stacks",
            plan.project, plan.environment
        ));
    } else {
        confirm(session, &aws, &existing).await?;
        let lock = Lock::take(&aws, ui, &plan.project, &plan.environment).await?;
        let animation = ui.animate();
        let result = delete_all(session, &aws, &plan, existing.clone()).await;
        drop(animation);
        lock.release(ui).await;
        result?;
        ui.summarize(Outcome::Deleted);
    }
    let stopped = !args.keep_endpoint && end_endpoint(session, &aws).await?;
    ui.data(
        "destroy",
        json!({ "deleted": existing.keys().collect::<Vec<_>>(), "endpoint_stopped": stopped }),
        "",
    );
    Ok(())
}

/// The stacks of this project and environment: those of the plan, and those that carry our tags.
async fn ours(aws: &Aws, plan: &Plan) -> Result<BTreeMap<String, Existing>> {
    let mut found = stack::all(aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
    let tagged = |stack: &Existing| {
        stack.tags.get("project") == Some(&plan.project) && stack.tags.get("environment") == Some(&plan.environment)
    };
    found.retain(|name, stack| tagged(stack) || plan.stacks.iter().any(|planned| planned.name == *name));
    Ok(found)
}

async fn confirm(session: &Session, aws: &Aws, existing: &BTreeMap<String, Existing>) -> Result<()> {
    let lists = futures::future::try_join_all(existing.keys().map(|name| stack::resources(aws, name))).await?;
    session.ui.say("this will be deleted:");
    for (stack, resources) in existing.values().zip(&lists) {
        let data: Vec<&str> = resources
            .iter()
            .filter(|r| DATA.contains(&r.kind.as_str()))
            .map(|r| r.logical.as_str())
            .collect();
        let data = if data.is_empty() {
            String::new()
        } else {
            format!("; DATA IS LOST: {}", data.join(", "))
        };
        session
            .ui
            .say(format!("  {}  {} resources{data}", stack.name, resources.len()));
    }
    if let Some(stack) = existing.values().find(|stack| stack.protected) {
        let name = &stack.name;
        return Err(Error::Declined(format!(
            "stack {name} is protected against deletion; `aws cloudformation update-termination-protection --no-enable-termination-protection --stack-name {name}` lifts that"
        )));
    }
    match session.ui.ask("Delete all this?").await {
        Some(true) => Ok(()),
        Some(false) => Err(Error::Declined("nothing was deleted".into())),
        None => Err(Error::Declined(
            "nothing was deleted: nobody is there to ask; run with --yes to delete".into(),
        )),
    }
}

/// Deletes in parallel, each stack after all that depend on it.
async fn delete_all(session: &Session, aws: &Aws, plan: &Plan, existing: BTreeMap<String, Existing>) -> Result<()> {
    let limit = Duration::from_secs(60 * if session.is_local() { 10 } else { 90 });
    let mut senders = HashMap::new();
    let mut ends = HashMap::new();
    for name in existing.keys() {
        let (sender, receiver) = watch::channel(None);
        senders.insert(name.clone(), sender);
        ends.insert(name.clone(), receiver);
    }
    let planned = |name: &str| plan.stacks.iter().find(|stack| stack.name == name);
    let mut tasks = JoinSet::new();
    for (name, found) in &existing {
        // What the manifest no longer has may use any of the shared stacks: it goes first.
        let users: Vec<watch::Receiver<Option<bool>>> = existing
            .keys()
            .filter(|other| *other != name)
            .filter(|other| planned(other).map_or(planned(name).is_some(), |stack| stack.depends_on.contains(name)))
            .filter_map(|other| ends.get(other).cloned())
            .collect();
        let (aws, ui, found) = (aws.clone(), session.ui.clone(), found.clone());
        let Some(sender) = senders.remove(name) else { continue };
        tasks.spawn(async move {
            let mut free = true;
            for mut user in users {
                free &= matches!(user.wait_for(Option::is_some).await.map(|end| *end), Ok(Some(true)));
            }
            let result = if free {
                one(&aws, &ui, found, limit).await.map(|()| true)
            } else {
                Ok(false)
            };
            sender.send_replace(Some(matches!(result, Ok(true))));
            result
        });
    }
    let mut first = None;
    while let Some(joined) = tasks.join_next().await {
        match joined.map_err(anyhow::Error::from)? {
            Err(error) if first.is_none() => first = Some(error),
            Err(error) => session.ui.warn(error.to_string()),
            Ok(_) => {}
        }
    }
    first.map_or(Ok(()), Err)
}

async fn one(aws: &Aws, ui: &crate::ui::Ui, found: Existing, limit: Duration) -> Result<()> {
    if found.is_busy() {
        ui.say(format!(
            "{}: waiting for what is under way ({})",
            found.name, found.status
        ));
        settle::follow(aws, ui, &found, limit).await?;
    }
    let resources = stack::resources(aws, &found.id).await?;
    for repository in resources
        .iter()
        .filter(|r| r.kind == "AWS::ECR::Repository" && !r.physical.is_empty())
    {
        empty(aws, repository).await?;
    }
    delete::delete(aws, ui, &found, limit).await
}

/// Removes every image of a repository: one that holds images cannot be deleted.
async fn empty(aws: &Aws, repository: &Resource) -> Result<()> {
    let name = &repository.physical;
    let mut pages = aws
        .ecr
        .list_images()
        .repository_name(name)
        .into_paginator()
        .items()
        .send();
    let mut images: Vec<ImageIdentifier> = Vec::new();
    while let Some(image) = pages.next().await {
        match image.map_err(Error::from) {
            Ok(image) => images.push(image),
            Err(error) if error.is_missing() => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    for batch in images.chunks(100) {
        aws.ecr
            .batch_delete_image()
            .repository_name(name)
            .set_image_ids(Some(batch.to_vec()))
            .send()
            .await?;
    }
    Ok(())
}

/// Ends the endpoint and removes its state when it is the embedded one of this state directory, and empty.
async fn end_endpoint(session: &Session, aws: &Aws) -> Result<bool> {
    if !session.is_local() || session.common.endpoint_url.is_some() || !embedded::probe(session).await?.is_embedded() {
        return Ok(false);
    }
    let state_dir = session.state_dir();
    if embedded::pid(&state_dir).is_none() {
        return Ok(false);
    }
    let others = stack::all(aws, "").await?;
    if !others.is_empty() {
        let names: Vec<&str> = others.keys().map(String::as_str).collect();
        session.ui.say(format!(
            "the embedded endpoint goes on: it also holds {}",
            names.join(", ")
        ));
        return Ok(false);
    }
    embedded::stop(session).await?;
    embedded::remove_state(&state_dir)?;
    session.ui.say("the embedded endpoint is stopped and its state removed");
    Ok(true)
}

/// With no endpoint there is nothing to delete; the state of one that was stopped is, when the person agrees.
async fn nothing_listens(session: &Session) -> Result<()> {
    let state_dir = session.state_dir();
    if !state_dir.join("state.redb").exists() {
        session
            .ui
            .say("nothing to do: no endpoint is running, and it left no state");
        return Ok(());
    }
    session.ui.say(format!(
        "the embedded endpoint is stopped; its state, with all databases, is in {}",
        state_dir.display()
    ));
    match session.ui.ask("Delete it?").await {
        Some(true) => {
            embedded::remove_state(&state_dir)?;
            session.ui.say("deleted");
            Ok(())
        }
        Some(false) => Err(Error::Declined("nothing was deleted".into())),
        None => Err(Error::Declined(
            "nothing was deleted: nobody is there to ask; run with --yes to delete".into(),
        )),
    }
}
